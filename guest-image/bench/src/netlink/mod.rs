//! Requests over netlink, generic or not. The kernel's own words come with each refusal.
//!
//! Of the crates for netlink, none knows the netdev family or header split; what they would save is this file.

use std::{
    fmt, io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

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

pub(crate) mod attributes;

pub(crate) use attributes::Attributes;

use crate::sys;

// include/uapi/linux/netlink.h and genetlink.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;
/// An acknowledgement carries attributes.
const NLM_F_ACK_TLVS: u16 = 0x200;
/// It carries the header of what it answers, and nothing else of it.
const NLM_F_CAPPED: u16 = 0x100;
const NLMSGERR_ATTR_MSG: u16 = 1;
const SOL_NETLINK: i32 = 270;
const NETLINK_CAP_ACK: i32 = 10;
const NETLINK_EXT_ACK: i32 = 11;
const GENL_ID_CTRL: u16 = 16;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
const HEADER: usize = 16;
/// Of a generic family's messages: command, version, two bytes reserved.
pub(crate) const GENERIC_HEADER: usize = 4;

/// The kernel fills a datagram up to 32 KiB.
const DATAGRAM: usize = 64 * 1024;

/// The answer is made while it is asked for; a kernel that gives none has failed.
const PATIENCE_S: i64 = 20;

/// Why the kernel did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    /// The kernel's own sentence, if it has one.
    message: Option<String>,
}

impl Refusal {
    pub(crate) fn bad() -> Self {
        Self { errno: Errno::EBADMSG, message: Some("the kernel's answer lacks what was asked".to_owned()) }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, message: None }
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::other(refusal.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(formatter, "{message} ({})", self.errno.desc()),
            None => formatter.write_str(self.errno.desc()),
        }
    }
}

/// A netlink socket. Some of what is asked through it lives as long as it does.
#[derive(Debug)]
pub(crate) struct Netlink(OwnedFd);

/// A generic family, by the number that it has at this boot.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) netlink: Netlink,
    id: u16,
}

impl Netlink {
    pub(crate) fn open(protocol: SockProtocol) -> nix::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(PATIENCE_S, 0))?;
        for option in [NETLINK_CAP_ACK, NETLINK_EXT_ACK] {
            sys::set_option(socket.as_fd(), SOL_NETLINK, option, &1_i32.to_ne_bytes())?;
        }
        Ok(Self(socket))
    }

    /// Sends a request and gives the body of each message that answers it. `body` is what comes after the header.
    pub(crate) fn ask(&self, kind: u16, dump: bool, body: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
        let flags = NLM_F_REQUEST | if dump { NLM_F_DUMP } else { NLM_F_ACK };
        let length = u32::try_from(HEADER + body.len()).map_err(|_| Errno::EMSGSIZE)?;
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]); // Sequence and sender: there is one request at a time.
        message.extend(body);
        send(self.0.as_raw_fd(), &message, MsgFlags::empty())?;
        let mut answers = Vec::new();
        loop {
            let datagram = self.receive()?;
            if take(&datagram, &mut answers)? {
                return Ok(answers);
            }
        }
    }

    fn receive(&self) -> nix::Result<Vec<u8>> {
        let mut datagram = vec![0; DATAGRAM];
        // With MSG_TRUNC the whole length is told, also of what did not fit.
        let length = recv(self.0.as_raw_fd(), &mut datagram, MsgFlags::MSG_TRUNC)?;
        if length > datagram.len() {
            return Err(Errno::EMSGSIZE);
        }
        datagram.truncate(length);
        Ok(datagram)
    }
}

impl Family {
    pub(crate) fn open(name: &str) -> Result<Self, Refusal> {
        let netlink = Netlink::open(SockProtocol::NetlinkGeneric)?;
        let attributes = Attributes::default().string(CTRL_ATTR_FAMILY_NAME, name);
        let answers =
            netlink.ask(GENL_ID_CTRL, false, &body(CTRL_CMD_GETFAMILY, &attributes)).map_err(|refusal| {
                match refusal.errno {
                    Errno::ENOENT => Refusal {
                        errno: Errno::ENOENT,
                        message: Some(format!("the kernel has no generic netlink family `{name}`")),
                    },
                    _ => refusal,
                }
            })?;
        let id = answers
            .first()
            .and_then(|answer| attributes::number_of(answer.get(GENERIC_HEADER..)?, CTRL_ATTR_FAMILY_ID));
        Ok(Self { netlink, id: id.ok_or_else(Refusal::bad)? })
    }

