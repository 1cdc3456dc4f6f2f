//! Keys: what goes into a build, and so tells two builds apart.

use plan::{ConfigStart, KernelSpec, Source};

use crate::{digest::Fields, toolchain::Toolchain};

/// Changed whenever the same inputs would give another image: flags, strip options, what is kept.
const RECIPE: &str = "1";

/// What was asked for, before anything is unpacked: the way to an image without network and without a tree.
pub(crate) fn request(spec: &KernelSpec, source: &str, toolchain: &Toolchain) -> String {
    let mut fields = configuration(Fields::new("request"), spec);
    for patch in patches(spec) {
        fields = fields.with("patch", patch);
    }
    for option in &spec.options {
        fields = fields.with("option", option.to_string());
    }
    environment(fields, source, toolchain).finish()
}

/// The objects that the arms of one base share.
pub(crate) fn objects(spec: &KernelSpec, source: &str, toolchain: &Toolchain) -> String {
    environment(configuration(Fields::new("objects"), spec), source, toolchain).finish()
}

/// The image itself, by what the compiler is really given. Two requests may lead to one image.
pub(crate) fn image(spec: &KernelSpec, source: &str, merged_config: &str, toolchain: &Toolchain) -> String {
    let mut fields = Fields::new("image").with("config", merged_config);
    for patch in patches(spec) {
        fields = fields.with("patch", patch);
    }
    environment(fields, source, toolchain).finish()
}

/// A source, to remember what it was resolved to.
pub(crate) fn source(source: &Source) -> String {
    let text = serde_json::to_vec(source).expect("a source has only strings and paths");
    Fields::new("source").with("source", text).finish()
}

pub(crate) fn patches(spec: &KernelSpec) -> impl Iterator<Item = &String> {
    spec.series.iter().flat_map(|series| &series.patches).map(|patch| &patch.sha256)
}

fn configuration(fields: Fields, spec: &KernelSpec) -> Fields {
    let config = &spec.base.config;
    let fields = match &config.start {
        ConfigStart::Tinyconfig => fields.with("start", "tinyconfig"),
        ConfigStart::Defconfig => fields.with("start", "defconfig"),
        ConfigStart::File(file) => fields.with("start file", &file.text),
    };
    let fields =
        config.fragments.iter().fold(fields, |fields, fragment| fields.with("fragment", &fragment.text));
    // What these files say follows from the source and the patches.
    config.tree_fragments.iter().fold(fields, |fields, path| fields.with("tree fragment", path))
}

fn environment(fields: Fields, source: &str, toolchain: &Toolchain) -> Fields {
    fields
        .with("source", source)
        .with("compiler", &toolchain.compiler)
        .with("linker", &toolchain.linker)
        .with("recipe", RECIPE)
}
