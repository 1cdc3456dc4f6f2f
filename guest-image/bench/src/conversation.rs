//! How the two sides find each other, agree on the window, and tell each other how it went.
//!
//! Beside a connection for each flow there is one, on the port behind theirs, that carries no payload: the receiver's word to
//! begin, the sender's account of what it has sent, the receiver's of whether it was right. A peer that dies is noticed since its
//! part does not come; what it had sent could pass for all.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    thread,
};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt::BindToDevice,
};

use crate::{error::Failure, stop::Stop, tally::Tally, window::Sleep};

const BEGIN: u8 = b'b';
const RIGHT: u8 = b'r';
const WRONG: u8 = b'w';

/// One connection that carries payload.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) number: u16,
    pub(crate) socket: TcpStream,
}

impl Flow {
    /// A call on it failed.
    pub(crate) fn failure(&self, doing: &str, error: impl Into<io::Error>) -> Failure {
        let error = error.into();
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Failure::Failed(format!(
                "flow {}: {doing}: the other side has ended the connection ({error})",
                self.number
            )),
            _ => Failure::call(&format!("flow {}: {doing}", self.number), error),
        }
    }
}

/// Runs each flow in a thread of its own, the first in this one, and adds up what they count.
pub(crate) fn each(
    flows: &[Flow],
    run: impl Fn(&Flow) -> Result<Tally, Failure> + Sync,
) -> Result<Tally, Failure> {
    let timed = |flow: &Flow| {
        let sleep = Sleep::begin();
        let mut tally = run(flow)?;
        tally.blocked = sleep.end();
        Ok(tally)
    };
    let [first, others @ ..] = flows else { return Ok(Tally::default()) };
    thread::scope(|scope| {
        let threads: Vec<_> = others.iter().map(|flow| scope.spawn(|| timed(flow))).collect();
        let mut sum = timed(first)?;
        for thread in threads {
            sum.merge(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(sum)
    })
}

/// The connection beside the flows.
#[derive(Debug)]
pub(crate) struct Beside(TcpStream);

/// A receiver's ports, open.
#[derive(Debug)]
pub(crate) struct Listening {
    flows: Vec<TcpListener>,
    beside: TcpListener,
}

/// The port beside those of `flows`.
fn beside(port: u16, flows: u16) -> Result<u16, Failure> {
    port.checked_add(flows)
        .ok_or_else(|| Failure::Misuse(format!("{flows} flows from port {port} on go beyond port 65534")))
}

impl Listening {
    pub(crate) fn open(address: IpAddr, port: u16, flows: u16, stop: &Stop) -> Result<Self, Failure> {
        let open = |port: u16| {
            let listener = TcpListener::bind((address, port))
                .map_err(|error| Failure::call(&format!("listening on {address} port {port}"), error))?;
            stop.add(&listener).map_err(|error| Failure::call("listening", error))?;
            Ok(listener)
        };
        let last = beside(port, flows)?;
        Ok(Self { flows: (port..last).map(open).collect::<Result<_, _>>()?, beside: open(last)? })
    }

    /// Waits for all connections of a sender.
    pub(crate) fn accept(self, stop: &Stop) -> Result<(Vec<Flow>, Beside), Failure> {
        let accept = |listener: &TcpListener| {
            let (socket, _) =
                listener.accept().map_err(|error| Failure::call("waiting for the sender", error))?;
            stop.add(&socket).map_err(|error| Failure::call("accepting a connection", error))?;
            Ok::<_, Failure>(socket)
        };
        let flows = (0..)
            .zip(&self.flows)
            .map(|(number, listener)| Ok(Flow { number, socket: accept(listener)? }))
            .collect::<Result<_, Failure>>()?;
        let socket = accept(&self.beside)?;
        socket.set_nodelay(true).map_err(|error| Failure::call("setting TCP_NODELAY", error))?;
        Ok((flows, Beside(socket)))
    }
}

/// Connects all flows, through `device` if one is named.
pub(crate) fn connect_all(
    address: IpAddr,
    port: u16,
    flows: u16,
    device: Option<&str>,
    stop: &Stop,
) -> Result<(Vec<Flow>, Beside), Failure> {
    let last = beside(port, flows)?;
    let open = |port: u16, device: Option<&str>| {
        let address = SocketAddr::new(address, port);
        let told = |error: io::Error| Failure::call(&format!("connecting to {address}"), error);
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .map_err(|errno| told(errno.into()))?;
        if let Some(device) = device {
            setsockopt(&socket, BindToDevice, &device.into()).map_err(|errno| told(errno.into()))?;
        }
        stop.add(&socket).map_err(told)?;
        connect(socket.as_raw_fd(), &SockaddrStorage::from(address)).map_err(|errno| told(errno.into()))?;
        Ok::<_, Failure>(TcpStream::from(socket))
    };
    let connected = (0..)
        .zip(port..last)
        .map(|(number, port)| Ok(Flow { number, socket: open(port, device)? }))
        .collect::<Result<_, Failure>>()?;
    let socket = open(last, None)?;
    socket.set_nodelay(true).map_err(|error| Failure::call("setting TCP_NODELAY", error))?;
    Ok((connected, Beside(socket)))
}

impl Beside {
    /// The receiver's word to begin.
    pub(crate) fn tell_to_begin(&mut self) -> Result<(), Failure> {
        self.0.write_all(&[BEGIN]).map_err(|error| Failure::call("telling the sender to begin", error))
    }

    /// Waits for the receiver's word to begin.
    pub(crate) fn wait_to_begin(&mut self) -> Result<(), Failure> {
        match self.byte("waiting for the receiver to begin")? {
            BEGIN => Ok(()),
            other => {
                Err(Failure::Failed(format!("the receiver began with {other:#04x}: it is no assay-bench")))
            }
        }
    }

    /// The sender's account: how much went on each flow, in their order.
    pub(crate) fn tell_sent(&mut self, bytes: impl Iterator<Item = u64>) -> Result<(), Failure> {
        let account: Vec<u8> = bytes.flat_map(u64::to_le_bytes).collect();
        self.0.write_all(&account).map_err(|error| Failure::call("telling the receiver what was sent", error))
    }

    /// Waits for the sender's account.
    pub(crate) fn wait_sent(&mut self, flows: u16) -> Result<Vec<u64>, Failure> {
        let mut account = vec![0; 8 * usize::from(flows)];
        self.0.read_exact(&mut account).map_err(|error| gone("sender", "telling what it had sent", error))?;
        Ok(account
            .chunks_exact(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("chunks of 8")))
            .collect())
    }

    /// The receiver's account.
    pub(crate) fn tell_whether_right(&mut self, right: bool) -> Result<(), Failure> {
        let word = if right { RIGHT } else { WRONG };
        self.0.write_all(&[word]).map_err(|error| Failure::call("telling the sender how it went", error))
    }

    /// Waits until the receiver has all.
    pub(crate) fn wait_whether_right(&mut self) -> Result<(), Failure> {
        match self.byte("telling that all had come")? {
            RIGHT => Ok(()),
            _ => Err(Failure::FoundCorrupt),
        }
    }

    fn byte(&mut self, before: &str) -> Result<u8, Failure> {
        let mut byte = [0];
        self.0.read_exact(&mut byte).map_err(|error| gone("receiver", before, error))?;
        Ok(byte[0])
    }
}

fn gone(who: &str, before: &str, error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            Failure::Failed(format!("the {who} ended before {before}"))
        }
        _ => Failure::call(&format!("the {who}, before {before}"), error),
    }
}
