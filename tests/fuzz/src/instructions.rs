//! What the counting plugin writes of a guest, and the kernel's list of symbols: names in either are the guest's.

use std::time::Duration;

use measure::{InstructionCounts, Payload, Sides, Traffic, Window};
use plan::Collector;
use profile::{Context, Counts, Profile, Symbols};

use crate::sections::{split, text};

/// One input: the plugin's file in a section `counts`, symbols in `map` and `modules`.
pub fn run(input: &[u8]) {
    let sections = split(input);
    let counts = match Counts::read(&text(&sections, "counts")) {
        Ok(counts) => counts,
        Err(error) => {
            assert!(error.to_string().len() < 4096 + 2 * input.len());
            return;
        }
    };
    let mut symbols = Symbols::default();
    symbols.add(&text(&sections, "map"));
    symbols.add(&text(&sections, "modules"));
    for window in &counts.windows {
        let profile = Profile::new(window, &symbols);
        assert_eq!(
            profile.instructions.checked_add(profile.string_passes),
            Some(window.executed),
            "rows do not add up"
        );
        let mut sum = InstructionCounts::default();
        for context in Context::ALL {
            let row = profile.in_context(context);
            assert!(row.strings.executions() <= row.strings.passes);
            sum.kernel.insert(context.name().to_owned(), row.instructions);
            sum.string_bytes.insert(context.name().to_owned(), row.strings.bytes);
        }
        if let Some(symbol) = profile.functions.iter().find_map(|function| function.symbol.as_ref()) {
            let _calls = profile.entries(&symbol.name);
        }
        sum.user = profile.programs.iter().map(|program| program.instructions).sum();
        reduced(sum);
    }
}

fn reduced(counts: InstructionCounts) {
    let window = Window {
        elapsed: Duration::from_secs(1),
        traffic: Traffic::Bulk(Payload { client_to_server: Some(1 << 20), server_to_client: Some(0) }),
        instructions: Some(counts),
        ..Window::empty(Sides::TwoNamespaces)
    };
    for sample in collect::reduce(&[Collector::Instructions], &window).samples {
        assert!(sample.value.is_finite(), "{}", sample.metric);
    }
}
