//! What could stand next on the command line. The command line itself says what there is; names come from whoever has them.

use std::os::unix::fs::PermissionsExt;

use clap::{Arg, Command, CommandFactory};

use crate::args::Cli;

/// Of what names are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of the caller's own and of the policy.
    Identity,
    /// Of the policy alone.
    OfPolicy,
    /// AWS profiles of the caller's.
    Profile,
    /// Of the caller's own alone.
    Saved,
    /// All that can be a default: as `Identity`, and AWS profiles as `own:NAME`.
    Default,
    /// Running sessions.
    Session,
}

/// Where the last word stands.
struct Place {
    command: Command,
    /// Names of the subcommands that led there.
    path: Vec<String>,
    /// An option that waits for its value.
    pending: Option<Arg>,
    /// How many positional arguments there were.
    positional: usize,
    /// Our options have ended.
    ended: bool,
    /// What follows belongs to the agent's command.
    foreign: bool,
}

/// What could stand for the last of `words`, which begin after the program's name. Nothing: a file, as far as we know.
pub(crate) fn candidates(words: &[String], names: &dyn Fn(Kind) -> Vec<String>) -> Vec<String> {
    let Some((current, before)) = words.split_last() else { return Vec::new() };
    let mut command = Cli::command();
    command.build();
    let mut place = Place { command, path: Vec::new(), pending: None, positional: 0, ended: false, foreign: false };
    before.iter().for_each(|word| place.pass(word));
    let mut all = place.offers(current, names);
    all.retain(|candidate| candidate.starts_with(current.as_str()) && is_plain(candidate));
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a shell takes it as it stands. A name in a file must not become a command by way of a completion.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_.:/@+,%=".contains(c))
}

impl Place {
    /// Goes past a word.
    fn pass(&mut self, word: &str) {
        if self.pending.take().is_some() || self.foreign {
            return;
        }
        if !self.ended && word == "--" {
            self.ended = true;
        } else if let Some(name) = word.strip_prefix("--").filter(|_| !self.ended) {
            // `--name=value` waits for nothing.
            self.pending = self.option(name);
        } else if self.ended || !word.starts_with('-') {
            self.plain(word);
        }
    }

    fn plain(&mut self, word: &str) {
        if let Some(next) = self.command.find_subcommand(word).filter(|_| !self.ended) {
            let next = next.clone();
            self.path.push(next.get_name().to_owned());
            (self.command, self.positional) = (next, 0);
            return;
        }
        self.foreign = self.argument().is_some_and(Arg::is_trailing_var_arg_set);
        self.positional += 1;
    }

    /// The option of that name, if it takes a value.
    fn option(&self, name: &str) -> Option<Arg> {
        let mut all = self.command.get_arguments();
        all.find(|arg| arg.get_long() == Some(name) && arg.get_action().takes_values()).cloned()
    }

    /// The positional argument that comes next; the last one may come again.
    fn argument(&self) -> Option<&Arg> {
        let all = self.command.get_positionals();
        all.take(self.positional + 1)
            .enumerate()
            .last()
            .filter(|(at, arg)| {
                *at == self.positional || arg.get_num_args().is_some_and(|range| range.max_values() > 1)
            })
            .map(|(_, arg)| arg)
    }

    fn offers(&self, current: &str, names: &dyn Fn(Kind) -> Vec<String>) -> Vec<String> {
        if self.foreign {
            return Vec::new();
        }
        if let Some(option) = &self.pending {
            return self.values(option, names);
        }
        if let Some((name, _)) =
            current.strip_prefix("--").and_then(|rest| rest.split_once('=')).filter(|_| !self.ended)
        {
            let values = self.option(name).map(|option| self.values(&option, names)).unwrap_or_default();
            return values.into_iter().map(|value| format!("--{name}={value}")).collect();
        }
        if current.starts_with('-') && !self.ended {
            let all = self.command.get_arguments().filter(|arg| !arg.is_hide_set());
            return all.filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
        }
        let mut all = Vec::new();
        if !self.ended {
            let verbs = self.command.get_subcommands().filter(|verb| !verb.is_hide_set());
            all.extend(verbs.map(|verb| verb.get_name().to_owned()));
        }
        match self.argument() {
            Some(arg) if arg.is_trailing_var_arg_set() => all.extend(programs(current)),
            Some(arg) => all.extend(self.values(arg, names)),
            None => {}
        }
        all
    }

