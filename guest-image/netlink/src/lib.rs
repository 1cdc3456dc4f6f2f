//! Requests over netlink (`include/uapi/linux/netlink.h`, `genetlink.h`), generic or not. The kernel's own words come with each
//! refusal.
//!
//! Of the crates for netlink, none knows the netdev family or header split; what they would save is this file.
//!
//! Invariant: knows no family but the one that names them.

#![deny(missing_docs)]

use std::{
    fmt, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
            sockopt::ReceiveTimeout,
        },
        time::TimeVal,
    },
};

pub mod attributes;

pub use attributes::Attributes;

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
pub const GENERIC_HEADER: usize = 4;

/// The kernel fills a datagram up to 32 KiB.
const DATAGRAM: usize = 64 * 1024;

/// The answer is made while it is asked for; a kernel that gives none has failed.
const PATIENCE_S: i64 = 20;

/// Why the kernel did not do what it was asked.
#[derive(Debug)]
pub struct Refusal {
    /// What it answered.
    pub errno: Errno,
    /// The kernel's own sentence, if it has one.
    message: Option<String>,
}

impl Refusal {
    /// Of an answer that lacks what was asked.
    #[must_use]
    pub fn bad() -> Self {
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
pub struct Netlink(OwnedFd);

/// A generic family, by the number that it has at this boot.
#[derive(Debug)]
pub struct Family {
    /// Its socket.
    pub netlink: Netlink,
    id: u16,
}

impl Netlink {
    /// A socket that gives up waiting after 20 s.
    ///
    /// # Errors
    /// If the kernel has none.
    pub fn open(protocol: SockProtocol) -> nix::Result<Self> {
        let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(PATIENCE_S, 0))?;
        for option in [NETLINK_CAP_ACK, NETLINK_EXT_ACK] {
            switch_on(socket.as_fd(), option)?;
        }
        Ok(Self(socket))
    }

    /// Sends a request and gives the body of each message that answers it. `body` is what comes after the header.
    ///
    /// # Errors
    /// If the kernel refuses, does not answer in time, or answers with what is no message.
    pub fn ask(&self, kind: u16, dump: bool, body: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
        self.request(kind, dump, body)?;
        let mut answers = Vec::new();
        loop {
            let datagram = self.receive()?;
            if take(&datagram, &mut |body| answers.push(body.to_vec()))? {
                return Ok(answers);
            }
        }
    }

    fn request(&self, kind: u16, dump: bool, body: &[u8]) -> nix::Result<()> {
        let flags = NLM_F_REQUEST | if dump { NLM_F_DUMP } else { NLM_F_ACK };
        let length = u32::try_from(HEADER + body.len()).map_err(|_| Errno::EMSGSIZE)?;
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]); // Sequence and sender: there is one request at a time.
        message.extend(body);
        send(self.0.as_raw_fd(), &message, MsgFlags::empty()).map(drop)
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
    /// The family called `name`.
    ///
    /// # Errors
    /// If the kernel has none of that name, or does not answer.
    pub fn open(name: &str) -> Result<Self, Refusal> {
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
    ///
    /// # Errors
    /// If the kernel refuses or does not answer.
    pub fn ask(&self, command: u8, attributes: &Attributes) -> Result<Vec<Vec<u8>>, Refusal> {
        self.netlink.ask(self.id, false, &body(command, attributes)).map(without_headers)
    }

    /// The attributes of each answer.
    ///
    /// # Errors
    /// If the kernel refuses or does not answer.
    pub fn dump(&self, command: u8, attributes: &Attributes) -> Result<Vec<Vec<u8>>, Refusal> {
        self.netlink.ask(self.id, true, &body(command, attributes)).map(without_headers)
    }

    /// Every message of a dump as it came, headers and the last one (`NLMSG_DONE`) included. None if that would be more than `most`
    /// bytes.
    ///
    /// # Errors
    /// If the kernel refuses or does not answer.
    pub fn messages(&self, command: u8, most: usize) -> Result<Option<Vec<u8>>, Refusal> {
        self.netlink.request(self.id, true, &body(command, &Attributes::default()))?;
        let mut messages = Vec::new();
        loop {
            let datagram = self.netlink.receive()?;
            if messages.len() + datagram.len() > most {
                return Ok(None);
            }
            let is_last = take(&datagram, &mut |_| ())?;
            messages.extend(datagram);
            if is_last {
                return Ok(Some(messages));
            }
        }
    }
}

#[expect(unsafe_code, reason = "no crate has the option")]
fn switch_on(socket: BorrowedFd<'_>, option: i32) -> nix::Result<()> {
    let on = 1_i32;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the kernel reads `length` bytes of `on`.
    Errno::result(unsafe {
        libc::setsockopt(socket.as_raw_fd(), SOL_NETLINK, option, (&raw const on).cast(), length)
    })
    .map(drop)
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

/// Gives the bodies of a datagram's messages. True once the last one has come.
fn take(mut datagram: &[u8], answer: &mut dyn FnMut(&[u8])) -> Result<bool, Refusal> {
    while !datagram.is_empty() {
        let header = datagram.get(..HEADER).ok_or_else(Refusal::bad)?;
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let (kind, flags) =
            (u16::from_ne_bytes([header[4], header[5]]), u16::from_ne_bytes([header[6], header[7]]));
        let body = datagram.get(HEADER..length).ok_or_else(Refusal::bad)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        if !matches!(kind, NLMSG_ERROR | NLMSG_DONE) {
            answer(body);
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
        let refusal = take(&datagram, &mut |_| ()).unwrap_err();
        assert_eq!(refusal.to_string(), "tcp-data-split is disabled (Invalid argument)");
    }

    #[test]
    fn the_end_of_a_dump_may_be_a_refusal() {
        let message = |kind: u16, code: i32| {
            [&20_u32.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &code.to_ne_bytes()].concat()
        };
        let is_last = |datagram: &[u8]| take(datagram, &mut |_| ());
        assert!(!is_last(&message(GENL_ID_CTRL, 0)).unwrap());
        assert!(is_last(&[message(GENL_ID_CTRL, 0), message(NLMSG_DONE, 0)].concat()).unwrap());
        let refusal = is_last(&message(NLMSG_DONE, -(Errno::EOPNOTSUPP as i32))).unwrap_err();
        assert_eq!(refusal.errno, Errno::EOPNOTSUPP);
    }

    #[test]
    fn a_dump_larger_than_is_wanted_is_none() {
        let controller = Family::open("nlctrl").unwrap();
        assert_eq!(controller.messages(CTRL_CMD_GETFAMILY, 100).unwrap(), None);
        assert!(controller.messages(CTRL_CMD_GETFAMILY, 1 << 20).unwrap().is_some());
    }

    proptest! {
        #[test]
        fn no_answer_is_too_bad_to_be_read(datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = take(&datagram, &mut |_| ());
        }
    }
}
