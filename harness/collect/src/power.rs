//! What the host takes while a workload runs.

use measure::{MetricDef, Window, metric};

use crate::{Reduced, files::float};

const METRICS: [MetricDef; 1] = [metric::POWER];

pub(crate) fn reduce(window: &Window, reduced: &mut Reduced) {
    let Some(readings) = &window.power else {
        return reduced.lack(&METRICS, &[], "the host's meters were not read");
    };
    for (meter, metered) in readings {
        let dims = [("meter", meter.as_str())];
        match metered {
            Ok(metered) => {
                reduced.add(&metric::POWER, float(metered.milliwatts) / 1e3, metered.provenance, &dims);
            }
            Err(why) => reduced.lack(&METRICS, &dims, why),
        }
    }
}
