//! From the flags of a command to what its guest shares with the host, checked before anything boots.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context;
use machine::{Access, Attachments, Host, InteractiveCommand, MAX_SHARES, Obstacle, Share};
use subprocess::{Supervisor, sandbox_ids};

use crate::{
    arguments::{GuestFlags, Root, ShareFlag},
    failure::Failure,
};

/// Where in the guest the host's files are not, whatever the root is.
const GUESTS_OWN: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

/// Where commands run in a guest, and with what of the user's environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// None: the agent's own.
    directory: Option<String>,
    env: Vec<(String, String)>,
}

impl Place {
    /// In the host's root, where the user is, with the user's programs; otherwise at home in the guest.
    pub(crate) fn of(root: Root) -> Result<Self, Failure> {
        if root == Root::Image {
            return Ok(Self { directory: Some("/root".into()), env: vec![] });
        }
        let here = env::current_dir().context("finding the current folder")?;
        let directory = here.to_str().ok_or_else(|| {
            Failure::user(format!(
                "assay: --root host: {} is not UTF-8, as names in a guest are",
                here.display()
            ))
        })?;
        let given = ["PATH", "HOME", "USER", "LOGNAME"];
        let env = given.iter().filter_map(|&name| Some((name.to_owned(), env::var(name).ok()?))).collect();
        Ok(Self { directory: Some(directory.to_owned()), env })
    }

    /// Puts a command there.
    pub(crate) fn put(&self, command: InteractiveCommand) -> InteractiveCommand {
        let command = command.directory(self.directory.clone());
        self.env.iter().fold(command, |command, (name, value)| command.env(name, value))
    }
}

/// What the flags ask for. Every problem is told at once.
pub(crate) fn of(
    flags: &GuestFlags,
    place: &Place,
    host: &Host,
    supervisor: &Supervisor,
) -> Result<Attachments, Failure> {
    let mut problems = Vec::new();
    let mut shares: Vec<Share> = Vec::new();
    for flag in &flags.share {
        match share(flag, flags.root) {
            Ok(share) => shares.push(share),
            Err(problem) => problems.push(format!("assay: --share {}: {problem}", flag.host.display())),
        }
    }
    if let Some(here) = place.directory.as_deref().filter(|_| flags.root != Root::Image) {
        // The guest has a folder of its own in the way of the one that its command is to run in.
        if is_guests_own(here) && !shares.iter().any(|share| Path::new(here).starts_with(&share.guest)) {
            shares.push(Share { host: here.into(), guest: here.into(), access: Access::ReadOnly });
        } else if let Some(obstacle) = machine::obstacle(Path::new(here), Access::ReadOnly, host, supervisor)?
        {
            problems.push(format!("assay: --root host: {}", explain(&obstacle)));
        }
    }
    for share in &shares {
        if let Some(obstacle) = machine::obstacle(&share.host, share.access, host, supervisor)? {
            problems.push(format!("assay: --share {}: {}", share.host.display(), explain(&obstacle)));
        }
    }
    problems.extend(twice(&shares));
    if shares.len() > MAX_SHARES {
        problems.push(format!("assay: --share: {} folders (at most {MAX_SHARES})", shares.len()));
    }
    if !problems.is_empty() {
        return Err(Failure::user(problems.join("\n")));
    }
    Ok(Attachments { root: flags.root.into(), shares, debugger: flags.gdb.map(Into::into) })
}

fn share(flag: &ShareFlag, root: Root) -> Result<Share, String> {
    let host = flag.host.canonicalize().map_err(|error| error.to_string())?;
    if !host.is_dir() {
        return Err("not a folder: share the one that it is in".into());
    }
    let guest = match &flag.guest {
        Some(guest) => guest.trim_end_matches('/').to_owned(),
        None => default_target(&host, root)?,
    };
    if GUESTS_OWN.iter().any(|own| guest == *own || guest.starts_with("/proc/") || guest.starts_with("/sys/"))
    {
        return Err(format!("{guest} is the guest's own"));
    }
    if root == Root::Host && !is_guests_own(&guest) && !Path::new(&guest).is_dir() {
        return Err(format!(
            "there is no folder {guest} on the host, and its root is read-only in the guest: name a folder below /tmp, \
             or use --root host:overlay"
        ));
    }
    Ok(Share { host, guest, access: flag.access })
}

