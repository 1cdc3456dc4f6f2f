//! The formats of `/proc/net`.

use std::collections::BTreeMap;

use crate::files::{grown, number};

/// One table of `/proc/net/snmp` or `/proc/net/netstat`: a line of names and a line of values, both after its prefix.
#[derive(Debug)]
pub(super) struct Counters {
    table: String,
    values: BTreeMap<String, String>,
}

impl Counters {
    pub(super) fn parse(text: &str, table: &str) -> Result<Self, String> {
        let prefix = format!("{table}:");
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
            return Err(format!("it has no table `{table}`"));
        };
        let names: Vec<&str> = names.split_ascii_whitespace().collect();
        let values: Vec<&str> = values.split_ascii_whitespace().collect();
        if names.len() != values.len() {
            return Err(format!("table `{table}` has {} names and {} values", names.len(), values.len()));
        }
        let values =
            names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.to_owned())).collect();
        Ok(Self { table: table.to_owned(), values })
    }

    /// A counter by its name in the kernel. Names come and go with kernels.
    pub(super) fn get(&self, name: &str) -> Result<u64, String> {
        let value = self.values.get(name);
        // Parsed only now, since some values of these tables are negative by design (`MaxConn`).
        number(value.ok_or_else(|| format!("this kernel has no `{name}` in table `{}`", self.table))?)
    }
}

/// What is of interest of one interface, in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interface {
    received: u64,
    receive_drops: u64,
    transmitted: u64,
    transmit_drops: u64,
}

/// `/proc/net/dev`: two lines of headings, then a line for each interface with eight columns of reception (the second
/// are packets, the fourth drops) and eight of transmission.
#[derive(Debug)]
pub(super) struct Interfaces(BTreeMap<String, Interface>);

impl Interfaces {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut interfaces = BTreeMap::new();
        for line in text.lines().skip(2) {
            // The name may stand right before the first number.
            let (name, columns) =
                line.rsplit_once(':').ok_or_else(|| format!("`{line}` names no interface"))?;
            let columns: Vec<&str> = columns.split_ascii_whitespace().collect();
            if columns.len() != 16 {
                return Err(format!("interface {} has {} columns, not 16", name.trim(), columns.len()));
            }
            let interface = Interface {
                received: number(columns[1])?,
                receive_drops: number(columns[3])?,
                transmitted: number(columns[9])?,
                transmit_drops: number(columns[11])?,
            };
            interfaces.insert(name.trim().to_owned(), interface);
        }
        if interfaces.is_empty() { Err("it names no interface".to_owned()) } else { Ok(Self(interfaces)) }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Those that have ever had a packet: kernels make interfaces that nobody uses.
    pub(super) fn used(&self) -> impl Iterator<Item = &str> {
        let unused = Interface { received: 0, receive_drops: 0, transmitted: 0, transmit_drops: 0 };
        self.0.iter().filter(move |(_, interface)| **interface != unused).map(|(name, _)| name.as_str())
    }

    /// What an interface dropped, in both directions, from this reading to a later one.
    pub(super) fn drops_until(&self, later: &Self, name: &str) -> Result<u64, String> {
        let drops = |reading: &Self| {
            reading.0.get(name).copied().ok_or_else(|| format!("there is no interface {name}"))
        };
        let (before, after) = (drops(self)?, drops(later)?);
        let receive = grown("the count of receive drops", before.receive_drops, after.receive_drops)?;
        let transmit = grown("the count of transmit drops", before.transmit_drops, after.transmit_drops)?;
        Ok(receive.saturating_add(transmit))
    }
}
