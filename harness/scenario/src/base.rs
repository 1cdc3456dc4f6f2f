//! `kernels/NAME.yaml` to a [`plan::Base`].

use std::path::Path;

use plan::{Base, ConfigFragment, ConfigStart, Flavour, KernelConfig, Source};

use crate::{
    fields::{Fields, entries, items, text_of},
    overrides::option,
    problem::{Findings, Place, Problems},
    project::{Project, existing_path, read_text, read_yaml},
    schema::{self, BASE_NAME, FRAGMENT_NAME, PACKAGE_VERSION, SUITE, TREE_PATH, one_of},
    tree::Node,
    value::suggestion,
};

/// The base called `name`: `kernels/NAME.yaml`.
///
/// # Errors
/// Everything that is wrong with its file.
pub fn base(name: &str, project: &Project) -> Result<Base, Problems> {
    let mut findings = Findings::default();
    let place = Place::file(&project.kernels(), None);
    let base = read_base(name, &place, project, &mut findings);
    findings.conclude(base)
}

/// `base` in another flavour: with the fragment of `kernels/fragments/` that makes it, unless it has that already.
///
/// # Errors
/// If the base is prebuilt, or there is no such fragment.
pub fn flavoured(base: Base, flavour: Flavour, project: &Project) -> Result<Base, Problems> {
    let mut findings = Findings::default();
    let base = in_flavour(base, flavour, &option("--flavour"), project, &mut findings);
    findings.conclude(base)
}

/// `base` in the flavour that is asked for at `asked_at`.
pub(crate) fn in_flavour(
    mut base: Base,
    flavour: Flavour,
    asked_at: &Place,
    project: &Project,
    findings: &mut Findings,
) -> Option<Base> {
    let Some(name) = flavour.fragment() else { return Some(base) };
    if is_prebuilt(&base.source) {
        let message = format!("`{}` is prebuilt: it has no {} flavour", base.name, flavour.word());
        findings.add(asked_at, message, "a base that is built from source");
        return None;
    }
    if base.config.fragments.iter().all(|fragment| fragment.name != name) {
        base.config.fragments.push(fragment(name, asked_at, project, findings)?);
    }
    base.flavour = flavour;
    Some(base)
}

/// The base called `name`; that there is none is told at `named_at`.
pub(crate) fn read_base(
    name: &str,
    named_at: &Place,
    project: &Project,
    findings: &mut Findings,
) -> Option<Base> {
    let known = project.bases();
    if !known.iter().any(|base| base == name) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let message = format!("there is no base `{name}`{}", suggestion(name, &known));
        findings.add(named_at, message, one_of(&known));
        return None;
    }
    debug_assert!((BASE_NAME.holds)(name), "only well-formed names are listed");
    let file = read_yaml(&project.kernels().join(format!("{name}.yaml")), findings)?;
    let fields = Fields::open(&file.root, &schema::KERNEL, findings)?;
    let version = fields.text("version", findings);
    let source = fields.given("source").and_then(|node| source(node, project, findings));
    let config = match (&source, fields.given("config")) {
        (Some(source), Some(node)) if is_prebuilt(source) => {
            findings.add(&node.place, "a prebuilt kernel is not configured", "no config");
            None
        }
        (Some(source), None) if is_prebuilt(source) => Some(KernelConfig {
            start: ConfigStart::Tinyconfig,
            fragments: Vec::new(),
            tree_fragments: Vec::new(),
        }),
        (Some(_), None) => {
            findings.add(fields.place(), "the key `config` is missing", "config: a map, see *Configuration*");
            None
        }
        (_, Some(node)) => config(node, project, findings),
        (None, None) => None,
    };
    Some(Base {
        name: name.to_owned(),
        version: version?,
        source: source?,
        config: config?,
        flavour: Flavour::Plain,
    })
}

/// Whether a kernel from this source exists already and cannot be patched or configured.
pub(crate) fn is_prebuilt(source: &Source) -> bool {
    match source {
        Source::DebianImage { .. } | Source::PrebuiltImage { .. } | Source::Imported => true,
        Source::DebianSource { .. } | Source::Git { .. } | Source::Tarball { .. } => false,
    }
}

fn source(node: &Node, project: &Project, findings: &mut Findings) -> Option<Source> {
    let kind_key = schema::SOURCE.key("kind");
    // A value that is no map, or has no kind: the section of all sources says so.
    let Some(kind_node) = node.get(kind_key.name) else {
        if !entries(node, "a map, see *Source*", findings).is_empty() || node.is_empty_map() {
            let allowed = format!("{}: {}", kind_key.name, kind_key.kind.allowed());
            findings.add(&node.place, "the key `kind` is missing", allowed);
        }
        return None;
    };
    let kind = match kind_key.kind.word(kind_node) {
        Ok(kind) => kind,
        Err(message) => {
            findings.add(&kind_node.place, message, kind_key.kind.allowed());
            return None;
        }
    };
    match kind {
        "debian-source" => debian(node, &schema::DEBIAN_SOURCE, findings)
            .map(|(package, suites, versions)| Source::DebianSource { package, suites, versions }),
        "debian-image" => debian(node, &schema::DEBIAN_IMAGE, findings)
            .map(|(package, suites, versions)| Source::DebianImage { package, suites, versions }),
        "git" => git(node, project, findings),
        "tarball" => tarball(node, project, findings),
        "prebuilt-image" => prebuilt_image(node, project, findings),
        _ => None,
    }
}

