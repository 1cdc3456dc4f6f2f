//! What the terminal can show.

/// Columns of a terminal that is none: files and pipes are read in editors.
const ELSEWHERE: usize = 110;
/// Lines that are longer are hard to read, however wide the terminal is.
const WIDEST: usize = 120;

/// Columns to write for.
pub(crate) fn width() -> usize {
    let terminal = console::Term::stdout();
    if !terminal.is_term() {
        return ELSEWHERE;
    }
    usize::from(terminal.size().1).clamp(40, WIDEST)
}

/// Whether standard output shows colours: it is a terminal that has them, and `NO_COLOR` is not set.
pub(crate) fn colours() -> bool {
    console::colors_enabled() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