    /// What an option or an argument may be.
    fn values(&self, arg: &Arg, names: &dyn Fn(Kind) -> Vec<String>) -> Vec<String> {
        let known = arg.get_possible_values();
        if !known.is_empty() {
            return known.iter().map(|value| value.get_name().to_owned()).collect();
        }
        kind(&self.path, arg).map(names).unwrap_or_default()
    }
}

/// Which names an argument of a subcommand takes.
fn kind(path: &[String], arg: &Arg) -> Option<Kind> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (path.as_slice(), arg.get_long(), arg.get_id().as_str()) {
        (["config", "add"] | ["policy", ..], Some("as"), _) => Some(Kind::OfPolicy),
        (_, Some("as"), _) => Some(Kind::Identity),
        (_, Some("profile"), _) => Some(Kind::Profile),
        (["config", "show" | "remove"], None, "name") => Some(Kind::Saved),
        (["config", "default"], None, "name") => Some(Kind::Default),
        (["stop" | "sessions"], None, "id") => Some(Kind::Session),
        _ => None,
    }
}

/// Programs of PATH that begin so. All of them would be a page that helps nobody.
fn programs(current: &str) -> Vec<String> {
    if current.is_empty() || current.contains('/') {
        return Vec::new();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
    let entries = directories.filter_map(|directory| std::fs::read_dir(directory).ok()).flatten().flatten();
    let begins = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    let begins = begins.filter(|(name, _)| name.starts_with(current));
    let runs =
        |path: &std::path::Path| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    begins.filter(|(_, path)| runs(path)).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kind: Kind) -> Vec<String> {
        let name = match kind {
            Kind::Identity => ["careful", "incident"].as_slice(),
            Kind::OfPolicy => &["incident"],
            Kind::Profile => &["dev", "dev-two", "$(id)", "odd name", "it's"],
            Kind::Saved => &["careful"],
            Kind::Default => &["careful", "own:dev"],
            Kind::Session => &["s-1"],
        };
        name.iter().map(|name| (*name).to_owned()).collect()
    }

    fn offered(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        candidates(&words, &names)
    }

    #[test]
    fn verbs_and_options_are_those_of_the_command_line() {
        assert_eq!(offered("con"), ["config"]);
        assert_eq!(offered("config d"), ["default"]);
        assert!(!offered("").contains(&"__complete".to_owned()));
        assert_eq!(offered("run --exp"), ["--explain"]);
        assert_eq!(offered("config import "), ["agent-aws", "aws", "elhaz"]);
        assert_eq!(offered("run --network f"), ["filtered"]);
        assert_eq!(offered("run --network=n"), ["--network=none"]);
        assert_eq!(offered("completion "), ["bash", "fish", "zsh"]);
    }

    #[test]
    fn names_are_offered_where_they_are_meant() {
        for (line, wanted) in [
            ("run --as ", ["careful", "incident"].as_slice()),
            ("run --as=c", &["--as=careful"]),
            ("config add mine --as ", &["incident"]),
            ("policy iam --as ", &["incident"]),
            ("whoami --profile de", &["dev", "dev-two"]),
            ("config show ", &["careful"]),
            ("config remove c", &["careful"]),
            ("config default own:", &["own:dev"]),
            ("stop ", &["s-1"]),
            ("config edit ", &[]),
            ("config show careful ", &[]),
        ] {
            assert_eq!(offered(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_belongs_to_the_agents_command_is_not_ours_to_offer() {
        assert_eq!(offered("run --as careful -- aws --profile "), Vec::<String>::new());
        assert_eq!(offered("run --as careful aws --as "), Vec::<String>::new());
        assert!(offered("run --as careful -- sh").contains(&"sh".to_owned()));
        assert_eq!(offered("run -- "), Vec::<String>::new());
    }

    #[test]
    fn no_name_makes_a_shell_do_anything() {
        assert_eq!(offered("run --profile "), ["dev", "dev-two"]);
    }
}
