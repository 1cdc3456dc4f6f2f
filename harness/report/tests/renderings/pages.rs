//! The HTML page: well-formed, self-contained, bounded, and safe whatever guests and tools say.

use html5ever::{ParseOpts, parse_document, tendril::TendrilSink as _};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use measure::{ApplyFailure, BuildEnd, CrashKind, CrashReport, TrialEnd};
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use report::{Model, html};

use crate::{
    baseline,
    lab::{self, Lab},
};

/// Everything that can be on a page.
fn rich(text: &str) -> Model {
    let crash = TrialEnd::Crashed {
        report: CrashReport {
            kind: CrashKind::Oops,
            guest: "server".into(),
            title: text.into(),
            excerpt: format!("first\n{text}\nlast").repeat(30),
            cpus: vec![],
        },
        samples: vec![],
    };
    let stale = BuildEnd::DoesNotApply(ApplyFailure {
        patch: text.into(),
        file: Some(text.into()),
        line: Some(7),
        hunk: Some(format!("-{text}\n+{text}")),
        message: text.into(),
    });
    let broken = BuildEnd::DoesNotCompile { errors: text.into(), log: text.into() };
    let mut lab = baseline(&["hooks", "slow", "crashes", "stale", "broken"])
        .boots("hooks", 0.001, -0.002, 1.0)
        .boots("slow", -0.2, 0.3, 1.0)
        .ended("crashes", 0..2, &crash)
        .ended("crashes", 2..3, &TrialEnd::NotTestable { message: text.into() })
        .built("stale", stale)
        .built("broken", broken);
    lab.plan.question = text.into();
    lab.plan.name = text.into();
    for trial in &mut lab.trials {
        trial.unavailable.push(text.into());
        trial.warnings.push(text.into());
        for facts in trial.facts.values_mut() {
            facts.cmdline = text.into();
            facts.mitigations.insert(text.into(), format!("Vulnerable {text}"));
            facts.iommu.insert(text.into(), text.into());
        }
    }
    let mut model = lab.model();
    model.host.cpu = Some(text.into());
    model.run.repeat.push(text.into());
    model.warnings.push(text.into());
    model
}

fn parse(page: &str) -> RcDom {
    let dom = parse_document(RcDom::default(), ParseOpts::default()).one(page);
    let errors = dom.errors.borrow().clone();
    assert!(errors.is_empty(), "{errors:?}");
    dom
}

/// An element's name and attributes.
type Element = (String, Vec<(String, String)>);

fn elements(node: &Handle, found: &mut Vec<Element>) {
    if let NodeData::Element { name, attrs, .. } = &node.data {
        let attributes = attrs.borrow();
        let attributes = attributes.iter().map(|a| (a.name.local.to_string(), a.value.to_string()));
        found.push((name.local.to_string(), attributes.collect()));
    }
    node.children.borrow().iter().for_each(|child| elements(child, found));
}

/// What must hold of every page.
fn check(page: &str) {
    let mut found = Vec::new();
    elements(&parse(page).document, &mut found);
    let count = |name: &str| found.iter().filter(|(element, _)| element == name).count();
    assert_eq!([count("script"), count("style"), count("h1"), count("main")], [1; 4]);
    let loading =
        ["link", "img", "iframe", "object", "embed", "base", "form", "use", "image", "foreignObject"];
    assert!(loading.iter().all(|name| count(name) == 0));
    let mut ids = Vec::new();
    let mut level = 0;
    for (element, attributes) in &found {
        for (name, value) in attributes {
            assert!(!name.starts_with("on") && name != "style" && name != "src", "{element} {name}={value}");
            if name == "href" {
                assert!(value.starts_with('#'), "{value}");
            }
            if name == "id" {
                assert!(!ids.contains(value), "{value} twice");
                ids.push(value.clone());
            }
        }
        if let Some(next) = element.strip_prefix('h').and_then(|level| level.parse::<usize>().ok()) {
            assert!(next <= level + 1, "h{next} after h{level}");
            level = next;
        }
    }
    let targets = found.iter().flat_map(|(_, attributes)| attributes).filter(|(name, _)| name == "href");
    for (_, target) in targets {
        assert!(ids.iter().any(|id| target == &format!("#{id}")), "{target} leads nowhere");
    }
    assert!(!page.contains("url(") && !page.contains("@import"));
    check_charts(page);
}

