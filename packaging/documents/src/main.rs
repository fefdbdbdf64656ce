//! `agent-aws-documents DIRECTORY PROGRAM...`: the manual pages, and the bill of materials of the programs. Run from the
//! top of the workspace. The same source gives the same bytes: no date, no directory of this machine.

mod bill;
mod command;
mod markdown;
mod roff;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A manual page of a file in Markdown.
struct Written {
    name: &'static str,
    section: u8,
    summary: &'static str,
    text: &'static str,
}

static WRITTEN: [Written; 2] = [
    Written {
        name: "policy.toml",
        section: 5,
        summary: "who may run an agent as which AWS identity, in which sandbox",
        text: "docs/policy.md",
    },
    Written {
        name: "agent-aws-helper",
        section: 8,
        summary: "the setuid program of agent-aws",
        text: "packaging/documents/pages/agent-aws-helper.8.md",
    },
];
const VERSION: &str = env!("CARGO_PKG_VERSION");
const BILL: &str = "agent-aws.cdx.json";

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(directory) = words.next().map(PathBuf::from) else {
        eprintln!("usage: agent-aws-documents DIRECTORY PROGRAM...");
        return ExitCode::from(2);
    };
    let programs: Vec<String> = words.map(|word| word.display().to_string()).collect();
    match write(&directory, &programs) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("agent-aws-documents: {why}");
            ExitCode::FAILURE
        }
    }
}

fn write(directory: &Path, programs: &[String]) -> Result<(), String> {
    let man = directory.join("man");
    // A command that there is no more must not keep its page.
    let _ = fs::remove_dir_all(&man);
    fs::create_dir_all(&man).map_err(|e| format!("{}: {e}", man.display()))?;
    for (name, page) in command::pages(agent_aws::command_line())? {
        file(&man.join(name), &page)?;
    }
    for page in &WRITTEN {
        let text = read(page.text)?;
        let head = roff::head(page.name, page.section, page.summary);
        let made = head + &markdown::to_roff(&text) + &roff::see_also(&[]);
        file(&man.join(format!("{}.{}", page.name, page.section)), &made)?;
    }
    file(&directory.join(BILL), &bill::of(programs)?)
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))
}

fn file(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}
