//! Man pages, made from the same descriptions as `--help`.

use std::{io::Write, path::Path, process::ExitCode};

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use crate::{arguments::Arguments, failure::Failure};

/// Writes one page a command into `folder`, or prints that of `assay`.
pub(crate) fn manual(folder: Option<&Path>) -> Result<ExitCode, Failure> {
    let pages = pages();
    match folder {
        None => {
            let (_, page) = pages.first().context("the command has a page")?;
            std::io::stdout().write_all(page).context("writing to standard output")?;
        }
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
            for (name, page) in &pages {
                let path = folder.join(name);
                std::fs::write(&path, page).with_context(|| format!("writing {}", path.display()))?;
            }
            println!("{} pages in {}", pages.len(), folder.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// File name and text of every visible command's page; that of `assay` first.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut command = Arguments::command();
    // Gives every command its whole name, `assay-kernel-build`.
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages);
    pages
}

fn collect(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) {
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page).expect("writing into memory does not fail");
    pages.push((man.get_filename(), page));
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        collect(subcommand, pages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visible_command_has_a_page_and_no_hidden_one() {
        let pages = pages();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[0], "assay.1");
        assert!(names.contains(&"assay-run.1") && names.contains(&"assay-kernel-build.1"), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("__")), "{names:?}");
        for (name, page) in &pages {
            let page = String::from_utf8_lossy(page);
            assert!(page.contains(".SH SYNOPSIS") && page.contains(".SH DESCRIPTION"), "{name}: {page}");
        }
    }
}
