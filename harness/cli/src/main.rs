//! The `assay` command: arguments, terminal, exit codes and wiring.

// First: its macros take the place of the standard library's in everything below.
#[macro_use]
mod output;

mod again;
mod arguments;
mod attachments;
mod bisect;
mod budget;
mod builds;
mod bundle;
mod check;
mod complete;
mod crashed;
mod culprit;
mod debugger;
mod doctor;
mod escape;
mod exact;
mod exec;
mod failure;
mod guest;
mod hints;
mod history;
mod import_files;
mod inputs;
mod interrupt;
mod keeper;
mod kept;
mod kernels;
mod keyboard;
mod lab;
mod levels;
mod limits;
mod manual;
mod places;
mod plans;
mod profiles;
mod progress;
mod replay;
mod replicate;
mod reports;
mod run;
mod selftests;
mod series;
mod shell;
mod sizes;
mod talk;
mod terminal;
mod timed;
mod tree_build;
mod tree_run;
mod tune;

use std::process::ExitCode;

use arguments::{Arguments, Command, Series};

fn main() -> ExitCode {
    complete::answer();
    let Arguments { places, output, command } = match Arguments::understand() {
        Ok(arguments) => arguments,
        Err(error) => return bisect::mistaken(&error),
    };
    output.settle();
    let json = command.wants_json();
    let is_helper = matches!(command, Command::Supervise | Command::Machine { .. });
    if !is_helper && let Err(failure) = limits::settle().and_then(|()| Ok(interrupt::install(json)?)) {
        failure.tell(json);
        return failure.exit_code();
    }
    let ended = match command {
        Command::Supervise => return subprocess::supervise(),
        Command::Machine { arguments } => return machine::helper(arguments),
        Command::Run(arguments) => run::run(&places, &arguments),
        Command::Plan { question, budget, json } => run::plan(&places, &question, budget, json),
        Command::Exec(arguments) => exec::exec(&places, &arguments),
        Command::Series { command: Series::Show { choice, json } } => series::show(&places, &choice, json),
        Command::Series { command: Series::Check { choice, no_boot, no_build, json } } => {
            let depth = check::Depth::of(no_boot, no_build);
            check::check(&places, &choice, depth, json)
        }
        Command::Shell(arguments) => shell::shell(&places, &arguments),
        Command::Gdb { pid, arguments } => debugger::gdb(pid, arguments),
        Command::Kernel { command } => kernels::kernel(&places, &command),
        Command::Report { run, format, json, beside, .. } if !beside.is_empty() => {
            reports::beside(&places, run.as_deref(), &beside, format.or_json(json))
        }
        Command::Report { run, format, json, path: true, .. } => {
            reports::path(&places, run.as_deref(), format.or_json(json))
        }
        Command::Report { run, format, json, output, .. } => {
            reports::print(&places, run.as_deref(), format.or_json(json), output.as_deref())
        }
        Command::Import(flags) => import_files::import(&places, &flags),
        Command::Profile(flags) => profiles::profile(&places, &flags),
        Command::Bundle(flags) => bundle::bundle(&places, &flags),
        Command::Replay(flags) => replay::replay(&places, &flags),
        Command::Runs(flags) => history::runs(&places, &flags),
        Command::Compare(flags) if flags.exact => exact::compare(&places, &flags),
        Command::Compare(flags) => history::compare(&places, &flags),
        Command::Calibrate(flags) if flags.exact => exact::calibrate(&places, &flags),
        Command::Calibrate(flags) => timed::calibrate(&places, &flags),
        Command::Bisect(flags) => culprit::bisect(&places, &flags),
        Command::Trend(flags) => history::trend(&places, &flags),
        Command::Tune(arguments) => tune::tune(&arguments),
        Command::Size(flags) => sizes::size(&flags),
        Command::Doctor { json } => doctor::doctor(&places, json),
        Command::Completions { shell } => complete::print(shell),
        Command::Manual { folder } => manual::manual(folder.as_deref()),
        Command::Schema => {
            print!("{}", scenario::json_schema());
            Ok(ExitCode::SUCCESS)
        }
        Command::Qemu => lab::print_qemu(&places),
        Command::BootFolder { base, folder } => kernels::boot_folder(&places, base, &folder),
    };
    ended.unwrap_or_else(|failure| {
        failure.tell(json);
        failure.exit_code()
    })
}
