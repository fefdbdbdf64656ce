//! Every command line of ours that the documentation shows is one that the program takes.

use super::*;

const PAGES: [(&str, &str); 12] = [
    ("README.md", include_str!("../../../README.md")),
    ("coming-from.md", include_str!("../../../docs/coming-from.md")),
    ("containers.md", include_str!("../../../docs/containers.md")),
    ("credentials.md", include_str!("../../../docs/credentials.md")),
    ("agents.md", include_str!("../../../docs/agents.md")),
    ("faq.md", include_str!("../../../docs/faq.md")),
    ("git.md", include_str!("../../../docs/git.md")),
    ("homes.md", include_str!("../../../docs/homes.md")),
    ("network.md", include_str!("../../../docs/network.md")),
    ("policy.md", include_str!("../../../docs/policy.md")),
    ("administration.md", include_str!("../../../docs/administration.md")),
    ("workloads.md", include_str!("../../../docs/workloads.md")),
];

/// What a line of text or of code has between backticks, and the line itself if it is code.
fn pieces(line: &str, fenced: bool) -> Vec<&str> {
    let code = fenced || line.starts_with("    ");
    if code { vec![line.trim()] } else { line.split('`').skip(1).step_by(2).collect() }
}

/// The words of a command line of ours; `None` of anything else, and of one that is a pattern for several.
fn words(piece: &str) -> Option<Vec<String>> {
    let piece = piece.split(" #").next().unwrap_or_default().trim();
    let pattern = piece.contains(['[', '|', '…', '$', '(']) || piece.contains("...");
    let words = piece.split_whitespace().map(|word| word.trim_matches('\'').to_owned());
    (piece.starts_with("agent-aws ") && !pattern).then(|| words.collect())
}

fn commands(page: &str) -> Vec<(usize, Vec<String>)> {
    let mut fenced = false;
    let mut all = Vec::new();
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        all.extend(pieces(line, fenced).into_iter().filter_map(words).map(|words| (index + 1, words)));
    }
    all
}

/// A verb that is named without its arguments, or an argument that could not be.
fn is_taken(words: &[String]) -> bool {
    let whole = Cli::try_parse_from(words);
    let only_named = |e: &clap::Error| {
        use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
        use clap::error::ErrorKind::{MissingRequiredArgument, MissingSubcommand};
        let harmless = [
            DisplayHelp, DisplayVersion, DisplayHelpOnMissingArgumentOrSubcommand, MissingRequiredArgument,
            MissingSubcommand,
        ];
        harmless.contains(&e.kind())
    };
    whole.map_or_else(
        |e| only_named(&e),
        |cli| unknown_option(&cli, &words.iter().map(Into::into).collect::<Vec<_>>()).is_none(),
    )
}

#[test]
fn every_documented_command_line_is_taken() {
    let mut wrong = Vec::new();
    for (name, page) in PAGES {
        let all = commands(page);
        wrong.extend(
            all.iter().filter(|(_, words)| !is_taken(words)).map(|(at, w)| format!("{name}:{at}: {}", w.join(" "))),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_page_has_commands_and_one_that_is_not_taken_is_found() {
    assert!(commands(PAGES[1].1).len() > 30, "{:?}", commands(PAGES[1].1));
    let found = commands(
        "use `agent-aws config imprt elhaz` or `ls`\n```sh\nagent-aws run --as x -- y # why\n```\n    agent-aws stop ID\n",
    );
    let taken: Vec<(usize, bool)> = found.iter().map(|(at, words)| (*at, is_taken(words))).collect();
    assert_eq!(taken, [(1, false), (3, true), (5, true)]);
    assert!(!is_taken(&["agent-aws", "run", "--unknown", "x"].map(str::to_owned)));
}
