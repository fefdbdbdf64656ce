//! Every message that docs/troubleshooting.md explains is one that a program of ours prints.
#![allow(clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::path::Path;

const PAGE: &str = include_str!("../../docs/troubleshooting.md");
/// What others print.
const OF_OTHERS: [&str; 3] =
    ["The config profile (NAME) could not be found", "Read-only file system", "Operation not permitted"];

fn sources(directory: &Path, text: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "fuzz", "tests", "examples"].contains(&name.as_str()) {
            sources(&path, text);
        } else if name.ends_with(".rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The messages of the first column.
fn messages() -> Vec<&'static str> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    let first = rows.filter_map(|line| line.split(" | ").next());
    first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|text| text.contains(' ')).collect()
}

#[test]
fn every_message_is_one_that_is_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut text = String::new();
    sources(&root.join("cli"), &mut text);
    sources(&root.join("helper"), &mut text);
    // A line that goes on in the next one.
    let text = text.split("\\\n").map(str::trim_start).collect::<String>();
    let messages = messages();
    assert!(messages.len() > 30, "{messages:?}");
    let nowhere: Vec<_> =
        messages.into_iter().filter(|message| !OF_OTHERS.contains(message) && !text.contains(message)).collect();
    assert_eq!(nowhere, Vec::<&str>::new());
}
