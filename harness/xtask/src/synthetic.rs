//! A run folder with a million samples, the same to the byte every time: 2 arms, 100 boots each, 5000 series.
//!
//! Its plan and its records come from a run on the fake machine, so that they have the shape that `assay` writes today; the
//! samples are written here.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::run::{self, Run};

const ARMS: [&str; 2] = ["baseline", "candidate"];
const BOOTS: u32 = 100;
const WORKLOADS: [&str; 4] = ["tcp", "tcp-4-flows", "tcp-16-flows", "rtt"];
/// Samples that each workload yields in a boot.
const OF_A_WORKLOAD: usize = 1250;

/// In all.
pub(crate) const SAMPLES: usize = ARMS.len() * BOOTS as usize * WORKLOADS.len() * OF_A_WORKLOAD;

/// Makes the run anew below `folder` and gives its path.
pub(crate) fn run_folder(folder: &Path) -> Result<PathBuf> {
    let results = folder.join("million");
    if results.exists() {
        fs::remove_dir_all(&results).with_context(|| format!("removing {}", results.display()))?;
    }
    let ended = Run::new(run::assay())
        .args([Path::new("--results"), &results, Path::new("--cache"), &folder.join("fake-cache")])
        .args(["run", "tests/fixtures/fake/scenarios/slower.yaml"])
        .quiet()
        .ended()?;
    // Its gate fails: the slower kernel is found to be slower.
    if ended.code != Some(1) {
        bail!("the fake run ended with {:?} and not with 1", ended.code);
    }
    let entry = fs::read_dir(&results)
        .with_context(|| format!("reading {}", results.display()))?
        .find(|entry| entry.as_ref().is_ok_and(|entry| entry.path().join("run.json").is_file()))
        .context("the fake run left no folder")?;
    let run = entry.context("reading the results folder")?.path();
    enlarge(&run)?;
    Ok(run)
}

fn enlarge(run: &Path) -> Result<()> {
    let mut file = read(&run.join("run.json"))?;
    let plan = &mut file["plan"];
    let like = plan["workloads"][0].clone();
    let workloads = WORKLOADS.iter().map(|name| {
        let mut workload = like.clone();
        workload["name"] = json!(name);
        workload
    });
    plan["workloads"] = workloads.collect();
    plan["design"]["boots"] = json!(BOOTS);
    write(&run.join("run.json"), &file)?;

    let trials = run.join("trials");
    let mut record = read(&trials.join("0/trial.json"))?;
    // Samples are made up here, so nobody has counted them.
    record.as_object_mut().context("a record is an object")?.remove("samples");
    fs::remove_dir_all(&trials).with_context(|| format!("removing {}", trials.display()))?;
    let path = run.join("samples.jsonl");
    let mut samples =
        BufWriter::new(File::create(&path).with_context(|| format!("creating {}", path.display()))?);
    let mut noise = Noise(1);
    let mut index = 0;
    for block in 0..BOOTS {
        for arm in ARMS {
            for (key, value) in [("index", json!(index)), ("block", json!(block)), ("arm", json!(arm))] {
                record[key] = value;
            }
            let folder = trials.join(index.to_string());
            fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
            write(&folder.join("trial.json"), &record)?;
            let head = format!(
                r#"{{"trial":{index},"arm":"{arm}","block":{block},"traced":false,"sample":{{"metric":""#
            );
            boot(&mut samples, &head, arm, &mut noise)
                .with_context(|| format!("writing {}", path.display()))?;
            index += 1;
        }
    }
    samples.flush().with_context(|| format!("writing {}", path.display()))
}

/// The samples of one boot.
fn boot(to: &mut impl Write, head: &str, arm: &str, noise: &mut Noise) -> std::io::Result<()> {
    let factor = if arm == "candidate" { 0.9 } else { 1.0 };
    for workload in WORKLOADS {
        let mut left = OF_A_WORKLOAD;
        let mut sample = |metric: &str, dims: &str, value: f64, provenance: &str| {
            left -= 1;
            let value = value * (1.0 + 0.05 * noise.next());
            writeln!(
                to,
                r#"{head}{metric}","value":{value},"dims":{{{dims},"workload":"{workload}"}},"provenance":"{provenance}"}}}}"#
            )
            .map(|()| left)
        };
        let guests = r#""iommu-client-eth0":"none","iommu-server-eth0":"DMA","mitigations":"on""#;
        if workload == "rtt" {
            for percentile in ["25", "50", "75", "90", "99", "99.9", "99.99", "99.999", "max", "min"] {
                let dims = format!(r#"{guests},"percentile":"{percentile}""#);
                sample("latency", &dims, 261.0, "sockperf")?;
            }
        } else {
            let dims = format!(r#""direction":"client-to-server",{guests}"#);
            sample("throughput", &dims, 557.3e6 * factor, "iperf3")?;
        }
        let mut core = 0;
        'cores: loop {
            for side in ["client", "server"] {
                for metric in CPU {
                    let dims = format!(r#""core":"{core}",{guests},"side":"{side}""#);
                    // Some cores differ between the arms, most do not.
                    let value = if core % 10 == 0 { 20.0 * factor } else { 20.0 };
                    if sample(metric, &dims, value, "procfs")? == 0 {
                        break 'cores;
                    }
                }
            }
            core += 1;
        }
    }
    Ok(())
}

const CPU: [&str; 7] =
    ["cpu-app", "cpu-system", "cpu-softirq", "cpu-iowait", "cpu-steal", "cpu-guest", "cpu-busy"];

/// A linear congruential generator (Knuth's MMIX): reproducible, and good enough to make values differ.
struct Noise(u64);

impl Noise {
    /// Between -1 and 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).expect("32 bits are left")) / f64::from(u32::MAX) * 2.0 - 1.0
    }
}

fn read(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
}

fn write(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, value.to_string()).with_context(|| format!("writing {}", path.display()))
}
