//! An [`Ask`] as the program's arguments. Sizes are rendered in bytes, times in milliseconds.

use std::fmt::Display;

use crate::{Amount, Ask, Nic, Receive, ReceiveMode, Ring, Send, SendMode};

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn option(&mut self, name: &str, value: impl Display) {
        self.0.push(format!("--{name}"));
        self.0.push(value.to_string());
    }

    fn some<T: Display>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.option(name, value);
        }
    }

    fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.0.push(format!("--{name}"));
        }
    }

    fn ring(&mut self, ring: &Ring) {
        self.option("area", ring.area);
        self.option("refill-entries", ring.refill_entries);
        self.flag("no-iowait", ring.no_iowait);
    }

    fn nic(&mut self, nic: &Nic) {
        let switch = |on| if on { "on" } else { "off" };
        self.option("interface", &nic.interface);
        self.some("queue", nic.queue);
        self.flag("no-steer", !nic.steer);
        self.some("header-split", nic.header_split.map(switch));
        self.some("header-split-threshold", nic.header_split_threshold);
        self.some("hardware-gro", nic.hardware_gro.map(switch));
        self.some("receive-ring", nic.receive_ring);
    }
}

impl Ask {
    /// The arguments of [`crate::PROGRAM`], its name not among them.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Arguments::default();
        match self {
            Self::Receive(receive) => receive.render(&mut arguments),
            Self::Send(send) => send.render(&mut arguments),
        }
        arguments.0
    }
}

impl Receive {
    fn render(&self, arguments: &mut Arguments) {
        arguments.0.push("receive".to_owned());
        arguments.option("mode", self.mode.name());
        match &self.mode {
            ReceiveMode::Plain | ReceiveMode::TcpZerocopy => {}
            ReceiveMode::Devmem { udmabuf, tokens } => {
                arguments.option("udmabuf", udmabuf);
                arguments.option("token-batch", tokens.batch);
                arguments.option("accumulate", tokens.accumulate);
            }
            ReceiveMode::Zcrx(ring) | ReceiveMode::ZcrxNodev(ring) => arguments.ring(ring),
        }
        arguments.option("address", self.address);
        arguments.option("port", self.port);
        arguments.option("flows", self.flows);
        arguments.option("read-size", self.read_size);
        arguments.flag("verify", self.verify);
        if let Some(nic) = &self.nic {
            arguments.nic(nic);
        }
        arguments.some("cpu", self.cpu);
        arguments.some("softirq-cpu", self.softirq_cpu);
        arguments.some("mark", self.mark);
        arguments.option("deadline", format_args!("{}ms", self.deadline.as_millis()));
    }
}

impl Send {
    fn render(&self, arguments: &mut Arguments) {
        arguments.0.push("send".to_owned());
        arguments.option("mode", self.mode.name());
        if let SendMode::UringZerocopy { no_iowait } = self.mode {
            arguments.flag("no-iowait", no_iowait);
        }
        arguments.option("address", self.address);
        arguments.option("port", self.port);
        arguments.option("flows", self.flows);
        arguments.option("message-size", self.message_size);
        match self.amount {
            Amount::Bytes(bytes) => arguments.option("bytes", bytes),
            Amount::Duration(time) => arguments.option("duration", format_args!("{}ms", time.as_millis())),
        }
        arguments.flag("verify", self.verify);
        arguments.some("interface", self.interface.as_ref());
        arguments.some("cpu", self.cpu);
        arguments.some("mark", self.mark);
        arguments.option("deadline", format_args!("{}ms", self.deadline.as_millis()));
    }
}
