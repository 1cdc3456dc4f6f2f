//! One mail, decoded: who, when, in reply to what, its text and the patches attached to it.

use mail_parser::{
    DateTime, Encoding, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders, PartType,
    decoders::{
        base64::base64_decode, charsets::map::charset_decoder, quoted_printable::quoted_printable_decode,
    },
};

use crate::{
    limits,
    mbox::{self, Looks},
    value::{Person, plain},
};

/// A mail, or a file with nothing but a diff in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    /// For messages: the Message-ID, else a file's name, else its place in the mailbox.
    pub(crate) label: String,
    /// The number that a file's name begins with.
    pub(crate) file_number: Option<usize>,
    pub(crate) id: Option<String>,
    /// What it replies to, the nearest first.
    pub(crate) parents: Vec<String>,
    pub(crate) from: Option<Person>,
    pub(crate) date: Option<Date>,
    pub(crate) subject: String,
    /// UTF-8, except for what is no text in any encoding that the mail names.
    pub(crate) body: Vec<u8>,
    /// `format=flowed` (RFC 3676).
    pub(crate) flowed: Option<Flowed>,
    pub(crate) attached: Vec<Attached>,
    /// There is text, and it is HTML only.
    pub(crate) html_only: bool,
    pub(crate) notes: Vec<String>,
}

/// RFC 3676: lines that end in a space go on in the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flowed {
    /// The space at the end of such a line is not part of the text.
    pub(crate) delsp: bool,
}

/// A patch that is attached.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    pub(crate) name: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

/// When a mail was sent.
#[derive(Clone, Debug)]
pub(crate) struct Date {
    /// As RFC 5322 writes it.
    pub(crate) text: String,
    /// Seconds since 1970, to order mails.
    pub(crate) seconds: i64,
}

impl Date {
    /// As a mail has it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // A space behind it for the same reason as in a mail's own headers.
        DateTime::parse_rfc822(&format!("{text}{ROOM}")).as_ref().and_then(Self::of)
    }

    fn of(date: &DateTime) -> Option<Self> {
        date.is_valid().then(|| Self { text: date.to_rfc822(), seconds: date.to_timestamp() })
    }
}

/// What a zone of one letter lacks to three.
const ROOM: &str = "  ";

/// mail-parser takes three letters for a zone, whatever is there. Behind `Z` and `UT` (RFC 5322, 4.3) that is the end of the line, and with it
/// goes the next header, mostly the subject: there have to be spaces behind them. Headers that have dates end in two.
fn with_room_for_zones(raw: &[u8]) -> Vec<u8> {
    const DATED: [&[u8]; 3] = [b"date:", b"resent-date:", b"received:"];
    let mut padded = Vec::with_capacity(raw.len() + 64);
    let (mut rest, mut is_dated) = (raw, false);
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        if line.is_empty() {
            break;
        }
        let is_folded = |line: &[u8]| line.starts_with(b" ") || line.starts_with(b"\t");
        if !is_folded(line) {
            let is_it =
                |name: &&[u8]| line.len() >= name.len() && line[..name.len()].eq_ignore_ascii_case(name);
            is_dated = DATED.iter().any(is_it);
        }
        padded.extend_from_slice(line);
        if is_dated && !is_folded(after) {
            padded.extend_from_slice(ROOM.as_bytes());
        }
        padded.push(b'\n');
        rest = after;
    }
    padded.extend_from_slice(rest);
    padded
}

/// The mail in `raw`, and those that are attached to it as mails.
pub(crate) fn parse(raw: &[u8], label: &str) -> Vec<Mail> {
    let mut mails = Vec::new();
    parse_nested(raw, label, limits::NESTING, &mut mails);
    mails
}

