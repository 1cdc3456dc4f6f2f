//! Runs selftests in a guest.

use std::time::{Duration, Instant};

use machine::{Endpoint, Executed, GuestCommand, SessionError};
use measure::{RawFile, TestOutcome, TestResult, Window};
use plan::{Ktap, Workload};
use protocol::HowEnded;

use super::{Ended, Tests, nic, outcomes, select};
use crate::{
    Outcome, WorkloadError,
    drive::{self, Ends, last_words},
};

/// Where the tests' disk and the writable layer over it are. A tmpfs: no overlay may lie over the root's own.
const FOLDER: &str = "/run/selftests";
/// The tests, writable: many write beside themselves.
const TESTS: &str = "/run/selftests/tests";
/// The names of all programs.
const LIST: &str = "/run/selftests/tests/kselftest-list.txt";
/// Those that were not built, and why.
const NOT_BUILT: &str = "/run/selftests/tests/not-built.txt";
/// Most bytes of either.
const MAX_LIST: u32 = 4 * 1024 * 1024;
/// Most bytes that a program may write; the rest of it is then lost, and it counts as failed.
const MAX_OUTPUT: usize = 64 * 1024 * 1024;
/// The runner ends a program in time by itself; this is for a runner that does not.
const SLACK: Duration = Duration::from_secs(30);

pub(crate) async fn run(
    workload: &Workload,
    params: &Ktap,
    ends: &Ends<'_>,
    tests: &dyn Tests,
) -> Result<Outcome, WorkloadError> {
    let suite = Suite { workload, params, end: ends.client, tests };
    suite.mount().await?;
    let (list, not_built) = suite.lists().await?;
    let (programs, not_built) =
        select(params, &list, &not_built).map_err(|message| suite.failure(message, vec![]))?;
    for (program, reason) in not_built {
        let outcome = suite.outcome(&program, TestResult::NotBuilt, reason);
        let name = suite.file_name(&program);
        tests.ended(vec![outcome], RawFile { name, bytes: b"not built\n".to_vec() });
    }
    let begun = Instant::now();
    let deadline = Duration::from_secs(params.deadline_s.into());
    for program in &programs {
        if begun.elapsed() > deadline {
            let message = format!("{} s had passed before it could begin", params.deadline_s);
            let outcome = suite.outcome(program, TestResult::Missing, message);
            let name = suite.file_name(program);
            tests.ended(vec![outcome], RawFile { name, bytes: b"not begun\n".to_vec() });
            continue;
        }
        suite.run(program).await?;
    }
    let window = Window { elapsed: begun.elapsed(), ..Window::empty(ends.sides) };
    Ok(Outcome { samples: vec![], unavailable: vec![], within: vec![], raw: vec![], window, void: None })
}

struct Suite<'a> {
    workload: &'a Workload,
    params: &'a Ktap,
    end: &'a Endpoint<'a>,
    tests: &'a dyn Tests,
}