/// `/mnt/NAME`; in the host's root the same path as on the host.
fn default_target(host: &Path, root: Root) -> Result<String, String> {
    let not_utf8 =
        || "its path is not UTF-8, as names in a guest are: name the place in the guest".to_owned();
    if root != Root::Image {
        return host.to_str().map(str::to_owned).ok_or_else(not_utf8);
    }
    let name =
        host.file_name().ok_or("the host's whole root: use --root host, or name the place in the guest")?;
    Ok(format!("/mnt/{}", name.to_str().ok_or_else(not_utf8)?))
}

fn is_guests_own(path: &str) -> bool {
    GUESTS_OWN.iter().any(|own| Path::new(path).starts_with(own))
}

/// Places in the guest that two shares want.
fn twice(shares: &[Share]) -> Vec<String> {
    let again = |(index, share): (usize, &Share)| {
        let earlier = shares[..index].iter().find(|earlier| earlier.guest == share.guest)?;
        let (first, second) = (earlier.host.display(), share.host.display());
        Some(format!("assay: --share: both {first} and {second} are to be at {} in the guest", share.guest))
    };
    shares.iter().enumerate().filter_map(again).collect()
}

/// What is in the way of the guests' user, and the command that mends it.
fn explain(obstacle: &Obstacle) -> String {
    let (path, may_not, mend): (&PathBuf, _, fn(u32, &str) -> String) = match obstacle {
        Obstacle::Way(path) => (path, "pass through", |id, path| format!("setfacl -m u:{id}:x {path}")),
        Obstacle::Read(path) => (path, "read", |id, path| format!("setfacl -R -m u:{id}:rX {path}")),
        Obstacle::Write(path) => {
            (path, "write to", |id, path| format!("setfacl -R -m u:{id}:rwX -m d:u:{id}:rwX {path}"))
        }
    };
    let shown = path.display();
    match sandbox_ids() {
        Some((uid, _)) => {
            let mend = mend(uid.as_raw(), &quoted(path));
            format!(
                "guests of root run as user {uid}, who may not {may_not} {shown}: `{mend}` lets them, or run assay as \
                 the folder's owner"
            )
        }
        None => format!("you may not {may_not} {shown}, and guests run as you"),
    }
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    if text.bytes().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(host: &Path, guest: Option<&str>) -> ShareFlag {
        ShareFlag { host: host.into(), guest: guest.map(str::to_owned), access: Access::ReadOnly }
    }

    #[test]
    fn a_share_is_at_mnt_or_where_it_is_on_a_host_that_is_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().canonicalize().unwrap().join("data");
        std::fs::create_dir(&data).unwrap();
        let path = data.to_str().unwrap();
        assert_eq!(share(&flag(&data, None), Root::Image).unwrap().guest, "/mnt/data");
        assert_eq!(share(&flag(&data, None), Root::Host).unwrap().guest, path);
        assert_eq!(share(&flag(&data, Some("/srv/x/")), Root::Image).unwrap().guest, "/srv/x");
        assert_eq!(share(&flag(&data, None), Root::Image).unwrap().host, data);
    }

    #[test]
    fn what_cannot_be_shared_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = |host: &Path, guest, root| share(&flag(host, guest), root).unwrap_err();
        assert!(refused(&folder.path().join("none"), None, Root::Image).contains("No such file"));
        assert!(refused(&file, None, Root::Image).contains("not a folder"));
        assert!(refused(folder.path(), Some("/proc/x"), Root::Image).contains("the guest's own"));
        assert!(refused(folder.path(), Some("/tmp"), Root::Image).contains("the guest's own"));
        assert!(refused(folder.path(), Some("/no/such/place"), Root::Host).contains("host:overlay"));
        assert!(refused(Path::new("/"), None, Root::Image).contains("--root host"));
        assert!(share(&flag(folder.path(), Some("/tmp/x")), Root::Host).is_ok());
    }

    #[test]
    fn two_shares_at_one_place_are_named() {
        let at = |host: &str| Share { host: host.into(), guest: "/mnt/a".into(), access: Access::ReadOnly };
        assert_eq!(twice(&[at("/x/a")]), Vec::<String>::new());
        assert!(twice(&[at("/x/a"), at("/y/a")])[0].contains("both /x/a and /y/a"));
    }

    #[test]
    fn paths_are_quoted_for_the_command_that_mends() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
