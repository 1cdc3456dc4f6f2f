//! What a software NIC executes in the place of hardware.
//!
//! `patches/zcsim` keeps it in one file, drivers/net/zcsim/zcsim_hw.c, whose functions run in a thread of their own. No NIC
//! costs a processor any of it, so that it is told apart from what the kernel would execute with hardware.

use crate::{Context, Profile, Row, logical_name};

/// The thread of a zcsim device: a kernel without it has none.
const THREAD: &str = "zcsim_hw_thread";

/// The copy that stands for DMA, which sums up as it copies. TCP over NICs that check sums themselves calls it nowhere else.
const DMA: &str = "csum_partial_copy_generic";

/// The functions of zcsim_hw.c, those that compilers mostly put into their callers among them.
const FUNCTIONS: &[&str] = &[
    THREAD,
    DMA,
    "zcsim_virt",
    "zcsim_parse",
    "zcsim_dma",
    "zcsim_skip",
    "zcsim_segment",
    "zcsim_csum",
    "zcsim_place_headers",
    "zcsim_write",
    "zcsim_complete",
    "zcsim_deliver",
    "zcsim_load",
    "zcsim_send",
    "zcsim_hw_round",
    "zcsim_hw_is_called",
    "zcsim_toeplitz",
    "zcsim_hash",
    "zcsim_masked",
    "zcsim_rule_matches",
    "zcsim_rule_is_tcp",
    "zcsim_steer",
    "zcsim_train_close",
    "zcsim_train_takes",
    "zcsim_train_open",
    "zcsim_train_add",
];

impl Profile {
    /// What was executed in the place of hardware, idle tasks apart; none if no such device was at work.
    #[must_use]
    pub fn device(&self) -> Option<Row> {
        let is = |name: &str, of: &str| logical_name(name) == of;
        let named =
            || self.functions.iter().filter_map(|one| Some((one.symbol.as_ref()?.name.as_str(), one)));
        if !named().any(|(name, _)| is(name, THREAD)) {
            return None;
        }
        let mut sum = Row::default();
        let of_device = named().filter(|(name, _)| FUNCTIONS.iter().any(|of| is(name, of)));
        for (_, function) in of_device {
            for ((_, context), part) in &function.parts {
                if *context != Context::Idle {
                    sum.add(part);
                }
            }
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Counts, Profile, Symbols};

    const FILE: &str = r#"{"insncount":{"version":1,"plugin_api":7,"vcpus":1,"whole":false}}
{"begin":1}
{"code":{"vcpu":0,"context":"task","at":"0xffffffff81000100","length":[4],"class":[1],"count":[10]}}
{"code":{"vcpu":0,"context":"task","at":"0xffffffff81000200","length":[4],"class":[1],"count":[300]}}
{"code":{"vcpu":0,"context":"task","at":"0xffffffff81000300","length":[4],"class":[1],"count":[7]}}
{"end":{"window":1,"executed":317,"oddities":[]}}
"#;

    fn device(names: [&str; 3]) -> Option<u64> {
        let mut symbols = Symbols::default();
        for (name, at) in names.iter().zip(["100", "200", "300"]) {
            symbols.add(&format!("ffffffff81000{at} t {name}\n"));
        }
        symbols.add("ffffffff81000400 T _etext\n");
        let profile = Profile::new(&Counts::read(FILE).unwrap().windows[0], &symbols);
        profile.device().map(|row| row.instructions)
    }

    #[test]
    fn hardware_that_is_software_is_told_apart() {
        assert_eq!(device(["zcsim_hw_thread", "csum_partial_copy_generic", "tcp_ack"]), Some(310));
        assert_eq!(device(["zcsim_hw_thread", "zcsim_rx_clean", "zcsim_train_close.part.0"]), Some(17));
        assert_eq!(device(["tcp_ack", "csum_partial_copy_generic", "zcsim_deliver"]), None, "no thread ran");
    }
}
