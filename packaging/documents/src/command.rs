//! The pages of section 1: one for each command, from what the program itself parses.

use std::fs;

use clap::Command;
use clap_mangen::Man;

use crate::{markdown, roff};

/// What the page of a command says beside its options, where there is such a file.
const MORE: &str = "packaging/documents/pages";

/// File name and text of each, the program's own first.
pub(crate) fn pages(program: Command) -> Result<Vec<(String, String)>, String> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    add(&program, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, pages: &mut Vec<(String, String)>) -> Result<(), String> {
    let below: Vec<&Command> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
    let name = name(command);
    let page = page(command, &name, &below).map_err(|e| format!("the page of {name}: {e}"))?;
    pages.push((format!("{name}.1"), page));
    below.into_iter().try_for_each(|command| add(command, pages))
}

/// `agent-aws-home-list`.
fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or(command.get_name()).to_owned()
}

fn page(command: &Command, name: &str, below: &[&Command]) -> std::io::Result<String> {
    let summary = command.get_about().map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command.clone());
    let mut made = roff::head(name, 1, summary.trim_end_matches('.')).into_bytes();
    man.render_synopsis_section(&mut made)?;
    man.render_description_section(&mut made)?;
    man.render_options_section(&mut made)?;
    let mut made = String::from_utf8_lossy(&made).into_owned();
    if !below.is_empty() {
        made += ".SH COMMANDS\n";
    }
    for command in below {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        made +=
            &format!(".TP\n\\fB{}\\fR(1)\n{}", roff::escaped(&self::name(command)), roff::line(&roff::escaped(&about)));
    }
    if let Ok(more) = fs::read_to_string(format!("{MORE}/{name}.1.md")) {
        made += &markdown::to_roff(&more);
    }
    let below: Vec<String> = below.iter().map(|command| format!("{}(1)", self::name(command))).collect();
    Ok(made + &roff::see_also(&below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<(String, String)> {
        pages(agent_aws::command_line()).unwrap()
    }

    #[test]
    fn each_command_has_a_page_and_hidden_ones_have_none() {
        let names: Vec<String> = all().into_iter().map(|(name, _)| name).collect();
        for name in ["agent-aws.1", "agent-aws-run.1", "agent-aws-policy.1", "agent-aws-home-reset.1"] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("__") || name.contains("help")), "{names:?}");
    }

    #[test]
    fn the_page_of_run_has_each_option_with_what_it_does() {
        let (_, page) = all().into_iter().find(|(name, _)| name == "agent-aws-run.1").unwrap();
        assert!(page.contains("\\-\\-deny\\-action"), "{page}");
        assert!(page.contains("Print the plan and do nothing"), "{page}");
        assert!(page.contains(".SH NAME\nagent\\-aws\\-run \\- Run a command as one AWS identity"), "{page}");
    }
}
