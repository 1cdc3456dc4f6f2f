//! Texts, line by line: whatever line is a tool's goes to that tool's reader, under the headings and commands above it.

use crate::{
    Format, Part, Reading, RunName, bpftrace, iperf3_text, perf_report, perf_trace, run_metrics, run_name,
    sockperf, table,
    text::{Line, plain, slug, word},
};

/// What a reader of lines remembers from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) run_metrics: run_metrics::Memory,
    pub(crate) iperf3: iperf3_text::Memory,
    pub(crate) sockperf: sockperf::Memory,
    pub(crate) perf_trace: perf_trace::Memory,
    pub(crate) perf_report: perf_report::Memory,
    pub(crate) table: table::Memory,
}

/// A heading above the present line.
struct Heading {
    level: usize,
    text: String,
}

struct Document<'a> {
    only: Option<Format>,
    reading: &'a mut Reading,
    headings: Vec<Heading>,
    /// Commands since the last heading of the first level.
    commands: Vec<String>,
    /// Whether the present fence holds commands; none outside of fences.
    fence: Option<bool>,
    run: Option<RunName>,
    memory: Memory,
    part: Option<Part>,
}

/// Reads a text; of one format only, if one is given.
pub(crate) fn read(lines: &[Line], only: Option<Format>, reading: &mut Reading) {
    let mut document = Document {
        only,
        reading,
        headings: Vec::new(),
        commands: Vec::new(),
        fence: None,
        run: None,
        memory: Memory::default(),
        part: None,
    };
    for line in lines {
        document.line(line);
    }
    document.close();
}

impl Document<'_> {
    fn line(&mut self, line: &Line) {
        let text = line.text.as_str();
        if let Some(language) = text.trim_start().strip_prefix("```") {
            self.close();
            let is_command = ["bash", "sh", "console", "shell"].contains(&language.trim());
            self.fence = if self.fence.is_none() { Some(is_command) } else { None };
            return;
        }
        if self.fence == Some(true) {
            self.command(text);
            return;
        }
        if text.trim().is_empty() {
            self.memory.table = table::Memory::default();
            self.memory.run_metrics.end();
            return;
        }
        let format = self.format_of(text);
        if format.is_none() && self.fence.is_none() && self.heading(text) {
            return;
        }
        if let Some(run) = run_name(text.trim()) {
            self.close();
            self.run = Some(run);
            return;
        }
        match format {
            Some(format) => self.take(format, line),
            None => self.reading.prose += 1,
        }
    }

    fn command(&mut self, text: &str) {
        let command = word(text);
        if !command.is_empty() && self.commands.len() < 20 {
            self.commands.push(command);
        }
        self.reading.prose += 1;
    }

    /// Takes a heading of markdown.
    fn heading(&mut self, text: &str) -> bool {
        let level = text.len() - text.trim_start_matches('#').len();
        let Some(title) = text[level..].strip_prefix(' ').filter(|_| (1..=6).contains(&level)) else {
            return false;
        };
        self.close();
        self.memory = Memory::default();
        if level == 1 {
            self.commands.clear();
        }
        self.headings.retain(|above| above.level < level);
        self.headings.push(Heading { level, text: word(&plain(title).replace(['*', '\\'], "")) });
        self.reading.prose += 1;
        true
    }

    /// Whose line it is.
    fn format_of(&self, text: &str) -> Option<Format> {
        let memory = &self.memory;
        let claims = [
            (Format::RunMetrics, memory.run_metrics.claims(text)),
            (Format::Iperf3, iperf3_text::claims(text)),
            (Format::Sockperf, sockperf::is_line(text)),
            (Format::Bpftrace, bpftrace::is_line(text)),
            (Format::PerfTrace, memory.perf_trace.claims(text)),
            (Format::PerfReport, perf_report::claims(text)),
            (Format::Notes, self.only.is_none() && memory.table.claims(text)),
        ];
        let found = claims.into_iter().find(|(_, claimed)| *claimed).map(|(format, _)| format)?;
        (self.only.is_none() || self.only == Some(found)).then_some(found)
    }

    fn take(&mut self, format: Format, line: &Line) {
        if self.part.as_ref().is_some_and(|part| part.format != format) || run_metrics::is_title(&line.text) {
            self.close();
        }
        let mut part = self.part.take().unwrap_or_else(|| self.part(format, line.number));
        let memory = &mut self.memory;
        let taken = match format {
            Format::RunMetrics => run_metrics::take(&mut memory.run_metrics, &mut part, line),
            Format::Iperf3 => iperf3_text::take(&mut memory.iperf3, &mut part, line),
            Format::Sockperf => sockperf::take(&mut memory.sockperf, &mut part, line),
            Format::Bpftrace => bpftrace::take(&mut part, line),
            Format::PerfTrace => perf_trace::take(&mut memory.perf_trace, &mut part, line),
            Format::PerfReport => perf_report::take(&mut memory.perf_report, &mut part, line),
            _ => table::take(&mut memory.table, &mut part, line),
        };
        if let Err(messages) = taken {
            messages.into_iter().for_each(|message| self.reading.complain(line.number, message));
        }
        self.part = Some(part);
    }

    /// A part under the present headings.
    fn part(&self, format: Format, line: usize) -> Part {
        // What measures throughput or latency is an experiment's, whose heading is the outermost; profiles and tables are their slide's.
        let heading = match format {
            Format::PerfTrace | Format::PerfReport | Format::Notes => self.headings.last(),
            _ => self.headings.first(),
        };
        let mut said: Vec<String> = self.headings.iter().map(|heading| heading.text.clone()).collect();
        said.extend(self.commands.iter().cloned());
        Part {
            run: self.run.clone(),
            workload: heading.map(|heading| slug(&heading.text)),
            said,
            ..Part::new(format, line)
        }
    }

    /// The side that the nearest heading is about.
    fn side(&self) -> Option<&'static str> {
        let heading = self.headings.last()?.text.to_lowercase();
        let has = |side: &str| heading.split(|char: char| !char.is_alphanumeric()).any(|word| word == side);
        match (has("server"), has("client")) {
            (true, false) => Some("server"),
            (false, true) => Some("client"),
            _ => None,
        }
    }

    fn close(&mut self) {
        let Some(mut part) = self.part.take() else { return };
        if part.format == Format::Iperf3 {
            let complaints = iperf3_text::finish(&mut self.memory.iperf3, &mut part);
            complaints.into_iter().for_each(|(line, message)| self.reading.complain(line, message));
        }
        if let Some(side) = self.side() {
            for figure in part.figures.iter_mut().filter(|figure| figure.metric.dims.contains(&"side")) {
                figure.dims.entry("side".to_owned()).or_insert_with(|| side.to_owned());
            }
        }
        self.memory.sockperf = sockperf::Memory::default();
        self.reading.push(part);
    }
}
