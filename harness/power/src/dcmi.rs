//! The platform's own meter, through `ipmitool dcmi power reading` (IPMI DCMI 1.5, 6.6.1 Get Power Reading).

use std::{
    path::Path,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

use measure::{Metered, Provenance};
use subprocess::{Supervisor, Tool};

use crate::{READING, mean, milliwatts};

/// The devices of one interface or the other (drivers/char/ipmi/ipmi_devintf.c).
const DEVICES: [&str; 2] = ["ipmi0", "ipmi/0"];

/// Meters of this kind give a new value about once in a second.
const EVERY: Duration = Duration::from_secs(1);

/// Asks the meter while a window lasts.
#[derive(Debug)]
pub(crate) struct Sampler {
    /// Closed to end it.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<Result<Vec<f64>, String>>>,
}

pub(crate) fn sample(dev: &Path, supervisor: &Supervisor) -> Result<Sampler, String> {
    if !DEVICES.iter().any(|device| dev.join(device).exists()) {
        return Err("no IPMI device".to_owned());
    }
    let (end, ended) = mpsc::channel();
    let supervisor = supervisor.clone();
    let work = move || {
        let mut watts = Vec::new();
        loop {
            watts.push(ask(&supervisor)?);
            if ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                return Ok(watts);
            }
        }
    };
    let thread = std::thread::Builder::new().name("dcmi".to_owned()).spawn(work);
    let thread = thread.map_err(|error| format!("starting a thread: {error}"))?;
    Ok(Sampler { end: Some(end), thread: Some(thread) })
}

fn ask(supervisor: &Supervisor) -> Result<f64, String> {
    let output = Tool::new("ipmitool").args(["dcmi", "power", "reading"]).deadline(READING).run(supervisor);
    parse(&String::from_utf8_lossy(&output.map_err(|error| error.to_string())?.stdout))
}

/// The value of its line `Instantaneous power reading`.
fn parse(text: &str) -> Result<f64, String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Instantaneous power reading:"));
    let watts = line.and_then(|value| value.trim().strip_suffix("Watts")?.trim().parse::<f64>().ok());
    if text
        .lines()
        .any(|line| line.trim().starts_with("Power reading state is:") && line.contains("deactivated"))
    {
        return Err("its power reading is deactivated".to_owned());
    }
    watts.filter(|watts| *watts > 0.0).ok_or_else(|| "ipmitool tells no power".to_owned())
}

impl Sampler {
    /// Ends it.
    pub(crate) fn mean(mut self) -> Result<Metered, String> {
        drop(self.end.take());
        let thread = self.thread.take().ok_or("it was ended before")?;
        let watts = thread.join().map_err(|_| "the thread that asked it died".to_owned())??;
        let milliwatts = mean(&watts).and_then(milliwatts).ok_or("it told nothing")?;
        Ok(Metered { milliwatts, provenance: Provenance::Dcmi })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `ipmitool dcmi power reading` writes it (lib/ipmi_dcmi.c, `ipmi_print_power_reading`).
    const READING: &str = "
    Instantaneous power reading:                   231 Watts
    Minimum during sampling period:                180 Watts
    Maximum during sampling period:                402 Watts
    Average power reading over sample period:      229 Watts
    IPMI timestamp:                           Sun Nov 22 03:14:31 2026
    Sampling period:                          00000005 Seconds.
    Power reading state is:                   activated

";

    #[test]
    fn the_instantaneous_reading_is_taken() {
        assert_eq!(parse(READING), Ok(231.0));
        assert_eq!(
            parse(&READING.replace("activated", "deactivated")),
            Err("its power reading is deactivated".to_owned())
        );
        for none in ["", "Instantaneous power reading: 0 Watts", "Instantaneous power reading: many Watts"] {
            assert_eq!(parse(none), Err("ipmitool tells no power".to_owned()), "{none}");
        }
    }

    #[test]
    fn a_host_without_the_device_says_so() {
        let dev = tempfile::tempdir().unwrap();
        assert_eq!(sample(dev.path(), &Supervisor::for_tests()).unwrap_err(), "no IPMI device");
    }
}