fn parse_nested(raw: &[u8], label: &str, depth: usize, mails: &mut Vec<Mail>) {
    // A mail client's file has the line ends of the wire.
    let raw = with_room_for_zones(&unix_lines(raw));
    let Some(message) = MessageParser::default().parse(&raw[..]) else { return };
    let id = message.message_id().map(plain).filter(|id| !id.is_empty());
    let mut mail = Mail {
        label: id.as_ref().map_or_else(|| label.to_owned(), |id| format!("<{id}>")),
        parents: parents(&message, id.as_deref()),
        id,
        from: message.from().and_then(|from| from.first()).map(|from| Person {
            name: plain(from.name().unwrap_or_default()),
            email: plain(from.address().unwrap_or_default()),
        }),
        date: message.date().and_then(Date::of),
        subject: plain(message.subject().unwrap_or_default()),
        ..Mail::default()
    };
    let mut nested = Vec::new();
    let mut files: Vec<(Option<String>, Vec<u8>)> = Vec::new();
    let mut has_body = false;
    for part in &message.parts {
        match &part.body {
            PartType::Multipart(_) => {}
            PartType::Message(_) => nested.push(part),
            PartType::Html(_) => mail.html_only |= !has_body,
            PartType::Text(_) if !has_body && is_body(part) => {
                mail.body = text(part, &raw, &mut mail.notes);
                mail.flowed = flowed(part);
                has_body = true;
            }
            PartType::Text(_) | PartType::Binary(_) | PartType::InlineBinary(_) => {
                let bytes = decoded(part, &raw);
                if is_patch(part, &bytes) {
                    let name = part.attachment_name().map(plain);
                    match mbox::look(&bytes) {
                        // What `git format-patch` wrote is a mail of its own.
                        Some(Looks::Mbox) => {
                            files.extend(
                                mbox::split(&bytes).into_iter().map(|raw| (name.clone(), raw.into_owned())),
                            );
                        }
                        Some(Looks::Mail) => files.push((name, bytes)),
                        _ => mail.attached.push(Attached { name, bytes: unix_lines(&bytes).into_owned() }),
                    }
                }
            }
        }
    }
    mail.html_only &= !has_body;
    mails.push(mail);
    if depth == 0 {
        return;
    }
    for (name, bytes) in files {
        let name = name.unwrap_or_else(|| "without a name".to_owned());
        let first = mails.len();
        parse_nested(&bytes, &name, depth - 1, mails);
        mails[first..]
            .iter_mut()
            .for_each(|mail| mail.notes.push(format!("taken from the attachment {name}")));
    }
    for (index, part) in nested.into_iter().enumerate() {
        let bytes = decoded(part, &raw);
        parse_nested(&bytes, &format!("{label}, attached mail {}", index + 1), depth - 1, mails);
    }
}

fn is_body(part: &MessagePart<'_>) -> bool {
    let plain =
        part.content_type().is_none_or(|kind| kind.subtype().is_none_or(|subtype| subtype == "plain"));
    let attachment = part.content_disposition().is_some_and(mail_parser::ContentType::is_attachment);
    plain && !attachment
}

/// What `git format-patch --attach` and mail clients call patches; failing that, what looks like one.
fn is_patch(part: &MessagePart<'_>, bytes: &[u8]) -> bool {
    let kind = part.content_type().and_then(|kind| kind.subtype()).unwrap_or_default();
    let named = part.attachment_name().is_some_and(|name| {
        let name = name.to_ascii_lowercase();
        [".patch", ".diff"].iter().any(|ending| name.ends_with(ending))
    });
    let diff = crate::diff::start(bytes).is_some();
    diff && (named || matches!(kind, "x-patch" | "x-diff" | "plain" | "octet-stream"))
}

fn flowed(part: &MessagePart<'_>) -> Option<Flowed> {
    let kind = part.content_type()?;
    let is =
        |name: &str, value: &str| kind.attribute(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    is("format", "flowed").then(|| Flowed { delsp: is("delsp", "yes") })
}

/// The bytes of a part without its transfer encoding. mail-parser's own text has been through a character set, which a
/// diff need not be in.
fn decoded(part: &MessagePart<'_>, raw: &[u8]) -> Vec<u8> {
    let offset = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    let body = raw.get(offset(part.raw_body_offset())..offset(part.raw_end_offset())).unwrap_or_default();
    match part.encoding {
        Encoding::None => body.to_vec(),
        Encoding::Base64 => base64_decode(body).unwrap_or_default(),
        Encoding::QuotedPrintable => quoted_printable_decode(body).unwrap_or_else(|| body.to_vec()),
    }
}

/// The text of a part in UTF-8.
fn text(part: &MessagePart<'_>, raw: &[u8], notes: &mut Vec<String>) -> Vec<u8> {
    let bytes = unix_lines(&decoded(part, raw)).into_owned();
    let charset = part.content_type().and_then(|kind| kind.attribute("charset")).unwrap_or("utf-8");
    let lower = charset.to_ascii_lowercase();
    let plain_ascii = bytes.is_ascii() && !bytes.contains(&0x1b);
    if plain_ascii || matches!(lower.as_str(), "utf-8" | "utf8" | "us-ascii" | "ascii") {
        return bytes;
    }
    match charset_decoder(charset.as_bytes()) {
        Some(decode) => {
            notes.push(format!("converted from {} to UTF-8", plain(charset)));
            decode(&bytes).into_bytes()
        }
        None => bytes,
    }
}

/// `text` with the ends of lines that Unix has, if all its lines have those of the wire. A diff of a file that has such lines itself is
/// left alone, since the lines of its headers have not.
pub(crate) fn unix_lines(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let mut lines =
        text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).peekable();
    if lines.peek().is_none() || !lines.all(|line| line.ends_with(b"\r\n")) {
        return text.into();
    }
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines
        .flat_map(|line| match line.strip_suffix(b"\r\n") {
            Some(line) => [line, b"\n".as_slice()],
            None => [line, b"".as_slice()],
        })
        .flatten()
        .copied()
        .collect::<Vec<u8>>()
        .into()
}

