//! Levels that change within boots.

use measure::{Dims, Parts, Within};
use report::{Model, html, json, markdown, terminal};

use crate::{PLAIN, baseline};

/// Every boot of the candidate moves a tenth less in its first second.
pub(crate) fn warming_up() -> Model {
    let mut lab = baseline(&["hooks"]).boots("hooks", 0.001, -0.002, 1.0);
    for trial in &mut lab.trials {
        let value = |second: u32| {
            let noise = f64::from((trial.block * 7 + second * 3) % 5) / 1000.0;
            let slow = if trial.arm == "hooks" && second == 0 { 0.9 } else { 1.0 };
            1e9 * (1.0 + noise) * slow
        };
        let dims = [("workload", "tcp"), ("direction", "client-to-server")];
        let dims: Dims = dims.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let values = (0..4).map(value).collect();
        trial.within.extend(Within::new("throughput", dims, Parts::Intervals { seconds: 1.0 }, values));
    }
    lab.model()
}

#[test]
fn every_form_tells_a_change_within_boots_and_what_usually_causes_it() {
    let model = warming_up();
    assert_eq!(model.within.len(), 1, "{:?}", model.within);
    let change = &model.within[0];
    assert_eq!((change.side.as_str(), change.at, change.parts, change.boots), ("hooks", 1, 4, 8));
    let plain = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [terminal(&model, PLAIN), markdown(&model), json(&model).unwrap(), html(&model)].map(plain) {
        for words in ["the level changes within each boot, after 1 s of 4 s", "Usual causes:", "▁"] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
