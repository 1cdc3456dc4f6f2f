//! The keys of `kernels/NAME.yaml` and `patches/NAME/series.yaml`.

use super::{
    Key, Kind, Section, default, optional, required,
    syntax::{CONFIG_FILE, GIT_REFERENCE, LOCATION, PACKAGE, PATH, SHA256, TITLE, VERSION_PREFIX},
};

/// A base.
pub(crate) static KERNEL: Section = Section {
    title: "Base",
    intro: "`kernels/NAME.yaml`: a kernel source tree at a version, with the configuration that the lab builds it \
            with; or a kernel that exists already.",
    keys: &[
        required("schema", Kind::Shape("1"), "Version of this format."),
        required("version", Kind::Text(VERSION_PREFIX), "What the kernel must call itself, as a prefix."),
        required("source", Kind::Shape("a map, see *Source*"), "Where it comes from."),
        optional(
            "config",
            Kind::Shape("a map, see *Configuration*"),
            "required by trees, refused with prebuilt kernels",
            "How a tree is configured.",
        ),
    ],
};

const SOURCE_KIND: Kind =
    Kind::Choice(&["debian-source", "git", "tarball", "debian-image", "prebuilt-image"]);
const SUITES: Kind = Kind::Shape("a list of suites, such as [bookworm-security, bookworm]");
const VERSIONS: Kind = Kind::Shape("a list of exact package versions");

/// What all sources have.
pub(crate) static SOURCE: Section = Section {
    title: "Source",
    intro: "`source` of a base. The other keys depend on the kind.",
    keys: &[required("kind", SOURCE_KIND, "Where the kernel comes from.")],
};

const fn suites() -> Key {
    required("suites", SUITES, "Where to look, in this order, through the machine's own mirror.")
}

const fn versions() -> Key {
    default(
        "versions",
        VERSIONS,
        "[]",
        "Exact versions that will do, best first; `[]` takes the newest that is served. The one used is recorded.",
    )
}

/// A Debian source package.
pub(crate) static DEBIAN_SOURCE: Section = Section {
    title: "debian-source",
    intro: "`kind: debian-source`: the tree of a Debian package such as linux-source-6.12.",
    keys: &[
        required("kind", SOURCE_KIND, "`debian-source`."),
        required("package", Kind::Text(PACKAGE), "The binary package that carries the tarball."),
        suites(),
        versions(),
    ],
};

/// A git tree.
pub(crate) static GIT: Section = Section {
    title: "git",
    intro: "`kind: git`: a git tree at a ref. The commit that it resolves to is recorded.",
    keys: &[
        required("kind", SOURCE_KIND, "`git`."),
        required("repository", Kind::Text(LOCATION), "A local repository, relative to this file, or a URL."),
        required("ref", Kind::Text(GIT_REFERENCE), "What to build."),
    ],
};

/// A tarball.
pub(crate) static TARBALL: Section = Section {
    title: "tarball",
    intro: "`kind: tarball`: a tarball with one top-level folder.",
    keys: &[
        required("kind", SOURCE_KIND, "`tarball`."),
        required("location", Kind::Text(LOCATION), "A file, relative to this one, or a URL."),
        required("sha256", Kind::Text(SHA256), "Of the compressed file."),
    ],
};

/// A Debian kernel package.
pub(crate) static DEBIAN_IMAGE: Section = Section {
    title: "debian-image",
    intro: "`kind: debian-image`: a Debian kernel package with its modules. It cannot be patched.",
    keys: &[
        required("kind", SOURCE_KIND, "`debian-image`."),
        required("package", Kind::Text(PACKAGE), "The package; a meta-package is followed to its kernel."),
        suites(),
        versions(),
    ],
};

/// An image on disk.
pub(crate) static PREBUILT_IMAGE: Section = Section {
    title: "prebuilt-image",
    intro: "`kind: prebuilt-image`: an image that was built elsewhere. It cannot be patched.",
    keys: &[
        required("kind", SOURCE_KIND, "`prebuilt-image`."),
        required("image", Kind::Text(PATH), "A bzImage, or an ELF vmlinux with a PVH note."),
        optional("modules", Kind::Text(PATH), "no modules", "The folder that holds `lib/modules/RELEASE`."),
        optional("config", Kind::Text(PATH), "unknown", "Its configuration, for the record."),
    ],
};

/// How a tree is configured.
pub(crate) static CONFIG: Section = Section {
    title: "Configuration",
    intro: "`config` of a base. An option that was asked for and does not survive is an error.",
    keys: &[
        default("start", Kind::Text(CONFIG_FILE), "tinyconfig", "What the fragments are merged into."),
        default(
            "fragments",
            Kind::Shape("a list of names of files in `kernels/fragments/`, without `.config`"),
            "[]",
            "Merged in this order; a later one wins.",
        ),
        default(
            "tree-fragments",
            Kind::Shape("a list of paths within the tree, such as [tools/testing/selftests/net/config]"),
            "[]",
            "What the tree's own files wish for beyond that. A wish that does not survive is told, and is no error.",
        ),
    ],
};

/// A series.
pub(crate) static SERIES: Section = Section {
    title: "Series",
    intro: "`patches/NAME/series.yaml`. The patches are files `NNNN-subject.patch`, numbered from 0001 without gaps; \
            0000 is the cover letter. A folder outside `patches/` that has no `series.yaml` is taken as patches for \
            whatever base an arm has.",
    keys: &[
        required("schema", Kind::Shape("1"), "Version of this format."),
        required("title", Kind::Text(TITLE), "The subject of the cover letter."),
        required(
            "bases",
            Kind::Shape("a map from bases to folders beside this file, or a list of bases"),
            "Which bases it applies to; with a list, the patches stand beside this file.",
        ),
    ],
};
