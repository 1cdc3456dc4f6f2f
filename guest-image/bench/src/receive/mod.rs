//! The receiver.

use std::io::Write;

use flow::{LISTENING, Nic, Receive, ReceiveMode, Report, Side};
use nix::unistd::Pid;

use crate::{
    conversation::{Beside, Flow, Listening, each},
    error::Failure,
    nic::{self, Setup, counters},
    payload::{Mismatch, Payload},
    report::{self, Around},
    stop::Stop,
    tally::Tally,
    window::{Sleep, Window},
};

mod devmem;
mod mapped;
mod plain;
mod zcrx;

/// What a mode has ready before anybody connects. Dropping it gives the queue back.
#[derive(Debug)]
enum Source {
    Plain,
    Mapped,
    Devmem(devmem::Binding),
    Zcrx(Box<zcrx::Instance>),
}

impl Source {
    fn new(receive: &Receive, nic: Option<&Setup>) -> Result<Self, Failure> {
        Ok(match receive.mode {
            ReceiveMode::Plain => Self::Plain,
            ReceiveMode::TcpZerocopy => Self::Mapped,
            ReceiveMode::Devmem { udmabuf, tokens } => {
                let (nic, queue) = queue(receive.nic.as_ref(), nic)?;
                Self::Devmem(devmem::Binding::new(nic, queue, udmabuf, tokens)?)
            }
            ReceiveMode::Zcrx(ring) => {
                let queue = queue(receive.nic.as_ref(), nic)?;
                Self::Zcrx(Box::new(zcrx::Instance::new(Some(queue), ring)?))
            }
            ReceiveMode::ZcrxNodev(ring) => Self::Zcrx(Box::new(zcrx::Instance::new(None, ring)?)),
        })
    }

    fn receive(&mut self, flows: &[Flow], receive: &Receive) -> Result<Tally, Failure> {
        match self {
            Self::Plain => each(flows, |flow| plain::receive(flow, receive)),
            Self::Mapped => each(flows, |flow| mapped::receive(flow, receive)),
            Self::Devmem(binding) => each(flows, |flow| devmem::receive(binding, flow, receive)),
            Self::Zcrx(instance) => {
                let sleep = Sleep::begin();
                let mut tally = instance.receive(flows, receive)?;
                tally.blocked = sleep.end();
                Ok(tally)
            }
        }
    }
}

fn queue<'a>(asked: Option<&Nic>, nic: Option<&'a Setup>) -> Result<(&'a Setup, u32), Failure> {
    nic.zip(asked.and_then(|nic| nic.queue))
        .ok_or_else(|| Failure::Misuse("the mode needs a NIC's queue: --interface and --queue".to_owned()))
}

/// Receives a stream.
pub(crate) fn run(receive: &Receive, stop: &Stop) -> Result<Report, Failure> {
    if let Some(cpu) = receive.cpu {
        nic::pin(Pid::from_raw(0), cpu)?;
    }
    // Dropped in the opposite order: memory is unbound before the NIC is put back.
    let mut nic = receive.nic.as_ref().map(|nic| Setup::new(nic, receive)).transpose()?;
    let mut source = Source::new(receive, nic.as_ref())?;
    let report = serve(receive, &mut source, nic.as_mut(), stop);
    // What still lies in the sockets is in the memory that goes.
    stop.forget();
    drop(source);
    let unbound = match &nic {
        Some(nic) if receive.mode.needs_queue() => nic.wait_unbound(),
        _ => Ok(()),
    };
    drop(nic);
    // A NIC that is gone has ended the stream, too: that is what is told.
    report.and_then(|report| unbound.map(|()| report))
}

fn serve(
    receive: &Receive,
    source: &mut Source,
    mut nic: Option<&mut Setup>,
    stop: &Stop,
) -> Result<Report, Failure> {
    match (receive.softirq_cpu, nic.as_mut()) {
        (Some(cpu), Some(nic)) => nic.serve_on(cpu)?,
        (Some(_), None) => {
            return Err(Failure::Misuse(
                "--softirq-cpu is about a NIC's queue: name it with --interface".to_owned(),
            ));
        }
        (None, _) => {}
    }
    let listening = Listening::open(receive.address, receive.port, receive.flows, stop)?;
    println!("{LISTENING} {} {}", receive.address, receive.port);
    std::io::stdout().flush().map_err(|error| Failure::call("saying that it listens", error))?;
    let (flows, mut beside) = listening.accept(stop)?;

    let interface = nic.as_ref().map(|nic| (nic.interface().to_owned(), nic.index()));
    let state = nic.as_ref().map(|nic| nic.state()).transpose()?;
    let before = counters::read(interface.as_ref());
    let window = Window::begin(receive.mark)?;
    beside.tell_to_begin()?;
    let received = source.receive(&flows, receive);
    let passed = window.end()?;
    let after = counters::read(interface.as_ref());
    let tally = account(received, &mut beside, receive.flows)?;

    let side = Side::Receive(receive.mode);
    Ok(report::put_together(side, receive.flows, tally, passed, Around { nic: state, before, after }))
}

/// Compares what came with what the sender says, and tells it.
fn account(received: Result<Tally, Failure>, beside: &mut Beside, flows: u16) -> Result<Tally, Failure> {
    let tally = match received {
        Err(corrupt @ Failure::Corrupt { .. }) => {
            // It is still sending, and need not be told anything if it is gone.
            let _ = beside.tell_whether_right(false);
            return Err(corrupt);
        }
        received => received?,
    };
    let sent = beside.wait_sent(flows)?;
    for (flow, sent) in (0..).zip(sent) {
        let came = tally.bytes.get(&flow).copied().unwrap_or(0);
        if came != sent {
            let _ = beside.tell_whether_right(false);
            return Err(Failure::Failed(format!("flow {flow}: {came} bytes came of {sent} that were sent")));
        }
    }
    beside.tell_whether_right(true)?;
    Ok(tally)
}

/// How far a flow has come, and whether what came was right.
#[derive(Debug)]
struct Check {
    flow: u16,
    position: u64,
    payload: Option<Payload>,
}

impl Check {
    fn new(flow: &Flow, receive: &Receive) -> Self {
        let payload = receive.verify.then(|| Payload::of_flow(flow.number));
        Self { flow: flow.number, position: 0, payload }
    }

    /// The next bytes of the stream.
    fn next(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if let Some(payload) = self.payload {
            payload.check(self.position, bytes).map_err(|Mismatch { position, expected, found }| {
                Failure::Corrupt { flow: self.flow, position, expected, found }
            })?;
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn finish(self, tally: &mut Tally) {
        tally.bytes.insert(self.flow, self.position);
        if self.payload.is_some() {
            *tally.verified.get_or_insert(0) += self.position;
        }
    }
}
