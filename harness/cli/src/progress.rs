//! What a person sees while something long goes on: a status line on a terminal, plain lines elsewhere. Everything
//! goes to standard error; standard output is for results.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal;

/// At most this often does a plain log hear of a step that goes on.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);

/// Shows what is being done, for how long, and what is left.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    said: Option<(String, Instant)>,
    quiet: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = (terminal::redraws() && !terminal::quiet()).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}")
                .expect("the template is well-formed");
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self { bar, said: None, quiet: terminal::quiet() }
    }

    /// Something is over, or worth a line of its own.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        if self.quiet {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{}", text.as_ref())),
            None => eprintln!("{}", text.as_ref()),
        }
    }

    /// `what` goes on; `detail` is how far. Without a terminal, a new `what` is told at once and how far it is now
    /// and then.
    pub(crate) fn status(&mut self, what: &str, detail: &str) {
        if self.quiet {
            return;
        }
        let separator = if detail.is_empty() { "" } else { ": " };
        if let Some(bar) = &self.bar {
            if self.said.as_ref().is_none_or(|(said, _)| said != what) {
                bar.reset_elapsed();
                self.said = Some((what.to_owned(), Instant::now()));
            }
            bar.set_message(format!("{what}{separator}{detail}"));
            return;
        }
        let due =
            self.said.as_ref().is_none_or(|(said, when)| said != what || when.elapsed() >= PLAIN_INTERVAL);
        if due {
            eprintln!("{what}{separator}{detail}");
            self.said = Some((what.to_owned(), Instant::now()));
        }
    }

    /// Nothing goes on any more.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_message("");
            bar.finish_and_clear();
        }
        self.said = None;
    }
}

/// `95 s`, `12 min`.
pub(crate) fn rough(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
