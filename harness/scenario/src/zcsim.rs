//! Machines whose NICs are zcsim's: what may stand beside them, their wire, and whether an arm's kernel has the driver.

use plan::{Arm, ConfigStart, ConfigValue, IommuMode, KernelSpec, Nic, NicModel, Source, Topology, Wire};

use crate::{
    fields::Fields,
    problem::{Findings, Place},
    schema,
    tree::Node,
};

const OPTION: &str = "ZCSIM";

/// Tells which NICs cannot be in this topology.
pub(crate) fn check_topology(topology: &Topology, place: &Place, findings: &mut Findings) {
    let zcsim = |nic: &Nic| nic.model == NicModel::Zcsim;
    match topology {
        Topology::Loopback => {}
        Topology::TwoGuests { server, client } => {
            if zcsim(server) || zcsim(client) {
                let message = "zcsim's wire is inside one guest, and reaches no other";
                findings.add(place, message, "topology: two-namespaces");
            }
        }
        Topology::TwoNamespaces { server, client } => {
            if zcsim(server) != zcsim(client) {
                let message = "one NIC is zcsim's and the other is not: its wire joins two of its own kind";
                findings.add(place, message, "nic: zcsim for both sides, or for none");
            } else if zcsim(server) && server.iommu.mode != IommuMode::None {
                let message = "an IOMMU in front of zcsim: its buffers are written by a thread, not by a device that an IOMMU sees";
                findings.add(place, message, "no iommu");
            }
        }
    }
}

/// The wire that `node` asks for.
pub(crate) fn wire(node: &Node, topology: Option<&Topology>, findings: &mut Findings) -> Option<Wire> {
    let fields = Fields::open(node, &schema::WIRE, findings)?;
    if let Some(topology) = topology
        && !matches!(topology, Topology::TwoNamespaces { server, .. } if server.model == NicModel::Zcsim)
    {
        let message = "a wire with properties of its own, but the NICs are not zcsim's";
        findings.add(&node.place, message, "nic: zcsim for both sides, or no wire");
    }
    let rate = fields.given("rate").map(|_| fields.rate("rate", findings));
    let delay = fields.given("delay").map(|_| fields.nanoseconds("delay", findings));
    let loss = fields.given("loss").map(|_| fields.percent("loss", findings));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most half a million")]
    let ppm = |loss: f64| ((loss * 1e6).round() as u32).max(1);
    Some(Wire {
        rate_bps: rate.map_or(Some(0), |rate| rate)?,
        delay_ns: delay.map_or(Some(0), |delay| delay)?,
        loss_ppm: loss.map_or(Some(0.0), |loss| loss).map(|loss| if loss > 0.0 { ppm(loss) } else { 0 })?,
    })
}

/// Tells of an arm with zcsim NICs whose kernel is known to be built without their driver.
pub(crate) fn check_driver(arm: &Arm, place: &Place, findings: &mut Findings) {
    if arm.machine.has_zcsim() && lacks_driver(&arm.kernel) {
        let message =
            format!("{}: its NICs are zcsim's, and its kernel is built without their driver", arm.name);
        findings.add(place, message, "series: [zcsim], config: { ZCSIM: y }");
    }
}

fn lacks_driver(kernel: &KernelSpec) -> bool {
    match kernel.base.source {
        // Whether it has the driver is seen when it boots.
        Source::PrebuiltImage { .. } | Source::Imported => return false,
        // Debian has not.
        Source::DebianImage { .. } => return true,
        Source::DebianSource { .. } | Source::Git { .. } | Source::Tarball { .. } => {}
    }
    if let Some(option) = kernel.options.iter().find(|option| option.name == OPTION) {
        return !matches!(option.value, ConfigValue::Yes | ConfigValue::Module);
    }
    let config = &kernel.base.config;
    let start = match &config.start {
        ConfigStart::File(fragment) => Some(fragment),
        ConfigStart::Tinyconfig | ConfigStart::Defconfig => None,
    };
    let set = |line: &str| matches!(line.trim(), "CONFIG_ZCSIM=y" | "CONFIG_ZCSIM=m");
    !start.into_iter().chain(&config.fragments).any(|fragment| fragment.text.lines().any(set))
}
