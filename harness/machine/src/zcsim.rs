//! The pair of software NICs of `patches/zcsim`: made inside the guest, with a wire between them.

use plan::Wire;
use protocol::HowEnded;

use crate::{
    GuestCommand,
    facts::GuestNic,
    guest::{Guest, Trouble},
    network::{Place, exec, ip_batch, refused},
};

/// What the ends are called: the server's, then the client's.
const INTERFACES: [&str; 2] = ["zc0", "zc1"];
/// What the driver calls the peer of the first device that it makes.
const PEER: &str = "zcsim0";
/// Where the driver shows its devices; the first is `zcsim.0`, its peer `zcsim.1`.
const DEBUGFS: &str = "/sys/kernel/debug/zcsim";

/// Makes the pair in a guest that has none, and its wire.
pub(crate) async fn make(
    guest: &Guest,
    [server, client]: [Place; 2],
    wire: Wire,
) -> Result<Vec<GuestNic>, Trouble> {
    let [first, second] = INTERFACES;
    // The peer's own address is a random one.
    let batch = format!(
        "link add name {first} address {} type zcsim\nlink set dev {PEER} name {second} address {}\n",
        server.mac, client.mac
    );
    let executed = ip_batch(guest, None, &batch).await?;
    if executed.how != HowEnded::Exited(0) {
        let said = String::from_utf8_lossy(&executed.stderr);
        if is_unknown_device(&said) {
            return Err(Trouble::NotTestable(format!(
                "guest `{}`: its kernel has no driver `zcsim`, which its NICs need: `series: [zcsim]` with `config: {{ ZCSIM: y }}`",
                guest.process.name()
            )));
        }
        return Err(refused(guest, "making a pair of zcsim devices", &executed));
    }
    for (file, value) in settings(wire) {
        for device in 0..INTERFACES.len() {
            let path = format!("{DEBUGFS}/zcsim.{device}/{file}");
            let command = GuestCommand::new("busybox").args(["tee", &path]).stdin(value.to_string());
            let executed = exec(guest, command).await?;
            if executed.how != HowEnded::Exited(0) {
                return Err(refused(guest, &format!("setting {path} to {value}"), &executed));
            }
        }
    }
    let nic = |interface: &str| GuestNic {
        interface: interface.to_owned(),
        function: None,
        iommu: "none".to_owned(),
    };
    Ok(INTERFACES.map(nic).to_vec())
}

/// What the kernel says, through iproute2, to a kind of link that it does not know (`rtnl_newlink`, net/core/rtnetlink.c).
fn is_unknown_device(said: &str) -> bool {
    said.contains("Unknown device type") || said.contains("Operation not supported")
}

/// The files of a wire that is not the driver's own, and what is written to them.
fn settings(wire: Wire) -> impl Iterator<Item = (&'static str, u64)> {
    let all = [("rate_bps", wire.rate_bps), ("delay_ns", wire.delay_ns), ("loss_ppm", wire.loss_ppm.into())];
    all.into_iter().filter(|(_, value)| *value != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_the_drivers_own_is_written() {
        assert_eq!(settings(Wire::default()).count(), 0);
        let wire = Wire { rate_bps: 1_000_000_000, delay_ns: 0, loss_ppm: 2000 };
        assert_eq!(settings(wire).collect::<Vec<_>>(), [("rate_bps", 1_000_000_000), ("loss_ppm", 2000)]);
    }

    #[test]
    fn a_kernel_without_the_driver_is_told_apart() {
        assert!(is_unknown_device("Error: Unknown device type.\nCommand failed -:1\n"));
        assert!(!is_unknown_device("RTNETLINK answers: File exists\nCommand failed -:1\n"));
    }
}
