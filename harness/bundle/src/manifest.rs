//! The first member: what all the others are.

use serde::{Deserialize, Serialize};

use crate::{Damage, Limits, member::check_names};

/// The version of a bundle's form. A reader refuses a newer one.
pub const FORMAT: u32 = 1;

/// The manifest's own name.
pub const MANIFEST: &str = "manifest.json";

/// What every manifest says of itself.
pub(crate) const KIND: &str = "assay bundle";

/// What a bundle is and holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `assay bundle`.
    pub(crate) kind: String,
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// Version of the `assay` that wrote it.
    pub assay: String,
    /// The run's name.
    pub run: String,
    /// Whether it has what guests booted.
    pub images: bool,
    /// What of the run is not in it although it was asked for, in words.
    pub without: Vec<String>,
    /// Every other member, in the order of the archive.
    pub members: Vec<Member>,
}

/// A file in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name, and its path once it is unpacked.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// In hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// The member called `path`.
    #[must_use]
    pub fn member(&self, path: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.path == path)
    }

    /// Bytes of all members.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.members.iter().fold(0, |sum, member| sum.saturating_add(member.size))
    }

    /// Reads a stranger's manifest and holds it against the rules.
    pub(crate) fn parse(text: &[u8], limits: &Limits) -> Result<Self, Damage> {
        #[derive(Deserialize)]
        struct Version {
            kind: String,
            format: u32,
        }
        let not = |reason: String| Damage::NotABundle { reason };
        // A newer format may have any shape, so that only its version is read first.
        let version: Version = serde_json::from_slice(text)
            .map_err(|error| not(format!("its {MANIFEST} does not parse: {error}")))?;
        if version.kind != KIND {
            return Err(not(format!("its {MANIFEST} is of another kind")));
        }
        if version.format > FORMAT {
            return Err(Damage::Newer { found: version.format, supported: FORMAT });
        }
        let manifest: Self = serde_json::from_slice(text)
            .map_err(|error| not(format!("its {MANIFEST} does not parse: {error}")))?;
        manifest.check(limits)?;
        Ok(manifest)
    }

    fn check(&self, limits: &Limits) -> Result<(), Damage> {
        let too_large = |what: String, limit: String| Damage::TooLarge { what, limit };
        if self.members.len() > limits.members {
            return Err(too_large(format!("{} members", self.members.len()), limits.members.to_string()));
        }
        check_names(std::iter::once(MANIFEST).chain(self.members.iter().map(|member| member.path.as_str())))?;
        for Member { path, size, sha256 } in &self.members {
            if *size > limits.member {
                return Err(too_large(format!("`{path}` has {size} bytes"), limits.member.to_string()));
            }
            let is_digest = sha256.len() == 64
                && sha256.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            if !is_digest {
                let reason = "has no sha256 in the manifest".to_owned();
                return Err(Damage::Hostile { member: path.clone(), reason });
            }
        }
        if self.bytes() > limits.total {
            return Err(too_large(format!("{} bytes in all", self.bytes()), limits.total.to_string()));
        }
        let words = [&self.assay, &self.run].into_iter().chain(&self.without);
        if words.clone().any(|text| text.len() > 400 || text.chars().any(char::is_control)) {
            let reason = format!("its {MANIFEST} names things that are no names");
            return Err(Damage::NotABundle { reason });
        }
        Ok(())
    }
}
