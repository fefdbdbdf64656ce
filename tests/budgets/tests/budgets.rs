//! The tree as it is. That each rule can fail is shown beside the rule.

use std::path::Path;

use agent_aws_budgets::{Linked, SETUID, figures};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."))
}

#[test]
fn nothing_is_over_its_budget() {
    let figures = figures(root()).unwrap();
    let over: Vec<String> = figures.iter().filter(|f| f.is_over()).map(ToString::to_string).collect();
    assert!(over.is_empty(), "\n{}", over.join("\n"));
}

#[test]
fn the_figures_are_of_something() {
    let figures = figures(root()).unwrap();
    let lines: Vec<usize> = figures.iter().take(2).map(|f| f.value).collect();
    assert!(lines.iter().all(|n| *n > 1000), "{figures:?}");
    let linked = Linked::ask(root(), SETUID).unwrap();
    let crates = ["helper/plan", "helper/policy", "helper/protocol", "helper/sandbox", "helper/setuid"];
    assert!(crates.iter().all(|c| linked.ours.contains(*c)), "{:?}", linked.ours);
}
