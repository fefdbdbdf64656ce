//! Prints where the tree stands, one line for each figure. Exit status 1 if one is over.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    match agent_aws_budgets::figures(root) {
        Ok(figures) => {
            figures.iter().for_each(|figure| println!("{figure}"));
            ExitCode::from(u8::from(figures.iter().any(agent_aws_budgets::Figure::is_over)))
        }
        Err(why) => {
            eprintln!("budgets: {why}");
            ExitCode::FAILURE
        }
    }
}
