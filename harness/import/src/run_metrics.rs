//! "Run Metrics" blocks: see [`measure::run_metrics`]. A value may be `unavailable: REASON`, as `assay report --format run-metrics`
//! writes it.

use measure::run_metrics::KEYS;

use crate::{
    Part, run_name,
    text::{Line, expect_number, scaled, word},
};

/// Whether a block goes on.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    in_block: bool,
}

impl Memory {
    pub(crate) fn claims(&self, text: &str) -> bool {
        is_title(text) || self.in_block
    }

    pub(crate) fn end(&mut self) {
        self.in_block = false;
    }
}

/// The line that begins a block.
pub(crate) fn is_title(text: &str) -> bool {
    title(text).is_some()
}

fn title(text: &str) -> Option<&str> {
    text.trim()
        .strip_prefix("-------")?
        .trim_start_matches('-')
        .trim_end_matches('-')
        .trim()
        .strip_suffix("Run Metrics")
}

pub(crate) fn take(memory: &mut Memory, part: &mut Part, line: &Line) -> Result<(), Vec<String>> {
    let text = line.text.trim();
    if let Some(name) = title(text) {
        memory.in_block = true;
        let name = word(name);
        part.run = run_name(&name).or(part.run.take().filter(|_| name.is_empty()));
        if part.run.is_none() {
            part.label = Some(name).filter(|name| !name.is_empty());
        }
        return Ok(());
    }
    if text == "Per page stats:" {
        return Ok(());
    }
    let Some((name, value)) = text.split_once(':') else {
        return Err(vec![format!("neither `key: value` nor the end of the block: `{}`", word(text))]);
    };
    let name = name.trim();
    let Some(key) = KEYS.iter().find(|key| key.name == name) else {
        let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        return Err(vec![format!("`{}` is no key of the block (they are {})", word(name), names.join(", "))]);
    };
    let value = value.trim();
    if let Some(reason) = value.strip_prefix("unavailable") {
        part.unavailable.push(format!("{}: {}", key.name, word(reason.trim_start_matches([':', ' ']))));
        return Ok(());
    }
    let value = scaled(expect_number(value, key.name).map_err(|message| vec![message])?, key.factor);
    part.add(key.metric, value, key.dims, line.number);
    Ok(())
}
