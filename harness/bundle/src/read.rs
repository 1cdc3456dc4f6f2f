//! A stranger's bundle, read once from its beginning to its end.

use std::{
    fs::{self, File, Permissions},
    io::{self, BufReader, Read, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{
    BundleError, Damage, Limits, MANIFEST, Manifest, hexadecimal, limits::WINDOW_LOG, member::shown,
    write::header,
};

/// A tar block.
const BLOCK: usize = 512;
/// An archive ends with two blocks of zeros, and GNU tar fills up to twenty.
const LONGEST_END: u64 = 20 * BLOCK as u64;

type Frame = zstd::Decoder<'static, BufReader<File>>;

/// A bundle whose manifest was read and found in order.
pub struct Reader {
    path: PathBuf,
    frame: Frame,
    manifest: Manifest,
    digest: String,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a bundle and reads its manifest, and nothing else.
    ///
    /// # Errors
    /// If it is none, is of a newer format, or breaks the rules.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, BundleError> {
        let unreadable = |source| BundleError::Unreadable { path: path.to_owned(), source };
        let file =
            File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).map_err(unreadable)?;
        let damaged = |damage| BundleError::damaged(path, damage);
        // A pipe or a device would be waited for.
        if !file.metadata().map_err(unreadable)?.is_file() {
            let reason = "it is no regular file".to_owned();
            return Err(damaged(Damage::NotABundle { reason }));
        }
        let mut magic = [0; 4];
        let begins = (&file).read_exact(&mut magic).is_ok() && magic == [0x28, 0xb5, 0x2f, 0xfd];
        if !begins {
            let reason = "it does not begin as a zstd file does".to_owned();
            return Err(damaged(Damage::NotABundle { reason }));
        }
        io::Seek::rewind(&mut &file).map_err(unreadable)?;
        let mut frame = zstd::Decoder::new(file).map_err(unreadable)?.single_frame();
        frame.window_log_max(WINDOW_LOG).map_err(unreadable)?;
        let mut read = || -> Result<(Manifest, String), Damage> {
            let size = next_size(&mut frame, MANIFEST, 0, &format!("before its {MANIFEST}"))?;
            if size > limits.manifest {
                let what = format!("a {MANIFEST} of {size} bytes");
                return Err(Damage::TooLarge { what, limit: limits.manifest.to_string() });
            }
            let mut text = Vec::new();
            let place = format!("in its {MANIFEST}");
            copy(&mut frame, size, &place, &mut |bytes| {
                text.extend_from_slice(bytes);
                Ok(())
            })
            .map_err(Trouble::damage)?;
            Ok((Manifest::parse(&text, limits)?, crate::sha256(&text)))
        };
        let (manifest, digest) = read().map_err(damaged)?;
        Ok(Self { path: path.to_owned(), frame, manifest, digest })
    }

    /// What it says that it holds.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// sha256 of the manifest, which names everything else by checksum: the bundle's identity.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Reads all of it, holds every member against its checksum, and writes those that are `wanted` below `into`, an empty folder
    /// of the caller's own. What is there before this returns well is to be thrown away.
    ///
    /// # Errors
    /// If anything is not as the manifest says, or cannot be written.
    pub fn unpack(mut self, into: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<(), BundleError> {
        for (index, member) in self.manifest.members.iter().enumerate() {
            let place = format!("at `{}`", member.path);
            let damaged = |damage| BundleError::damaged(&self.path, damage);
            let size = next_size(&mut self.frame, &member.path, index + 1, &place).map_err(damaged)?;
            if size != member.size {
                let reason = format!("has {size} bytes, not {} as its manifest says", member.size);
                return Err(damaged(Damage::Hostile { member: member.path.clone(), reason }));
            }
            let target = into.join(&member.path);
            let mut file = wanted(&member.path).then(|| create(into, &target)).transpose()?;
            let mut digest = Sha256::new();
            copy(&mut self.frame, size, &place, &mut |bytes| {
                digest.update(bytes);
                file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
            })
            .map_err(|trouble| match trouble {
                Trouble::Damage(damage) => damaged(damage),
                Trouble::Sink(error) => BundleError::io("writing", &target)(error),
            })?;
            let found = hexadecimal(&digest.finalize());
            if found != member.sha256 {
                let (member, declared) = (member.path.clone(), member.sha256.clone());
                return Err(damaged(Damage::WrongChecksum { member, declared, found }));
            }
            if let Some(file) = file {
                file.sync_all().map_err(BundleError::io("syncing", &target))?;
            }
        }
        self.end().map_err(|damage| BundleError::damaged(&self.path, damage))
    }

    /// Nothing may come after the last member but the archive's end.
    fn end(&mut self) -> Result<(), Damage> {
        let mut rest = Vec::new();
        (&mut self.frame)
            .take(LONGEST_END + 1)
            .read_to_end(&mut rest)
            .map_err(|error| broken("at its end", &error))?;
        let hidden =
            || Damage::NotABundle { reason: "there is more in it than its manifest says".to_owned() };
        if rest.len() < 2 * BLOCK {
            let reason = "the end of the archive is missing".to_owned();
            return Err(Damage::Broken { place: "at its end".to_owned(), reason });
        }
        if rest.len() as u64 > LONGEST_END || rest.iter().any(|byte| *byte != 0) {
            return Err(hidden());
        }
        let mut after = [0];
        match self.frame.get_mut().read(&mut after) {
            Ok(0) => Ok(()),
            Ok(_) => Err(hidden()),
            Err(error) => Err(broken("after its end", &error)),
        }
    }
}

fn broken(place: &str, error: &io::Error) -> Damage {
    Damage::Broken { place: place.to_owned(), reason: error.to_string() }
}

/// The size in the header that comes next, which must be that of the member `path`.
fn next_size(frame: &mut Frame, path: &str, index: usize, place: &str) -> Result<u64, Damage> {
    let mut block = tar::Header::new_ustar();
    frame.read_exact(block.as_mut_bytes()).map_err(|error| broken(place, &error))?;
    let name = block.path_bytes().into_owned();
    let hostile = |reason: &str| Damage::Hostile { member: shown(&name), reason: reason.to_owned() };
    let kind = block.entry_type();
    if kind != tar::EntryType::Regular {
        let reason = match kind {
            tar::EntryType::Symlink => "is a symbolic link",
            tar::EntryType::Link => "is a hard link",
            tar::EntryType::Char | tar::EntryType::Block => "is a device",
            tar::EntryType::Fifo => "is a pipe",
            tar::EntryType::Directory => "is a folder",
            _ => "is no plain file",
        };
        return Err(hostile(reason));
    }
    let size = block.size().map_err(|_| hostile("has no size"))?;
    // All of the header is known beforehand but the size: whoever wrote anything else into it did not write a bundle.
    let expected = header(path, index, size).map_err(|error| broken(place, &error))?;
    if name != *expected.path_bytes() {
        return Err(hostile(&format!("stands where `{path}` should be")));
    }
    if block.as_bytes() != expected.as_bytes() {
        return Err(hostile("has a header that no bundle has"));
    }
    Ok(size)
}

/// Why bytes could not be passed on.
enum Trouble {
    Damage(Damage),
    /// Where they went to.
    Sink(io::Error),
}

impl Trouble {
    fn damage(self) -> Damage {
        match self {
            Self::Damage(damage) => damage,
            Self::Sink(error) => Damage::Broken { place: "in memory".to_owned(), reason: error.to_string() },
        }
    }
}

/// Passes on `size` bytes, and reads the padding after them.
fn copy(
    frame: &mut Frame,
    size: u64,
    place: &str,
    sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Trouble> {
    let mut buffer = vec![0; 1 << 16];
    let mut left = size;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = match frame.read(&mut buffer[..most]) {
            Ok(0) => {
                let reason = "the archive ends in the middle of it".to_owned();
                return Err(Trouble::Damage(Damage::Broken { place: place.to_owned(), reason }));
            }
            Ok(read) => read,
            Err(error) => return Err(Trouble::Damage(broken(place, &error))),
        };
        sink(&buffer[..read]).map_err(Trouble::Sink)?;
        left -= read as u64;
    }
    let padding = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    if padding > 0 {
        let mut rest = vec![0; BLOCK - padding];
        frame.read_exact(&mut rest).map_err(|error| Trouble::Damage(broken(place, &error)))?;
        if rest.iter().any(|byte| *byte != 0) {
            let reason = "there is something in the padding".to_owned();
            return Err(Trouble::Damage(Damage::Broken { place: place.to_owned(), reason }));
        }
    }
    Ok(())
}

/// A new file, which everybody may read: guests run as an unprivileged user.
fn create(root: &Path, path: &Path) -> Result<File, BundleError> {
    let parent = path.parent().unwrap_or(root);
    if parent != root {
        let mut folder = root.to_owned();
        for part in parent.strip_prefix(root).unwrap_or(Path::new("")).components() {
            folder.push(part);
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made
                    .and_then(|()| fs::set_permissions(&folder, Permissions::from_mode(0o755)))
                    .map_err(BundleError::io("creating", &folder))?,
            }
        }
    }
    let file = File::options()
        .write(true)
        .create_new(true)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path)
        .map_err(BundleError::io("creating", path))?;
    file.set_permissions(Permissions::from_mode(0o644)).map_err(BundleError::io("opening up", path))?;
    Ok(file)
}
