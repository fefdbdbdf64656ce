//! Holds the tree against the budgets of docs/architecture.md that can be told without running anything: sizes, unsafe,
//! panics, and what is linked into the setuid program. Counted on the syntax tree, without tests, comments and blanks.

mod code;
mod figure;
mod files;
mod linked;
mod rules;

use std::path::Path;

use code::Source;

pub use figure::Figure;
pub use linked::Linked;

/// Crates that act as root, by directory.
const AS_ROOT: [&str; 2] = ["helper/setuid", "helper/sandbox"];
/// The setuid program.
pub const SETUID: &str = "agent-aws-helper";

/// Every figure of the tree at `root`.
pub fn figures(root: &Path) -> Result<Vec<Figure>, String> {
    let linked = Linked::ask(root, SETUID)?;
    let shipped = files::sources(root, &["cli", "helper"])?;
    let inside = |source: &Source, directories: &[&str]| directories.iter().any(|d| source.path.starts_with(d));
    let ours: Vec<&str> = linked.ours.iter().map(String::as_str).collect();
    let as_root: Vec<&Source> = shipped.iter().filter(|s| inside(s, &AS_ROOT)).collect();
    let in_setuid: Vec<&Source> = shipped.iter().filter(|s| inside(s, &ours)).collect();
    let all: Vec<&Source> = shipped.iter().collect();
    let everywhere = files::sources(root, &["cli", "helper", "tests"])?;
    let everywhere: Vec<&Source> = everywhere.iter().collect();
    Ok(vec![
        rules::lines("code lines that act as root", &as_root, 3500),
        rules::lines("code lines of ours in the setuid program", &in_setuid, 6000),
        rules::long_functions(&all),
        rules::long_files(&all),
        rules::unsafe_outside_sys(&all),
        rules::unsafe_without_reason(&all),
        rules::several_sys(&all),
        rules::panics(&in_setuid),
        rules::marks(&everywhere),
        rules::ignored_tests(&everywhere),
        rules::never_run(&everywhere, |of| {
            std::fs::read_to_string(root.join(of).join("Cargo.toml")).unwrap_or_default()
        }),
        linked.count(),
        linked.twice(),
        linked.foul(),
        linked.for_tests(),
    ])
}