type DebianPackage = (String, Vec<String>, Vec<String>);

fn debian(node: &Node, section: &'static schema::Section, findings: &mut Findings) -> Option<DebianPackage> {
    let fields = Fields::open(node, section, findings)?;
    let package = fields.text("package", findings);
    let suites = list_of(&fields, "suites", SUITE, findings);
    if suites.as_ref().is_some_and(Vec::is_empty) {
        findings.add(&fields.place_of("suites"), "no suite to look in", "at least one suite");
    }
    let versions = list_of(&fields, "versions", PACKAGE_VERSION, findings);
    Some((package?, suites?, versions?))
}

/// The texts of a list, each of one form.
fn list_of(
    fields: &Fields<'_>,
    key: &str,
    syntax: schema::Syntax,
    findings: &mut Findings,
) -> Option<Vec<String>> {
    let node = fields.value(key, findings)?;
    let list = items(&node, &format!("a list; each item: {}", syntax.what), findings);
    list.iter().map(|item| text_of(item, syntax, findings)).collect::<Vec<_>>().into_iter().collect()
}

fn git(node: &Node, project: &Project, findings: &mut Findings) -> Option<Source> {
    let fields = Fields::open(node, &schema::GIT, findings)?;
    let repository = location(&fields, "repository", project, findings);
    let reference = fields.text("ref", findings);
    Some(Source::Git { repository: repository?, reference: reference? })
}

fn tarball(node: &Node, project: &Project, findings: &mut Findings) -> Option<Source> {
    let fields = Fields::open(node, &schema::TARBALL, findings)?;
    let location = location(&fields, "location", project, findings);
    let sha256 = fields.text("sha256", findings);
    Some(Source::Tarball { location: location?, sha256: sha256? })
}

/// A URL as it is, or the absolute path of something that exists.
fn location(fields: &Fields<'_>, key: &str, project: &Project, findings: &mut Findings) -> Option<String> {
    let text = fields.text(key, findings)?;
    if text.contains("://") {
        return Some(text);
    }
    let path = existing_path(&project.kernels().join(text), &fields.place_of(key), findings)?;
    path.to_str().map(str::to_owned)
}

fn prebuilt_image(node: &Node, project: &Project, findings: &mut Findings) -> Option<Source> {
    let fields = Fields::open(node, &schema::PREBUILT_IMAGE, findings)?;
    let mut path = |key: &str| match fields.optional_text(key, findings)? {
        Some(text) => existing_path(&project.kernels().join(text), &fields.place_of(key), findings).map(Some),
        None => Some(None),
    };
    let (image, modules, config) = (path("image"), path("modules"), path("config"));
    Some(Source::PrebuiltImage { image: image??, modules: modules?, config: config? })
}

fn config(node: &Node, project: &Project, findings: &mut Findings) -> Option<KernelConfig> {
    let fields = Fields::open(node, &schema::CONFIG, findings)?;
    let start = fields.text("start", findings).and_then(|text| match text.as_str() {
        "tinyconfig" => Some(ConfigStart::Tinyconfig),
        "defconfig" => Some(ConfigStart::Defconfig),
        path => fragment_file(&project.kernels().join(path), &fields.place_of("start"), findings)
            .map(ConfigStart::File),
    });
    let list = fields.value("fragments", findings)?;
    let allowed = format!("a list; each item: {}", FRAGMENT_NAME.what);
    let fragments: Vec<Option<ConfigFragment>> = items(&list, &allowed, findings)
        .iter()
        .map(|item| fragment(&text_of(item, FRAGMENT_NAME, findings)?, &item.place, project, findings))
        .collect();
    let tree_fragments = list_of(&fields, "tree-fragments", TREE_PATH, findings);
    Some(KernelConfig {
        start: start?,
        fragments: fragments.into_iter().collect::<Option<_>>()?,
        tree_fragments: tree_fragments?,
    })
}

fn fragment(
    name: &str,
    named_at: &Place,
    project: &Project,
    findings: &mut Findings,
) -> Option<ConfigFragment> {
    let folder = project.kernels().join("fragments");
    let path = folder.join(format!("{name}.config"));
    if !path.is_file() {
        let known = fragment_names(&folder);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        findings.add(
            named_at,
            format!("there is no fragment `{name}`{}", suggestion(name, &known)),
            one_of(&known),
        );
        return None;
    }
    fragment_file(&path, named_at, findings)
}

fn fragment_names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut names: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "config"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// A file of configuration lines. Anything but options and comments is a problem of that file.
fn fragment_file(path: &Path, named_at: &Place, findings: &mut Findings) -> Option<ConfigFragment> {
    let text = read_text(path, named_at, findings)?;
    let mut clean = true;
    for (index, line) in text.lines().enumerate() {
        let option = line.strip_prefix("CONFIG_").is_some_and(|rest| rest.contains('='));
        if !option && !line.trim().is_empty() && !line.starts_with('#') {
            let place = Place::file(path, Some(index + 1));
            findings.add(
                &place,
                "is no configuration line",
                "CONFIG_X=y, `# CONFIG_X is not set`, or a comment",
            );
            clean = false;
        }
    }
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    clean.then_some(ConfigFragment { name, text })
}
