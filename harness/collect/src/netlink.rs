//! The format of netlink dumps (`include/uapi/linux/netlink.h`, `genetlink.h`): bounds-checked, nothing is trusted.

const HEADER: usize = 16;
const GENERIC_HEADER: usize = 4;
const ATTRIBUTE_HEADER: usize = 4;

const NLMSG_DONE: u16 = 3;
/// Below it, types are netlink's own, and families' from it on.
const NLMSG_MIN_TYPE: u16 = 16;
/// What was dumped changed meanwhile.
const NLM_F_DUMP_INTR: u16 = 0x10;
/// What remains of an attribute's type without its flags.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// An attribute: its type and its payload.
pub(crate) type Attribute<'a> = (u16, &'a [u8]);

/// The attributes of each message of a dump of a generic family. A dump without its end is no whole one.
pub(crate) fn messages(dump: &[u8]) -> Result<Vec<Vec<Attribute<'_>>>, String> {
    let mut messages = Vec::new();
    let mut rest = dump;
    while !rest.is_empty() {
        let length = u32_at(rest, 0).and_then(|length| usize::try_from(length).ok());
        let message = length.filter(|length| *length >= HEADER).and_then(|length| rest.get(..length));
        let (Some(message), Some(kind), Some(flags)) = (message, u16_at(rest, 4), u16_at(rest, 6)) else {
            return Err("the dump is cut off".to_owned());
        };
        if kind == NLMSG_DONE {
            return Ok(messages);
        }
        if flags & NLM_F_DUMP_INTR != 0 {
            return Err("what was dumped changed meanwhile".to_owned());
        }
        if kind >= NLMSG_MIN_TYPE {
            let body = message.get(HEADER + GENERIC_HEADER..).ok_or("a message has no generic header")?;
            messages.push(attributes(body)?);
        }
        rest = rest.get(message.len().next_multiple_of(4)..).unwrap_or_default();
    }
    Err("the dump has no end".to_owned())
}

/// The attributes that stand one after the other.
pub(crate) fn attributes(bytes: &[u8]) -> Result<Vec<Attribute<'_>>, String> {
    let mut attributes = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = u16_at(rest, 0).map(usize::from).filter(|length| *length >= ATTRIBUTE_HEADER);
        let (Some(payload), Some(kind)) =
            (length.and_then(|length| rest.get(ATTRIBUTE_HEADER..length)), u16_at(rest, 2))
        else {
            return Err("an attribute is cut off".to_owned());
        };
        attributes.push((kind & NLA_TYPE_MASK, payload));
        rest = rest.get((ATTRIBUTE_HEADER + payload.len()).next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(attributes)
}

/// An unsigned number of four or eight bytes (`nla_put_uint`).
pub(crate) fn number(payload: &[u8]) -> Result<u64, String> {
    let four = || Some(u64::from(u32::from_ne_bytes(payload.try_into().ok()?)));
    let eight = || Some(u64::from_ne_bytes(payload.try_into().ok()?));
    four().or_else(eight).ok_or_else(|| format!("a number of {} bytes", payload.len()))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}