/// Every chart is XML of its own, has a title, and no coordinate that is not a number.
fn check_charts(page: &str) {
    for chart in page.split("<svg").skip(1) {
        let chart = format!("<svg{}</svg>", chart.split("</svg>").next().unwrap_or_default());
        let document = roxmltree::Document::parse(&chart).unwrap_or_else(|error| panic!("{error}: {chart}"));
        let root = document.root_element();
        let title = root.children().find(|child| child.has_tag_name("title")).and_then(|title| title.text());
        assert!(title.is_some() || root.attribute("aria-hidden") == Some("true"), "{chart}");
        for attribute in document.descendants().flat_map(|node| node.attributes()) {
            assert!(!attribute.value().contains("NaN") && !attribute.value().contains("inf"), "{chart}");
        }
    }
}

#[test]
fn every_kind_of_result_makes_a_sound_page() {
    let noisy = baseline(&["hooks"]).boots("hooks", 0.004, 0.018, 9.0).model();
    let better = baseline(&["fast"]).boots("fast", 0.2, -0.2, 1.0).model();
    let single = baseline(&[]).model();
    let nothing = Lab::new(&["hooks"]).model();
    for (model, words) in [
        (&noisy, vec!["unclear", "could have shown"]),
        (&better, vec!["better", "holds"]),
        (&single, vec!["Everything that was measured"]),
        (&nothing, vec!["not compared"]),
        (&rich("plain"), vec!["same", "worse", "does not apply", "does not compile", "oops", "not testable"]),
    ] {
        let page = html(model);
        check(&page);
        for word in words {
            assert!(page.contains(word), "no {word:?} in {page}");
        }
    }
}

#[test]
fn a_small_page() {
    let mut model = baseline(&["broken"]).ended("broken", 0..2, &lab::panic()).model();
    model.explored.truncate(3);
    let page = html(&model);
    // The style has a test of its own: it is looked at.
    let (before, rest) = page.split_once("<style>").unwrap();
    let (style, after) = rest.split_once("</style>").unwrap();
    assert!(style.contains("prefers-color-scheme: dark"));
    let (before, hashes) = before.split_once("default-src").unwrap();
    let (_, between) = hashes.split_once("form-action").unwrap();
    let page = format!("{before}POLICY {between}<style></style>{after}");
    insta::assert_snapshot!("small.html", page.replace("><", ">\n<"));
}

#[test]
fn everything_is_there_without_the_script() {
    let page = html(&baseline(&["hooks"]).boots("hooks", 0.0, 0.0, 1.0).model());
    let (with, _) = page.split_once("<script>").unwrap();
    for words in
        ["Gates, boot by boot", "Latency by percentile", "boot-time", "To repeat it", "What the words mean"]
    {
        assert!(with.contains(words), "{words}");
    }
}

#[test]
fn thousands_of_series_make_a_page_of_less_than_three_megabytes() {
    let mut model = baseline(&["hooks"]).boots("hooks", 0.0, 0.0, 1.0).model();
    let row = model.explored[0].clone();
    let dims = |n: usize| [("core".to_owned(), n.to_string())].into();
    model.explored = (0..5000)
        .map(|n| {
            let mut row = row.clone();
            row.series.dims = dims(n);
            row
        })
        .collect();
    let page = html(&model);
    assert!(page.len() < 3_000_000, "{}", page.len());
    assert!(page.contains("The page shows 2000 of 5000 rows"), "what is left out is said");
    check(&page);
}

#[test]
fn long_text_is_cut() {
    let page = html(&rich(&"x".repeat(200_000)));
    assert!(page.len() < 1_000_000, "{}", page.len());
    assert!(page.contains("more characters]"));
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn hostile_text_stays_text(text in hostile()) {
        check(&html(&rich(&text)));
    }
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("</script><script>alert(1)</script>".to_owned()),
        Just("\"><img src=x onerror=alert(1)>".to_owned()),
        Just("'--!><!-- ]]></style></svg></title></pre>".to_owned()),
        Just("\u{0}\u{1b}[2J\u{202e}\r\u{85}\u{feff}\u{fdd0}".to_owned()),
        "[<>&\"'`/=a-z\\-!\\[\\] \n]{0,80}",
        "\\PC{0,60}",
    ]
}
