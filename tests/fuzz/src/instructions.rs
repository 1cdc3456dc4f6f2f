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
    assert!(symbols.names().all(|name| !name.is_empty()));
    if counts.windows.is_empty() {
        reduced(None);
    }
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
        for function in profile.functions.iter().filter(|function| function.symbol.is_some()) {
            let last = function.start + symbols.size(function.start).saturating_sub(1);
            let found = symbols.find(last).map(|(start, _)| start);
            assert_eq!(found, Some(function.start), "{function:?} ends in another");
        }
        let symbol = profile.functions.iter().find_map(|function| function.symbol.as_ref());
        for event in measure::metric::EVENTS {
            // Which functions stand for an event is the runner's business: one that was found stands for each.
            let count = symbol
                .map(|symbol| profile.entries(&symbol.name))
                .ok_or("no function of that name".to_owned());
            sum.events.insert((*event).to_owned(), count);
        }
        sum.device = profile.functions.first().map(|function| function.total.instructions);
        sum.user = profile.programs.iter().map(|program| program.instructions).sum();
        reduced(Some(sum));
    }
}

fn reduced(instructions: Option<InstructionCounts>) {
    let window = Window {
        elapsed: Duration::from_secs(1),
        traffic: Traffic::Bulk(Payload { client_to_server: Some(1 << 20), server_to_client: Some(0) }),
        instructions,
        ..Window::empty(Sides::TwoNamespaces)
    };
    for sample in collect::reduce(&[Collector::Instructions], &window).samples {
        assert!(sample.value.is_finite(), "{}", sample.metric);
    }
}
