//! Dumps of generic netlink families, as they come: `netlink:FAMILY/COMMAND`.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
            sockopt::ReceiveTimeout,
        },
        time::TimeVal,
    },
};

use super::MOST;

// include/uapi/linux/netlink.h and genetlink.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const HEADER: usize = 16;
const GENERIC_HEADER: usize = 4;

/// The kernel fills a datagram up to 32 KiB.
const DATAGRAM: usize = 64 * 1024;

/// The answer is made while it is asked for; a kernel that gives none has failed.
const PATIENCE_S: i64 = 10;

/// Every message of a dump, headers and the last one (NLMSG_DONE) included.
pub(super) fn dump(name: &str) -> Result<Vec<u8>, String> {
    let parsed = name.split_once('/').and_then(|(family, command)| Some((family, command.parse().ok()?)));
    let Some((family, command)) = parsed else {
        return Err(format!("`{name}` is not FAMILY/COMMAND, with the command's number"));
    };
    let told = |doing: &'static str| move |errno: Errno| format!("{doing}: {}", errno.desc());
    let socket = open().map_err(told("opening a netlink socket"))?;
    let id = match family_id(&socket, family) {
        Ok(id) => id,
        Err(Errno::ENOENT) => return Err(format!("the kernel has no generic netlink family `{family}`")),
        Err(errno) => return Err(told("asking for the family")(errno)),
    };
    ask(&socket, id, NLM_F_DUMP, command, &[]).map_err(told("asking for a dump"))?;
    let mut dump = Vec::new();
    loop {
        let messages = receive(&socket).map_err(told("receiving a dump"))?;
        if dump.len() + messages.len() > MOST {
            return Err(format!("larger than {MOST} bytes"));
        }
        let end = end_of(&messages)?;
        dump.extend(messages);
        if end {
            return Ok(dump);
        }
    }
}

fn open() -> nix::Result<OwnedFd> {
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkGeneric)?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::new(PATIENCE_S, 0))?;
    Ok(socket)
}

/// Sends one request: `struct nlmsghdr`, `struct genlmsghdr`, attributes.
fn ask(socket: &OwnedFd, family: u16, flags: u16, command: u8, attributes: &[u8]) -> nix::Result<()> {
    let length = HEADER + GENERIC_HEADER + attributes.len();
    let mut message = Vec::with_capacity(length);
    message.extend(u32::try_from(length).map_err(|_| Errno::EMSGSIZE)?.to_ne_bytes());
    message.extend(family.to_ne_bytes());
    message.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    message.extend([0; 8]); // Sequence and sender: one request, one answer.
    message.extend([command, 1, 0, 0]); // Version 1, as every family has it.
    message.extend(attributes);
    send(socket.as_raw_fd(), &message, MsgFlags::empty()).map(drop)
}

fn receive(socket: &OwnedFd) -> nix::Result<Vec<u8>> {
    let mut datagram = vec![0; DATAGRAM];
    // With MSG_TRUNC the whole length is told, also of what did not fit.
    let length = recv(socket.as_raw_fd(), &mut datagram, MsgFlags::MSG_TRUNC)?;
    if length > datagram.len() {
        return Err(Errno::EMSGSIZE);
    }
    datagram.truncate(length);
    Ok(datagram)
}

/// The number that the kernel gave the family called `name` at this boot.
fn family_id(socket: &OwnedFd, name: &str) -> nix::Result<u16> {
    let mut attribute = Vec::new();
    let length = u16::try_from(4 + name.len() + 1).map_err(|_| Errno::EINVAL)?;
    attribute.extend(length.to_ne_bytes());
    attribute.extend(CTRL_ATTR_FAMILY_NAME.to_ne_bytes());
    attribute.extend(name.as_bytes());
    attribute.push(0);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    ask(socket, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, &attribute)?;
    let answer = receive(socket)?;
    if u16_at(&answer, 4) == Some(NLMSG_ERROR) {
        return Err(Errno::from_raw(i32_at(&answer, HEADER).unwrap_or(0).saturating_neg()));
    }
    let mut attributes = answer.get(HEADER + GENERIC_HEADER..).unwrap_or_default();
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        if kind == CTRL_ATTR_FAMILY_ID {
            return u16_at(attributes, 4).ok_or(Errno::EBADMSG);
        }
        let next = usize::from(length).max(4).next_multiple_of(4);
        attributes = attributes.get(next..).unwrap_or_default();
    }
    Err(Errno::EBADMSG)
}

/// Whether the last of these messages ends the dump. An error in their place is told.
fn end_of(mut messages: &[u8]) -> Result<bool, String> {
    while !messages.is_empty() {
        let length = u32_at(messages, 0).and_then(|length| usize::try_from(length).ok());
        let (Some(length), Some(kind)) = (length.filter(|length| *length >= HEADER), u16_at(messages, 4))
        else {
            return Err("the dump ends within a message".into());
        };
        if matches!(kind, NLMSG_ERROR | NLMSG_DONE) {
            let code = i32_at(messages, HEADER).unwrap_or(0);
            return match code {
                0 => Ok(true),
                code => Err(Errno::from_raw(code.saturating_neg()).desc().to_owned()),
            };
        }
        messages = messages.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_ne_bytes)
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes_at(bytes, at).map(i32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_dumps_itself_among_the_families() {
        let families = dump("nlctrl/3").unwrap();
        assert!(families.windows(7).any(|name| name == b"nlctrl\0"));
        assert_eq!(u16_at(&families, 4), Some(GENL_ID_CTRL));
    }

    #[test]
    fn what_cannot_be_dumped_is_told() {
        assert_eq!(dump("nosuch/1"), Err("the kernel has no generic netlink family `nosuch`".into()));
        assert!(dump("nlctrl").unwrap_err().contains("FAMILY/COMMAND"));
        assert!(dump("nlctrl/x").unwrap_err().contains("FAMILY/COMMAND"));
        assert!(dump("nlctrl/200").is_err(), "there is no such command");
    }

    #[test]
    fn the_end_of_a_dump_may_be_an_error() {
        let message = |kind: u16, code: i32| {
            [&20_u32.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &code.to_ne_bytes()].concat()
        };
        assert_eq!(end_of(&message(20, 0)), Ok(false));
        assert_eq!(end_of(&[message(20, 0), message(NLMSG_DONE, 0)].concat()), Ok(true));
        let error = end_of(&message(NLMSG_DONE, -(Errno::EOPNOTSUPP as i32))).unwrap_err();
        assert!(error.contains("not supported"), "{error}");
        assert!(end_of(&[0; 7]).is_err());
    }
}
