//! `completion` and what its scripts ask: names, one a line. Who has none, or cannot say, is silent.

use std::ffi::{OsStr, OsString};

use agent_aws_protocol::{HelperToCli, Request};

use crate::args::Shell;
use crate::complete::{Kind, candidates};
use crate::config::Config;
use crate::config::import::{sections, text};
use crate::failure::Failure;
use crate::helper::question;
use crate::{region, say};

const BASH: &str = include_str!("../../completion/agent-aws.bash");
const ZSH: &str = include_str!("../../completion/agent-aws.zsh");
const FISH: &str = include_str!("../../completion/agent-aws.fish");

/// Prints the script of a shell.
pub(super) fn script(shell: Shell) -> Result<(), Failure> {
    say::out(match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
    })
}

/// Prints what could stand for the last of `words`.
pub(super) fn complete(words: &[OsString]) -> Result<(), Failure> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let offers = candidates(&words, &names);
    say::out(&offers.iter().map(|offer| format!("{offer}\n")).collect::<String>())
}

fn names(kind: Kind) -> Vec<String> {
    match kind {
        Kind::Identity => saved().into_iter().chain(of_policy()).collect(),
        Kind::OfPolicy => of_policy(),
        Kind::Profile => profiles(),
        Kind::Saved => saved(),
        Kind::Default => {
            let own = profiles().into_iter().map(|name| format!("own:{name}"));
            saved().into_iter().chain(of_policy()).chain(own).collect()
        }
        Kind::Session => sessions(),
    }
}

fn saved() -> Vec<String> {
    Config::load().map(|config| config.identities.into_keys().collect()).unwrap_or_default()
}

/// Headers of the AWS configuration: no other line of it is looked at.
fn profiles() -> Vec<String> {
    let mut all = Vec::new();
    let files = region::files(&|name: &OsStr| std::env::var_os(name));
    for (path, is_settings) in files.iter().zip([true, false]) {
        let text = text::read(path).ok().flatten().unwrap_or_default();
        let headers = text.lines().filter_map(sections::header);
        let named =
            headers.filter_map(|header| if is_settings { sections::profile_name(header) } else { Some(header) });
        all.extend(named.map(str::to_owned));
    }
    all
}

/// What the helper grants, less the AWS profiles.
fn of_policy() -> Vec<String> {
    let mut all = Vec::new();
    let _ = question(Request::Identities { allow_root: false }, |message| {
        if let HelperToCli::Identities(more) = message {
            all.extend(more.into_iter().map(|offer| offer.name).filter(|name| !name.starts_with("own:")));
        }
        Ok(())
    });
    all
}

fn sessions() -> Vec<String> {
    let mut all = Vec::new();
    let _ = question(Request::Sessions, |message| {
        if let HelperToCli::Sessions(more) = message {
            all.extend(more.into_iter().map(|row| row.id));
        }
        Ok(())
    });
    all
}
