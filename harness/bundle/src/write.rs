//! A bundle from its parts: the same parts give the same bytes.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};

use crate::{
    BundleError, FORMAT, MANIFEST, Manifest, Member, digest_of, hexadecimal,
    manifest::KIND,
    member::{check_names, is_member_path},
};

/// zstd's own default, which compresses kernels at disk speed to a third.
const LEVEL: i32 = 3;

/// One member that is to be.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name in the bundle.
    pub path: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a member.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Those of a file. What it must be, where that is known.
    File {
        /// Where it is.
        path: PathBuf,
        /// In hexadecimal.
        sha256: Option<String>,
    },
}

impl Content {
    fn open(&self) -> Result<Box<dyn Read + '_>, BundleError> {
        match self {
            Self::Bytes(bytes) => Ok(Box::new(bytes.as_slice())),
            Self::File { path, .. } => {
                Ok(Box::new(File::open(path).map_err(BundleError::io("reading", path))?))
            }
        }
    }

    fn place(&self, member: &str) -> PathBuf {
        match self {
            Self::Bytes(_) => member.into(),
            Self::File { path, .. } => path.clone(),
        }
    }
}

/// Writes a bundle beside `to` and renames it there, whole and durable. `about` is a manifest whose members are not known yet.
///
/// What a killed writer leaves is `TO.unfinished`, which the next one takes over.
///
/// # Errors
/// When a part has no proper name, is missing, is not what it must be or changes meanwhile; when `to` cannot be written.
pub fn write(
    to: &Path,
    run: &str,
    assay: &str,
    images: bool,
    without: Vec<String>,
    mut parts: Vec<Part>,
) -> Result<Manifest, BundleError> {
    parts.sort_by(|a, b| a.path.cmp(&b.path));
    check_names(parts.iter().map(|part| part.path.as_str())).map_err(|damage| BundleError::NotBundled {
        path: "the run".to_owned(),
        reason: damage.to_string(),
    })?;
    let members = parts.iter().map(member).collect::<Result<_, _>>()?;
    let manifest = Manifest {
        kind: KIND.to_owned(),
        format: FORMAT,
        assay: assay.to_owned(),
        run: run.to_owned(),
        images,
        without,
        members,
    };
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    let draft = to.with_file_name(name);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&draft)
        .map_err(BundleError::io("creating", &draft))?;
    let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| BundleError::io("locking", &draft)(errno.into()))?;
    let written = archive(&file, &draft, &manifest, &parts).and_then(|()| {
        file.sync_all().map_err(BundleError::io("syncing", &draft))?;
        fs::rename(&draft, to).map_err(BundleError::io("publishing", to))
    });
    if let Err(error) = written {
        // It is in nobody's way, and the next writer takes it over.
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(BundleError::io("syncing", folder))?;
    Ok(manifest)
}

/// What the manifest says of a part.
fn member(part: &Part) -> Result<Member, BundleError> {
    let Part { path, content } = part;
    if !is_member_path(path) {
        let reason = "this is no name for a member".to_owned();
        return Err(BundleError::NotBundled { path: path.clone(), reason });
    }
    let mut reader = content.open()?;
    let (sha256, size) = digest_of(&mut reader).map_err(BundleError::io("reading", content.place(path)))?;
    match content {
        Content::File { path, sha256: Some(planned) } if *planned != sha256 => Err(BundleError::Changed {
            path: path.clone(),
            reason: format!("its sha256 is {sha256} and was {planned}"),
        }),
        _ => Ok(Member { path: path.clone(), size, sha256 }),
    }
}

fn archive(file: &File, draft: &Path, manifest: &Manifest, parts: &[Part]) -> Result<(), BundleError> {
    let io = |error| BundleError::io("writing", draft)(error);
    file.set_len(0).map_err(io)?;
    let mut zstd = zstd::Encoder::new(BufWriter::new(file), LEVEL).map_err(io)?;
    zstd.include_checksum(true).map_err(io)?;
    let mut tar = tar::Builder::new(zstd);
    let text = serde_json::to_vec_pretty(manifest).expect("a manifest has string keys only");
    tar.append(&header(MANIFEST, 0, text.len() as u64).map_err(io)?, text.as_slice()).map_err(io)?;
    for (index, (member, part)) in manifest.members.iter().zip(parts).enumerate() {
        let header = header(&member.path, index + 1, member.size).map_err(io)?;
        let mut checked = Checked { inner: part.content.open()?.take(member.size), digest: Sha256::new() };
        tar.append(&header, &mut checked).map_err(io)?;
        if hexadecimal(&checked.digest.finalize()) != member.sha256 {
            let reason = "it changed while the bundle was written".to_owned();
            return Err(BundleError::Changed { path: part.content.place(&part.path), reason });
        }
    }
    let zstd = tar.into_inner().map_err(io)?;
    zstd.finish().and_then(|mut buffer| buffer.flush()).map_err(io)
}

/// A reader that digests what passes through.
struct Checked<R> {
    inner: R,
    digest: Sha256,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

/// A member's header: nobody's file, of no time.
pub(crate) fn header(path: &str, index: usize, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    // A name that does not fit into ustar's two fields is known to the manifest alone.
    if header.set_path(path).is_err() {
        header.set_path(format!("long/{index}"))?;
    }
    header.set_cksum();
    Ok(header)
}