    /// The attributes of each answer.
    pub(crate) fn ask(&self, command: u8, attributes: &Attributes) -> Result<Vec<Vec<u8>>, Refusal> {
        self.netlink.ask(self.id, false, &body(command, attributes)).map(without_headers)
    }

    /// The attributes of each answer.
    pub(crate) fn dump(&self, command: u8, attributes: &Attributes) -> Result<Vec<Vec<u8>>, Refusal> {
        self.netlink.ask(self.id, true, &body(command, attributes)).map(without_headers)
    }
}

fn body(command: u8, attributes: &Attributes) -> Vec<u8> {
    // Version 1, as every family has it.
    [&[command, 1, 0, 0], attributes.as_bytes()].concat()
}

fn without_headers(mut answers: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for answer in &mut answers {
        answer.drain(..GENERIC_HEADER.min(answer.len()));
    }
    answers
}

/// Takes the bodies of a datagram's messages. True once the last one has come.
fn take(mut datagram: &[u8], answers: &mut Vec<Vec<u8>>) -> Result<bool, Refusal> {
    while !datagram.is_empty() {
        let header = datagram.get(..HEADER).ok_or_else(Refusal::bad)?;
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let (kind, flags) =
            (u16::from_ne_bytes([header[4], header[5]]), u16::from_ne_bytes([header[6], header[7]]));
        let body = datagram.get(HEADER..length).ok_or_else(Refusal::bad)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        if !matches!(kind, NLMSG_ERROR | NLMSG_DONE) {
            answers.push(body.to_vec());
            continue;
        }
        let code = body.get(..4).and_then(|code| code.try_into().ok()).map_or(0, i32::from_ne_bytes);
        if code == 0 {
            return Ok(true);
        }
        // Behind the code: in an acknowledgement the header that it answers, and its body if not capped; then attributes.
        let told = match kind {
            NLMSG_DONE => 4,
            _ if flags & NLM_F_CAPPED != 0 => 4 + HEADER,
            _ => {
                4 + body.get(4..8).map_or(HEADER, |bytes| {
                    u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).next_multiple_of(4) as usize
                })
            }
        };
        let message = (flags & NLM_F_ACK_TLVS != 0)
            .then(|| attributes::find(body.get(told..)?, NLMSGERR_ATTR_MSG).map(attributes::text))
            .flatten();
        return Err(Refusal { errno: Errno::from_raw(code.saturating_neg()), message });
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_family_is_found_and_one_that_is_not_there_is_told() {
        let controller = Family::open("nlctrl").unwrap();
        assert_eq!(controller.id, GENL_ID_CTRL);
        let families = controller.dump(CTRL_CMD_GETFAMILY, &Attributes::default()).unwrap();
        assert!(families.iter().any(|family| {
            attributes::find(family, CTRL_ATTR_FAMILY_NAME).map(attributes::text).as_deref() == Some("nlctrl")
        }));
        let missing = Family::open("nosuch").unwrap_err();
        assert!(
            missing.to_string().starts_with("the kernel has no generic netlink family `nosuch`"),
            "{missing}"
        );
    }

    #[test]
    fn a_refusal_has_the_kernels_own_words() {
        let words = Attributes::default().string(NLMSGERR_ATTR_MSG, "tcp-data-split is disabled");
        let mut body = (-22_i32).to_ne_bytes().to_vec();
        body.extend([0; HEADER]);
        body.extend(words.as_bytes());
        let mut datagram = u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes().to_vec();
        datagram.extend(NLMSG_ERROR.to_ne_bytes());
        datagram.extend((NLM_F_CAPPED | NLM_F_ACK_TLVS).to_ne_bytes());
        datagram.extend([0; 8]);
        datagram.extend(body);
        let refusal = take(&datagram, &mut Vec::new()).unwrap_err();
        assert_eq!(refusal.to_string(), "tcp-data-split is disabled (Invalid argument)");
    }

    proptest! {
        #[test]
        fn no_answer_is_too_bad_to_be_read(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = take(&datagram, &mut Vec::new());
        }
    }
}
