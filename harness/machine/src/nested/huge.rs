//! Huge pages of the host as memory of its guests.

use std::time::Duration;

use plan::InnerGuest;

use crate::{
    guest::{Guest, Trouble},
    network::script,
};

/// Where QEMU finds them.
pub(super) const FOLDER: &str = "/run/nested/huge";

const MIB_EACH: u32 = 2;

/// Clearing them is the host's work, under emulation on a machine with much to do.
const DEADLINE: Duration = Duration::from_secs(300);

/// Has the host's kernel set aside as many as its guests need. One that cannot has no such machine.
pub(super) async fn set_aside(host: &Guest, shape: &InnerGuest) -> Result<(), Trouble> {
    let needed = pages(shape);
    let text = format!(
        "[ -e /proc/sys/vm/nr_hugepages ] || {{ echo its kernel has none; exit 1; }}
         echo {needed} > /proc/sys/vm/nr_hugepages
         have=$(cat /proc/sys/vm/nr_hugepages)
         [ $have -ge {needed} ] || {{ echo its kernel found $have of {needed}; exit 1; }}
         mkdir -p {FOLDER}
         mount -t hugetlbfs -o pagesize={MIB_EACH}M none {FOLDER}"
    );
    script(host, &text, DEADLINE, "setting huge pages aside").await
}

/// All of them are memory of the guests that run: QEMU has not quietly taken other pages.
pub(super) async fn check_used(host: &Guest) -> Result<(), Trouble> {
    let text = "while read name number _; do
             case $name in HugePages_Free:) [ $number = 0 ] || { echo $number are not used; exit 1; } ;; esac
         done < /proc/meminfo";
    script(host, text, DEADLINE, "using huge pages").await
}

fn pages(shape: &InnerGuest) -> u32 {
    shape.count.saturating_mul(shape.memory_mib / MIB_EACH)
}
