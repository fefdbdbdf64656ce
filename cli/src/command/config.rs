//! `config`: the caller's own configuration.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::args::{Add, Choice, Config as What};
use crate::config::{self, Config, Saved, change};
use crate::failure::Failure;
use crate::say;

/// Where no variable names an editor.
const EDITOR: &str = "vi";

/// Does it.
pub(super) fn perform(command: What) -> Result<(), Failure> {
    match command {
        What::Add(what) => add(*what),
        What::Import(what) => config::import::perform(&what),
        What::List { json } => list(json),
        What::Show { name: Some(name) } => show_one(&name),
        What::Show { name: None } => show(),
        What::Edit => edit(),
        What::Remove { name } => remove(&name),
        What::Default { name } => change::set_default(&config::path()?, &name),
    }
}

fn add(what: Add) -> Result<(), Failure> {
    let Add { name, choice, access, deny_action, region, sandbox, network, allow_name, model_identity, model_region } =
        what;
    let Choice { identity, profile } = begin_from(choice)?;
    let (deny_actions, allow_names) = (deny_action, allow_name);
    let saved = Saved {
        identity,
        profile,
        access,
        deny_actions,
        region,
        sandbox,
        network,
        allow_names,
        model_identity,
        model_region,
    };
    change::add(&config::path()?, &name, &saved)?;
    say::line(&format!("saved: agent-aws run --as {name} -- CMD"));
    Ok(())
}

/// What it begins from, which a person is asked for.
fn begin_from(choice: Choice) -> Result<Choice, Failure> {
    if choice.identity.is_some() || choice.profile.is_some() {
        return Ok(choice);
    }
    if !io::stdin().is_terminal() || !say::on_terminal() {
        let text = "what does it begin from?".to_owned();
        return Err(Failure::Option(text, "say --as IDENTITY or --profile AWS-PROFILE"));
    }
    say::line("an identity of the policy (agent-aws identities), or own:NAME for an AWS profile of yours:");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|e| Failure::Os("cannot read an answer", e))?;
    match (answer.trim(), answer.trim().strip_prefix("own:")) {
        ("", _) => Err(Failure::Other("nothing was saved".into(), None)),
        (_, Some(profile)) => Ok(Choice { identity: None, profile: Some(profile.into()) }),
        (name, None) => Ok(Choice { identity: Some(name.into()), profile: None }),
    }
}

fn list(as_json: bool) -> Result<(), Failure> {
    let Config { default, identities } = Config::load()?;
    let is_default = |name: &str| default.as_deref() == Some(name);
    if as_json {
        let row = |(name, saved): (&String, &Saved)| {
            let mut row = json!({ "name": name, "default": is_default(name) });
            if let (Some(row), Ok(serde_json::Value::Object(saved))) =
                (row.as_object_mut(), serde_json::to_value(saved))
            {
                row.extend(saved);
            }
            row
        };
        return say::json(&identities.iter().map(row).collect());
    }
    if identities.is_empty() {
        say::line("you have saved none: agent-aws config add NAME --profile AWS-PROFILE --access read");
        return Ok(());
    }
    let mut rows = vec![["NAME", "BEGINS FROM", "LESS", ""].map(str::to_owned).to_vec()];
    for (name, saved) in &identities {
        let mark = if is_default(name) { "default" } else { "" };
        rows.push([name.as_str(), &from(saved), &saved.less(), mark].map(say::escaped).to_vec());
    }
    say::out(&say::table(&rows))
}

fn from(saved: &Saved) -> String {
    let own = saved.profile.iter().map(|profile| format!("own:{profile}"));
    saved.identity.iter().cloned().chain(own).collect()
}

fn show() -> Result<(), Failure> {
    let path = config::path()?;
    let Config { default, identities } = Config::load()?;
    let default = match default {
        Some(name) => say::escaped(&name),
        None => "none: the only identity that you may use, if there is only one".to_owned(),
    };
    let count = match identities.len() {
        0 => "none saved".to_owned(),
        number => format!("{number} saved: agent-aws config list"),
    };
    let path = say::escaped(&path.display().to_string());
    say::out(&format!("file        {path}\ndefault     {default}\nidentities  {count}\n"))
}

fn show_one(name: &str) -> Result<(), Failure> {
    let found = Config::load()?.identities.remove(name);
    let saved = found.ok_or_else(|| config::unknown(name))?;
    let text = toml::to_string(&saved).map_err(|e| Failure::Other(e.to_string(), None))?;
    say::out(&say::escaped_block(&format!("[identity.{name}]\n{text}")))
}

fn remove(name: &str) -> Result<(), Failure> {
    if change::remove(&config::path()?, name)? {
        say::line("it was your default: there is none now");
    }
    Ok(())
}

/// The file is only replaced by what can be read; a draft that cannot is kept, and named.
fn edit() -> Result<(), Failure> {
    let path = config::path()?;
    let draft = change::draft(&path)?;
    let edited = run_editor(&draft).and_then(|()| change::adopt(&path, &draft));
    match edited {
        Ok(true) => Ok(()),
        Ok(false) => {
            say::line("nothing was changed");
            Ok(())
        }
        Err(why) => {
            let text = format!("{why}; your configuration is as it was");
            Err(Failure::Other(text, Some(format!("your changes are in {}", draft.display()))))
        }
    }
}

/// The variable may hold options too, as everywhere.
fn run_editor(draft: &Path) -> Result<(), Failure> {
    let named = |name: &str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| EDITOR.to_owned());
    let mut words = editor.split_whitespace();
    let program = PathBuf::from(words.next().unwrap_or(EDITOR));
    let status = Command::new(&program).args(words).arg(draft).status();
    match status.map_err(|e| Failure::Path(program.clone(), e))?.success() {
        true => Ok(()),
        false => Err(Failure::Other(format!("{} did not end well", program.display()), None)),
    }
}
