//! Return on investment by power: what a tool measured, over what the host's meters say.

use measure::{Definition, Dims, Sample, metric};
use plan::{Roi, WorkloadKind};

/// Meters that see most of a host come first: at the plug, the platform's, the whole package and more.
const WHOLE: [&str; 3] = ["external", "dcmi", "psys"];
/// What the zones of processors begin with; a zone within a package has another word after its name.
const PACKAGE: &str = "package-";

/// Throughput to the power n over power to the power m; nothing where there is no throughput, or no meter that told.
pub(crate) fn roi(
    kind: &WorkloadKind,
    measured: &[Sample],
    collected: &[Sample],
) -> Option<Result<Sample, String>> {
    let roi = match kind {
        WorkloadKind::Stream(stream) => stream.roi,
        WorkloadKind::Iperf3(_) => Roi::default(),
        WorkloadKind::Sockperf(_)
        | WorkloadKind::Command(_)
        | WorkloadKind::Ktap(_)
        | WorkloadKind::Imported(_) => return None,
    };
    let of = |metric: &Definition<'_>, samples: &[Sample]| -> Vec<Sample> {
        samples.iter().filter(|sample| sample.metric == metric.name).cloned().collect()
    };
    let throughput: f64 = of(&metric::THROUGHPUT, measured).iter().map(|sample| sample.value).sum();
    let meters = of(&metric::POWER, collected);
    let named = |name: &&str| {
        meters.iter().find(|sample| sample.dims.get("meter").is_some_and(|meter| meter == name))
    };
    let packages = || {
        let is_package = |sample: &&Sample| {
            sample.dims.get("meter").is_some_and(|meter| meter.starts_with(PACKAGE) && !meter.contains(' '))
        };
        let packages: Vec<&Sample> = meters.iter().filter(is_package).collect();
        let first = packages.first()?;
        Some((packages.iter().map(|sample| sample.value).sum::<f64>(), first.provenance))
    };
    let whole = WHOLE.iter().find_map(named).map(|sample| (sample.value, sample.provenance));
    let Some((watts, provenance)) = whole.or_else(packages) else {
        return Some(Err(format!("{}: no meter told what the host takes", metric::ROI_POWER.name)));
    };
    let value = (throughput / 1e9).powf(roi.throughput) / watts.powf(roi.power);
    Some(
        Sample::new(&metric::ROI_POWER, value, Dims::new(), provenance)
            .ok_or_else(|| format!("{}: {watts} W of power are none", metric::ROI_POWER.name)),
    )
}

#[cfg(test)]
mod tests {
    use measure::Provenance;

    use super::*;

    fn sample(metric: &Definition<'_>, value: f64, dims: &[(&str, &str)], provenance: Provenance) -> Sample {
        let dims = dims.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Sample::new(metric, value, dims, provenance).unwrap()
    }

    fn watts(meter: &str, watts: f64, provenance: Provenance) -> Sample {
        sample(&metric::POWER, watts, &[("meter", meter)], provenance)
    }

    #[test]
    fn the_meter_that_sees_most_is_taken_and_packages_add_up() {
        let iperf3 = plan::Iperf3 {
            flows: 1,
            direction: plan::Iperf3Direction::ClientToServer,
            amount: plan::Amount::Seconds(1),
            warmup_s: 0,
            message_bytes: 1,
            congestion: None,
        };
        let kind = WorkloadKind::Iperf3(iperf3);
        let throughput =
            [sample(&metric::THROUGHPUT, 10e9, &[("direction", "client-to-server")], Provenance::Iperf3)];
        let mut meters = vec![
            watts("package-0", 60.0, Provenance::Rapl),
            watts("package-1", 40.0, Provenance::Rapl),
            watts("package-1 dram", 5.0, Provenance::Rapl),
        ];
        // 10^2 / 100.
        assert_eq!(roi(&kind, &throughput, &meters).unwrap().unwrap().value, 1.0);
        meters.push(watts("external", 200.0, Provenance::Meter));
        let one = roi(&kind, &throughput, &meters).unwrap().unwrap();
        assert_eq!((one.value, one.provenance), (0.5, Provenance::Meter));
        assert!(roi(&kind, &throughput, &[]).unwrap().unwrap_err().contains("no meter"));
    }
}
