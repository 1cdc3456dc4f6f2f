//! For a person.

use std::fmt::Write;

use crate::{Answer, Ip, Side, bytes, duration, rate};

/// Columns of the longest name.
const NAME: usize = 26;

/// All of an answer, wrapped to `width` columns; commands are never wrapped.
#[must_use]
pub fn text(answer: &Answer, width: usize) -> String {
    let need = &answer.need;
    let ip = match need.ip {
        Ip::V4 => "IPv4",
        Ip::V6 => "IPv6",
    };
    let mut text = format!(
        "A stream of {} over a round trip of {}, {ip}, MTU {}, into buffers of {}, {} queue{}, messages of {}.\n\n",
        rate(need.rate_bps),
        duration(need.rtt_ns),
        need.mtu,
        bytes(need.buffer_bytes.into()),
        need.queues,
        if need.queues == 1 { "" } else { "s" },
        bytes(need.message_bytes),
    );
    for rule in &answer.rules {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<NAME$}  {}", rule.name, rule.shown());
        for (lead, words) in
            [("how     ", rule.how.as_str()), ("why     ", rule.why), ("source  ", rule.source)]
        {
            let mut lead = lead.to_owned();
            for part in wrap(words, width.saturating_sub(2 + lead.len())) {
                let _ = writeln!(text, "  {lead}{part}");
                lead = " ".repeat(lead.len());
            }
        }
    }
    for (heading, side) in
        [("both sides", Side::Both), ("the receiver", Side::Receiver), ("the sender", Side::Sender)]
    {
        let _ = writeln!(text, "\non {heading}:");
        for setting in answer.settings.iter().filter(|setting| setting.side == side) {
            let _ = writeln!(text, "    {}", setting.command);
        }
    }
    for note in &answer.notes {
        text.push('\n');
        for part in wrap(&format!("note: {note}"), width) {
            let _ = writeln!(text, "{part}");
        }
    }
    text
}

/// Lines of at most `width` columns, broken at spaces; longer words stay whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Need;

    #[test]
    fn every_size_and_every_command_is_there_and_lines_fit() {
        let answer = Answer::to(Need::of_stream(200_000_000_000, 100_000, 4148));
        let text = text(&answer, 80);
        for rule in &answer.rules {
            assert!(text.contains(rule.name) && text.contains(&rule.shown()), "{}", rule.name);
        }
        for setting in &answer.settings {
            assert!(text.contains(&setting.command), "{}", setting.command);
        }
        let commands: Vec<&str> = answer.settings.iter().map(|setting| setting.command.as_str()).collect();
        let long =
            text.lines().skip(1).find(|line| line.chars().count() > 80 && !commands.contains(&line.trim()));
        assert_eq!(long, None);
        assert!(text.contains("receive ring                4096 descriptors\n"), "{text}");
    }

    #[test]
    fn json_has_the_numbers_as_numbers() {
        let answer = Answer::to(Need::of_stream(200_000_000_000, 100_000, 4148));
        let json = serde_json::to_value(&answer).expect("it is plain data");
        assert_eq!(json["sizes"]["ring"], 4096);
        assert_eq!(json["sizes"]["memory_bytes"], 64 << 20);
        assert_eq!(json["rules"][1]["unit"], "bytes");
        assert_eq!(json["settings"][0]["side"], "both");
    }
}