/// In-Reply-To, then References from the nearest to the farthest.
fn parents(message: &Message<'_>, own: Option<&str>) -> Vec<String> {
    let ids = |value: &HeaderValue<'_>| -> Vec<String> {
        match value {
            HeaderValue::Text(id) => vec![plain(id)],
            HeaderValue::TextList(ids) => ids.iter().map(|id| plain(id)).collect(),
            _ => Vec::new(),
        }
    };
    let mut parents: Vec<String> = Vec::new();
    let references = ids(message.references());
    for id in ids(message.in_reply_to()).into_iter().chain(references.into_iter().rev()).take(200) {
        if Some(id.as_str()) != own && !parents.contains(&id) {
            parents.push(id);
        }
    }
    parents
}

impl Flowed {
    /// The text as it was before it was made to flow: stuffed spaces removed, soft line breaks joined.
    pub(crate) fn undo(self, text: &[u8]) -> Vec<u8> {
        let mut lines = Vec::with_capacity(text.len());
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_prefix(b" ").unwrap_or(line);
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            if content.ends_with(b" ") && content != b"-- " {
                lines.extend_from_slice(if self.delsp { &content[..content.len() - 1] } else { content });
            } else {
                lines.extend_from_slice(line);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_of_the_wire_go_and_those_of_a_file_stay() {
        assert_eq!(&*unix_lines(b"a\r\nb\r\nc"), b"a\nb\nc");
        assert_eq!(&*unix_lines(b"--- a\n+x\r\n"), b"--- a\n+x\r\n");
        assert_eq!(&*unix_lines(b"a"), b"a");
    }

    #[test]
    fn flowed_text_is_joined_and_unstuffed() {
        let flowed = b"+\tint a_long_line = \nof_words;\n  context\n-- \nsignature\n";
        let plain = Flowed { delsp: false }.undo(flowed);
        assert_eq!(plain, b"+\tint a_long_line = of_words;\n context\n-- \nsignature\n");
    }

    #[test]
    fn a_header_says_who_and_in_reply_to_what() {
        let raw = b"From: =?UTF-8?Q?J=C3=B6rg?= Example <j@example.org>\nSubject: =?iso-8859-1?q?Gr=FC=DFe?=\n =?utf-8?B?IMSNxJk=?=\n\
            Message-ID: <3@x>\nIn-Reply-To: <2@x>\nReferences: <1@x>\n\t<2@x> <3@x>\nDate: Fri, 20 Nov 2026 10:00:00 +0100\n\nbody\n";
        let mail = parse(raw, "message 1").remove(0);
        assert_eq!(mail.from.unwrap().to_string(), "Jörg Example <j@example.org>");
        assert_eq!(mail.subject, "Grüße čę");
        assert_eq!(mail.label, "<3@x>");
        assert_eq!(mail.parents, ["2@x", "1@x"]);
        let date = mail.date.unwrap();
        assert_eq!((date.text.as_str(), date.seconds), ("Fri, 20 Nov 2026 10:00:00 +0100", 1_795_165_200));
        assert_eq!(mail.body, b"body\n");
    }

    #[test]
    fn a_short_zone_does_not_take_the_next_header_with_it() {
        for zone in ["Z", "UT", "GMT", "+0000"] {
            let raw = format!(
                "Received: from a by b;\n\tFri, 20 Nov 2026 10:00:01 {zone}\nDate: Fri, 20 Nov 2026 10:00:00 {zone}\nSubject: [PATCH] a\nFrom: A <a@x>\n\nbody\n"
            );
            let mail = parse(raw.as_bytes(), "input").remove(0);
            assert_eq!(mail.subject, "[PATCH] a", "{zone}");
            assert_eq!(mail.date.unwrap().text, "Fri, 20 Nov 2026 10:00:00 +0000", "{zone}");
            assert_eq!(mail.body, b"body\n");
            assert_eq!(
                Date::parse(&format!("Fri, 20 Nov 2026 10:00:00 {zone}")).unwrap().seconds,
                1_795_168_800
            );
        }
        assert!(
            Date::parse("Fri, 20 Nov 2026 0e: [PATCHit v3] a")
                .is_none_or(|date| !date.text.contains("PATCH"))
        );
    }
}
