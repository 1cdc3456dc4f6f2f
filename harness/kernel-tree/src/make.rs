//! make, as the developer would call it.

use std::{fs::File, time::Duration};

use subprocess::{Child, Ended, Stdio, Stream, Supervisor, Tool, ToolError};

use crate::{
    BuildFolder, TreeError,
    error::{io, tool},
};

/// A distribution's configuration on two slow cores.
const DEADLINE: Duration = Duration::from_secs(6 * 3600);
/// How often somebody is asked whether to go on.
const GLANCE: Duration = Duration::from_millis(200);
/// make removes half-written objects when it is told to end; that takes it milliseconds.
const GRACE: Duration = Duration::from_secs(20);
/// From a make that we were started by, whose jobs we are not.
const OUTER_MAKE: &[&str] = &["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"];

impl BuildFolder {
    /// Builds the kernel: `make olddefconfig`, so that nothing is asked, then `make`. The environment is the caller's, and
    /// everything that make says goes to `output`. Once `stopped` says so, make is ended in a way that leaves no
    /// half-written object behind. Writes to the build folder: it is what the user asks for.
    ///
    /// # Errors
    /// When make fails ([`TreeError::MakeFailed`]), is stopped, or cannot be run.
    pub fn run_make(
        &self,
        supervisor: &Supervisor,
        output: &File,
        stopped: &dyn Fn() -> bool,
    ) -> Result<(), TreeError> {
        for target in [Some("olddefconfig"), None] {
            let words = self.make();
            let mut make = Tool::new(&words[0]).args(&words[1..]).args(target).deadline(DEADLINE);
            for (name, value) in std::env::vars_os() {
                if !OUTER_MAKE.iter().any(|outer| name == *outer) {
                    make = make.env(name, value);
                }
            }
            let copy = || output.try_clone().map_err(io("write to", "the output of make"));
            let stdio =
                Stdio { stdin: Stream::Null, stdout: Stream::File(copy()?), stderr: Stream::File(copy()?) };
            let ended = to_end(&make.start(supervisor, stdio).map_err(tool("run make"))?, stopped)
                .map_err(tool("run make"))?;
            if !ended.is_success() {
                return Err(TreeError::MakeFailed {
                    folder: self.path().to_owned(),
                    ended: ended.to_string(),
                });
            }
        }
        Ok(())
    }
}

fn to_end(make: &Child, stopped: &dyn Fn() -> bool) -> Result<Ended, ToolError> {
    let mut told = false;
    loop {
        if let Some(ended) = make.wait(GLANCE)? {
            return Ok(ended);
        }
        if !told && stopped() {
            make.terminate(GRACE)?;
            told = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Seek as _},
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::*;
    use crate::toy::Toy;

    /// The kernel's version, and rules that a test gives.
    fn makefile(toy: &Toy, rules: &str) {
        toy.write(
            "Makefile",
            format!("VERSION = 6\nPATCHLEVEL = 12\nall:\n{rules}\nolddefconfig:\n\t@echo configured\n"),
        );
    }

    fn make(toy: &Toy, stopped: &dyn Fn() -> bool) -> (Result<(), TreeError>, String) {
        let mut output = tempfile::tempfile().unwrap();
        let folder = BuildFolder::find(toy.root(), None, None).unwrap().unwrap();
        let made = folder.run_make(&toy.supervisor, &output, stopped);
        let mut text = String::new();
        output.rewind().unwrap();
        output.read_to_string(&mut text).unwrap();
        (made, text)
    }

    #[test]
    fn configures_then_builds_and_tells_all_that_make_says() {
        let toy = Toy::new();
        makefile(&toy, "\t@echo built; echo warned >&2");
        let (made, text) = make(&toy, &|| false);
        made.unwrap();
        let at = |word| text.find(word).unwrap_or_else(|| panic!("{word} in {text}"));
        assert!(at("configured") < at("built") && at("built") < at("warned"));
    }

    #[test]
    fn a_tree_that_does_not_build_is_no_error_of_the_hosts() {
        let toy = Toy::new();
        makefile(&toy, "\t@false");
        let error = make(&toy, &|| false).0.unwrap_err();
        assert!(matches!(error, TreeError::MakeFailed { .. }) && error.is_users(), "{error}");
    }

    #[test]
    fn a_stopped_make_removes_what_is_half_written() {
        let toy = Toy::new();
        makefile(&toy, "\nall: half.o\nhalf.o:\n\t@echo half > half.o; touch began; sleep 600");
        let begun = AtomicBool::new(false);
        let (made, _) = make(&toy, &|| {
            begun.store(toy.root().join("began").exists(), Ordering::Relaxed);
            begun.load(Ordering::Relaxed)
        });
        assert!(matches!(made, Err(TreeError::MakeFailed { .. })));
        assert!(begun.load(Ordering::Relaxed) && !toy.root().join("half.o").exists());
    }
}
