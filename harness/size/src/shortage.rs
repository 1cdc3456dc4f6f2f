//! What a stream is given, against what it needs.

use crate::{Need, Sizes, bytes};

/// What somebody has set for a queue; what is none is not known and not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Provision {
    /// Descriptors of the receive ring.
    pub ring: Option<u32>,
    /// Bytes of device memory: udmabuf or area.
    pub memory_bytes: Option<u64>,
    /// Entries of the refill ring.
    pub refill_entries: Option<u32>,
    /// Tokens that are gathered before they are given back.
    pub gathered: Option<u32>,
    /// The third of `tcp_rmem`, in bytes.
    pub receive_buffer_bytes: Option<u64>,
    /// The third of `tcp_wmem`, in bytes.
    pub send_buffer_bytes: Option<u64>,
}

impl Provision {
    /// What is too small for a stream of a known rate and round trip, each a clause.
    #[must_use]
    pub fn shortages(&self, need: &Need) -> Vec<String> {
        let sizes = Sizes::of(&Need { ring: None, ..*need });
        let of_bytes = [
            ("device memory", self.memory_bytes, sizes.memory_bytes),
            ("tcp_rmem", self.receive_buffer_bytes, sizes.receive_buffer_bytes),
            ("tcp_wmem", self.send_buffer_bytes, sizes.send_buffer_bytes),
        ];
        let of_entries = [
            ("a receive ring", self.ring, sizes.ring),
            ("a refill ring", self.refill_entries, sizes.refill_entries),
        ];
        let bytes = of_bytes.into_iter().filter_map(|(what, given, wanted)| {
            let given = given.filter(|given| *given < wanted)?;
            Some(format!("{what} of {} where {} are asked for", bytes(given), bytes(wanted)))
        });
        let entries = of_entries.into_iter().filter_map(|(what, given, wanted)| {
            let given = given.filter(|given| *given < wanted)?;
            Some(format!("{what} of {given} where {wanted} are asked for"))
        });
        entries.chain(bytes).collect()
    }

    /// What does not fit together whatever the stream, each a clause.
    #[must_use]
    pub fn misfits(&self, buffer_bytes: u32) -> Vec<String> {
        let mut misfits = Vec::new();
        let Some(ring) = self.ring else { return misfits };
        let least = 4 * u64::from(ring) * u64::from(buffer_bytes);
        if let Some(memory) = self.memory_bytes.filter(|memory| *memory < least) {
            misfits.push(format!(
                "device memory of {} is less than 4 times what a receive ring of {ring} takes ({})",
                bytes(memory),
                bytes(least)
            ));
        }
        // The pool's ring is as long as the receive ring, and not empty when tokens come back: seen with 1024 into 1024.
        if let Some(gathered) = self.gathered.filter(|gathered| u64::from(*gathered) * 2 > u64::from(ring)) {
            misfits.push(format!(
                "{gathered} tokens at a time may not fit into a pool of {ring}: what does not goes back to its provider"
            ));
        }
        misfits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_rules_ask_for_is_enough_and_less_is_told() {
        let need = Need::of_stream(200_000_000_000, 100_000, 4148);
        let enough = Provision {
            ring: Some(4096),
            memory_bytes: Some(64 << 20),
            refill_entries: Some(16_384),
            gathered: Some(512),
            receive_buffer_bytes: Some(16 << 20),
            send_buffer_bytes: Some(16 << 20),
        };
        assert_eq!(enough.shortages(&need), [""; 0]);
        assert_eq!(enough.misfits(4096), [""; 0]);
        let less = Provision { ring: Some(512), memory_bytes: Some(16 << 20), ..enough };
        assert_eq!(
            less.shortages(&need),
            [
                "a receive ring of 512 where 4096 are asked for",
                "device memory of 16 MiB where 64 MiB are asked for"
            ]
        );
        assert_eq!(Provision::default().shortages(&need), [""; 0]);
    }

    #[test]
    fn rings_memory_and_batches_fit_together_or_it_is_told() {
        let given = Provision {
            ring: Some(512),
            memory_bytes: Some(4 << 20),
            gathered: Some(257),
            ..Provision::default()
        };
        let misfits = given.misfits(4096);
        assert!(misfits[0].contains("4 MiB is less than") && misfits[0].contains("(8 MiB)"), "{misfits:?}");
        assert_eq!(Provision { gathered: Some(256), memory_bytes: None, ..given }.misfits(4096), [""; 0]);
        assert!(misfits[1].contains("257 tokens at a time"), "{misfits:?}");
    }
}
