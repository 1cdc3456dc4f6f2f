//! Tables with a column for each core: `/proc/interrupts` and `/proc/softirqs`.

use crate::files::number;

/// A table as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table<'a> {
    /// The cores of the columns.
    pub(crate) cores: Vec<u32>,
    pub(crate) rows: Vec<Row<'a>>,
}

/// A line: `24:   0   31   PCI-MSIX-0000:00:05.0   1-edge      virtio1-virtqueues`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// What stands before the colon.
    pub(crate) label: &'a str,
    /// One for each core; a line that has fewer is none of the table's.
    pub(crate) counts: Vec<u64>,
    /// What stands after the counts.
    pub(crate) rest: &'a str,
}

impl<'a> Table<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let mut lines = text.lines();
        let cores = lines.next().unwrap_or_default().split_ascii_whitespace().map(|word| {
            let core = word.strip_prefix("CPU").and_then(|core| core.parse().ok());
            core.ok_or_else(|| format!("`{word}` is no core"))
        });
        let cores: Vec<u32> = cores.collect::<Result<_, String>>()?;
        if cores.is_empty() {
            return Err("it names no core".to_owned());
        }
        let rows = lines.map(|line| Row::parse(line, cores.len())).collect::<Result<Vec<_>, String>>()?;
        if rows.is_empty() {
            return Err("it has no row".to_owned());
        }
        Ok(Self { rows, cores })
    }
}

impl<'a> Row<'a> {
    fn parse(line: &'a str, cores: usize) -> Result<Self, String> {
        let (label, mut rest) = line.split_once(':').ok_or_else(|| format!("`{}` is no row", line.trim()))?;
        let mut counts = Vec::with_capacity(cores);
        while counts.len() < cores {
            rest = rest.trim_start();
            let end = rest.find(' ').unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            counts.push(number(&rest[..end]).map_err(|why| format!("row {}: {why}", label.trim()))?);
            rest = &rest[end..];
        }
        Ok(Self { label: label.trim(), counts, rest: rest.trim() })
    }
}

/// Two readings of the same table.
pub(crate) struct Tables<'a> {
    pub(crate) before: Table<'a>,
    pub(crate) after: Table<'a>,
}

impl<'a> Tables<'a> {
    /// Rows and cores that came or went have not been measured for the whole window.
    pub(crate) fn parse(before: &'a str, after: &'a str) -> Result<Self, String> {
        let (before, after) = (Table::parse(before)?, Table::parse(after)?);
        if before.cores != after.cores {
            return Err("cores came or went during the workload".to_owned());
        }
        let labels = |table: &Table<'a>| table.rows.iter().map(|row| row.label).collect::<Vec<_>>();
        let (old, new) = (labels(&before), labels(&after));
        if old != new {
            let gone = old.iter().filter(|label| !new.contains(label));
            let come = new.iter().filter(|label| !old.contains(label));
            let names: Vec<&str> = gone.chain(come).copied().collect();
            return Err(format!("rows came or went during the workload: {}", names.join(", ")));
        }
        Ok(Self { before, after })
    }

    /// Each row of both readings.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Row<'a>, &Row<'a>)> {
        self.before.rows.iter().zip(&self.after.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_may_have_fewer_counts_than_cores_and_words_after_them() {
        let table = Table::parse("  CPU0  CPU2\n  4:  1  20  IO-APIC  4-edge  ttyS0\nERR:  7\n").unwrap();
        assert_eq!(table.cores, [0, 2]);
        let rest = "IO-APIC  4-edge  ttyS0";
        assert_eq!(table.rows[0], Row { label: "4", counts: vec![1, 20], rest });
        assert_eq!(table.rows[1], Row { label: "ERR", counts: vec![7], rest: "" });
    }

    #[test]
    fn what_is_no_table_is_told() {
        let why = |text| Table::parse(text).unwrap_err();
        assert_eq!(why(""), "it names no core");
        assert_eq!(why("CPU0\n"), "it has no row");
        assert_eq!(why("CPU0 what\n"), "`what` is no core");
        assert_eq!(why("CPU0\n 1 2\n"), "`1 2` is no row");
        assert_eq!(why("CPU0\n 1: x\n"), "row 1: `x` is no number");
    }

    #[test]
    fn rows_and_cores_that_come_or_go_are_told() {
        let told = |after| Tables::parse("CPU0\nA: 1\nB: 1\n", after).map(|_| ()).unwrap_err();
        assert_eq!(told("CPU0\nA: 1\nC: 1\n"), "rows came or went during the workload: B, C");
        assert_eq!(told("CPU1\nA: 1\nB: 1\n"), "cores came or went during the workload");
    }
}
