//! Which part of the kernel a source file belongs to.

/// Top folders whose first level of folders are subsystems: `net/ipv4`, `kernel/sched`, `drivers/iommu`, `arch/x86`.
const DIVIDED: [&str; 4] = ["arch", "drivers", "kernel", "net"];

/// The folder whose every folder is somebody's: `drivers/net/ethernet/intel/igb`.
const DRIVERS_OF_NICS: &str = "drivers/net/";

/// The subsystem of a source file, by its path from the top of the kernel's tree: one folder (`mm`, `lib`, `fs`), two where the
/// tree is divided further, and for drivers of NICs the whole path to their folder.
#[must_use]
pub fn subsystem(file: &str) -> &str {
    let Some((folder, _)) = file.rsplit_once('/') else { return "top of the tree" };
    if folder.starts_with(DRIVERS_OF_NICS) {
        return folder;
    }
    let top = folder.split('/').next().unwrap_or(folder);
    let depth = if DIVIDED.contains(&top) { 2 } else { 1 };
    let end = folder.match_indices('/').nth(depth - 1).map_or(folder.len(), |(at, _)| at);
    &folder[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_belong_to_what_maintainers_call_a_subsystem() {
        let files = [
            ("net/ipv4/tcp_input.c", "net/ipv4"),
            ("net/ipv4/netfilter/nf_nat_h323.c", "net/ipv4"),
            ("net/socket.c", "net"),
            ("mm/slub.c", "mm"),
            ("mm/kasan/shadow.c", "mm"),
            ("kernel/sched/fair.c", "kernel/sched"),
            ("kernel/fork.c", "kernel"),
            ("drivers/iommu/intel/iommu.c", "drivers/iommu"),
            ("drivers/net/veth.c", "drivers/net"),
            ("drivers/net/ethernet/intel/igb/igb_main.c", "drivers/net/ethernet/intel/igb"),
            ("arch/x86/lib/copy_user_64.S", "arch/x86"),
            ("lib/crypto/sha256.c", "lib"),
            ("include/linux/skbuff.h", "include"),
            ("main.c", "top of the tree"),
        ];
        for (file, expected) in files {
            assert_eq!(subsystem(file), expected, "{file}");
        }
    }
}