impl Suite<'_> {
    fn lost(&self, doing: &'static str) -> impl FnOnce(SessionError) -> WorkloadError {
        drive::lost(self.workload, self.end, doing)
    }

    fn failure(&self, message: String, raw: Vec<RawFile>) -> WorkloadError {
        drive::failure(self.workload, message, raw)
    }

    fn outcome(&self, program: &str, result: TestResult, message: String) -> TestOutcome {
        TestOutcome {
            workload: self.workload.name.clone(),
            test: program.to_owned(),
            result,
            seconds: None,
            message,
        }
    }

    fn file_name(&self, program: &str) -> String {
        let safe: String = program
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
            .collect();
        format!("{}.{safe}.tap", self.workload.name)
    }

    /// Tests run in the guest's first network namespace, as on a machine of their own.
    async fn exec<S: AsRef<str>>(&self, argv: &[S], doing: &'static str) -> Result<Executed, WorkloadError> {
        let command = GuestCommand::new(argv[0].as_ref()).args(argv[1..].iter().map(AsRef::as_ref));
        self.end.session.exec(command).await.map_err(self.lost(doing))
    }

    /// Mounts the disk, under a layer in memory that can be written.
    async fn mount(&self) -> Result<(), WorkloadError> {
        let device = self.tests.device();
        let at = |name: &str| format!("{FOLDER}/{name}");
        let (lower, upper, work) = (at("disk"), at("upper"), at("work"));
        let layers = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        // A second workload of the kind has a disk of its own.
        let _ = self.exec(&["umount", TESTS], "unmounting the tests before").await?;
        let _ = self.exec(&["umount", &lower], "unmounting the tests before").await?;
        for argv in [
            vec!["rm", "-rf", &upper, &work],
            vec!["mkdir", "-p", &lower, &upper, &work, TESTS],
            vec!["mount", "-t", "erofs", "-o", "ro", &device, &lower],
            vec!["mount", "-t", "overlay", "-o", &layers, "overlay", TESTS],
        ] {
            let _ = self.succeed(&argv, "mounting the tests").await?;
        }
        Ok(())
    }

    async fn succeed<S: AsRef<str>>(
        &self,
        argv: &[S],
        doing: &'static str,
    ) -> Result<Executed, WorkloadError> {
        let executed = self.exec(argv, doing).await?;
        if executed.how == HowEnded::Exited(0) {
            return Ok(executed);
        }
        let argv: Vec<&str> = argv.iter().map(AsRef::as_ref).collect();
        Err(self.failure(format!("{}: {}", argv.join(" "), last_words(&executed)), vec![]))
    }

    /// Makes a NIC and its peer, in place of those of the program before.
    async fn connect(&self, kind: &str) -> Result<(), WorkloadError> {
        let doing = "making a NIC for tests";
        for argv in nic::removal() {
            let _ = self.exec(&argv, doing).await?;
        }
        for argv in nic::creation(kind) {
            let _ = self.succeed(&argv, doing).await?;
        }
        let listing = self.succeed(&nic::listing(kind), doing).await?;
        let Some(peer) = nic::peer(&String::from_utf8_lossy(&listing.stdout)) else {
            return Err(self.failure(format!("a link of the kind {kind} has no peer"), vec![]));
        };
        for argv in nic::configuration(&peer) {
            let _ = self.succeed(&argv, doing).await?;
        }
        Ok(())
    }

    async fn lists(&self) -> Result<(String, String), WorkloadError> {
        let paths = [LIST, NOT_BUILT].map(str::to_owned);
        let mut read =
            self.end.session.read(&paths, MAX_LIST).await.map_err(self.lost("reading the list of tests"))?;
        let mut text = |path: &str| match read.remove(path) {
            Some(Ok(bytes)) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Some(Err(why)) => Err(self.failure(format!("reading {path}: {why}"), vec![])),
            None => Err(self.failure(format!("reading {path}: the guest did not answer"), vec![])),
        };
        Ok((text(LIST)?, text(NOT_BUILT)?))
    }

    async fn run(&self, program: &str) -> Result<(), WorkloadError> {
        self.tests.begins(program);
        let kind = self.params.nic.link_kind();
        if let Some(kind) = kind {
            self.connect(kind).await?;
        }
        let environment = kind.map_or(&[][..], |_| &nic::ENVIRONMENT[..]);
        let timeout = self.params.timeout_s.to_string();
        let command = environment
            .iter()
            .fold(GuestCommand::new(format!("{TESTS}/run_kselftest.sh")), |command, (key, value)| {
                command.env(*key, *value)
            })
            .args(["--override-timeout", &timeout, "--test", program])
            .env("HOME", "/root")
            .deadline(Duration::from_secs(self.params.timeout_s.into()) + SLACK)
            .max_output(MAX_OUTPUT);
        let executed = match self.end.session.exec(command).await {
            Err(SessionError::TooMuch { limit, .. }) => {
                let message = format!("it wrote more than {} MiB", limit >> 20);
                let outcome = self.outcome(program, TestResult::Fail, message);
                self.tests.ended(vec![outcome], RawFile { name: self.file_name(program), bytes: vec![] });
                return Ok(());
            }
            other => other.map_err(self.lost("running a test"))?,
        };
        let how = match executed.how {
            HowEnded::DeadlinePassed => Ended::DeadlinePassed,
            HowEnded::Exited(_) | HowEnded::Signalled(_) => Ended::ByItself,
        };
        let output = String::from_utf8_lossy(&executed.stdout);
        let seconds = executed.elapsed.as_secs_f64();
        let outcomes = outcomes(&self.workload.name, program, &output, seconds, how);
        let timed_out = outcomes.first().is_some_and(|outcome| outcome.result == TestResult::Timeout);
        let mut bytes = executed.stdout;
        if !executed.stderr.is_empty() {
            bytes.extend_from_slice(b"\n--- standard error ---\n");
            bytes.extend_from_slice(&executed.stderr);
        }
        self.tests.ended(outcomes, RawFile { name: self.file_name(program), bytes });
        if timed_out {
            // Whoever is killed cannot clean up, and its namespaces would be in the way of the next.
            let _ = self.exec(&["ip", "-all", "netns", "delete"], "removing namespaces").await?;
        }
        Ok(())
    }
}
