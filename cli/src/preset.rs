//! What agent-aws knows of coding agents, so that they run unattended in a sandbox: data in `presets/*.toml`, compiled
//! in. A preset gives the agent nothing that `--env` and `--ro` could not: it binds nobody, and policy bounds it.

mod answer;
mod document;
mod explain;
mod place;
mod settings;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use agent_aws_plan::Plan;
use agent_aws_plan::tables::{REFUSED_VARIABLES, SECRET_STORES};
use agent_aws_protocol::{Bytes, EnvVar, RunRequest, Showing, Shown};
use serde::Deserialize;

pub(crate) use explain::explain;

use crate::environment::Lookup;
use crate::failure::Failure;
use crate::request::Asked;

/// Name and text of each.
const PRESETS: [(&str, &str); 6] = [
    ("aider", include_str!("../presets/aider.toml")),
    ("claude", include_str!("../presets/claude.toml")),
    ("codex", include_str!("../presets/codex.toml")),
    ("gemini", include_str!("../presets/gemini.toml")),
    ("goose", include_str!("../presets/goose.toml")),
    ("opencode", include_str!("../presets/opencode.toml")),
];
/// The one that does nothing.
const NONE: &str = "none";

/// The data of one agent. Every row has its reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Preset {
    /// What the agent is called.
    about: String,
    /// File names of the command that it is for.
    commands: Vec<String>,
    /// What becomes of the agent's own sandbox.
    inner_sandbox: String,
    /// Variables of the caller's that the agent has too.
    #[serde(default)]
    pass: BTreeMap<String, String>,
    /// Variables that are set.
    #[serde(default)]
    set: BTreeMap<String, Set>,
    /// Paths below the caller's home that are shown, read-only.
    #[serde(default)]
    show: BTreeMap<String, String>,
    /// Single settings that are copied.
    #[serde(default)]
    take: Vec<Take>,
    /// Questions that are answered.
    #[serde(default)]
    answer: Vec<Answer>,
    /// What is different where its model is asked with an identity of its own.
    #[serde(default)]
    model: Model,
}

/// What an agent needs to ask its model with another identity than its work is done with. `{region}` stands for where the
/// model is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Model {
    /// Variables that are set.
    set: BTreeMap<String, Set>,
    /// And those where the model is in another region than the work.
    elsewhere: BTreeMap<String, Set>,
    /// What stands in files of the agent's own as long as there is such an identity, whatever stood there before.
    say: Vec<Say>,
}

/// A word in a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    file: String,
    key: Vec<String>,
    value: String,
    why: String,
}

/// Value of a variable.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    value: String,
    why: String,
}

/// Settings in a file, of the caller's and of the agent's own; keys with dots between their parts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    file: String,
    keys: Vec<String>,
    why: String,
}

/// The answer to a question: what stands in a file of the agent's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Answer {
    file: String,
    /// Parts of the key; `{project}` stands for each directory that is trusted.
    key: Vec<String>,
    /// A flag or a word.
    value: Option<serde_json::Value>,
    /// Instead of a value: an entry of a list, the end of a variable.
    end_of: Option<EndOf>,
    /// Only if the agent has this variable.
    if_set: Option<String>,
    why: String,
}

/// The last characters of a variable's value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndOf {
    variable: String,
    length: usize,
}

/// The preset of a run.
#[derive(Debug)]
pub(crate) struct Chosen {
    name: &'static str,
    preset: Preset,
    asked: bool,
    /// The caller's home, where there is one.
    home: Option<PathBuf>,
    /// Directories that the agent is to trust.
    trusted: Vec<String>,
    /// What the agent's environment is asked to be.
    environment: Vec<EnvVar>,
}

fn parse(name: &str, text: &str) -> Result<Preset, Failure> {
    toml::from_str(text).map_err(|e| Failure::Other(format!("the preset {name} cannot be read: {e}"), None))
}

/// The preset that is asked for by name, else the one for this command, if there is one.
pub(crate) fn choose(asked: Option<&str>, command: Option<&OsString>) -> Result<Option<Chosen>, Failure> {
    let name = command.and_then(|command| Path::new(command).file_name()).unwrap_or_default();
    for (known, text) in PRESETS {
        let preset = parse(known, text)?;
        let fits = match asked {
            Some(asked) => asked == known,
            None => preset.commands.iter().any(|command| name == OsStr::new(command)),
        };
        if fits {
            let (home, trusted, environment) = (None, vec![], vec![]);
            return Ok(Some(Chosen { name: known, preset, asked: asked.is_some(), home, trusted, environment }));
        }
    }
    match asked {
        Some(asked) if asked != NONE => {
            let all: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).chain([NONE]).collect();
            let text =
                format!("--preset {}: there is no such preset; there are {}", asked.escape_debug(), all.join(", "));
            Err(Failure::Other(text, Some("without --preset it is chosen by the command's name".into())))
        }
        _ => Ok(None),
    }
}

impl Chosen {
    /// Becomes part of a run, with its variables and paths. What the caller said comes first.
    pub(crate) fn add(mut self, asked: &mut Asked, home: Option<&Path>, lookup: Lookup<'_>) {
        for (name, value) in self.variables(lookup) {
            if asked.environment.iter().all(|given| given.name != name.as_bytes()) {
                asked.environment.push(EnvVar { name: name.into_bytes(), value });
            }
        }
        if let Some(home) = home {
            let taken = asked_for(&asked.request);
            let shown = self.preset.show.keys().map(|below| home.join(below));
            let shown = shown.filter(|path| may_be_shown(home, path, &taken));
            let shown = shown.map(|path| Shown { path: path.into_os_string().into_vec(), why: Showing::Preset });
            asked.request.ro.extend(shown);
        }
        self.home = home.map(Path::to_owned);
        self.trusted = trusted(asked);
        self.environment.clone_from(&asked.environment);
        asked.preset = Some(self);
    }

    fn variables(&self, lookup: Lookup<'_>) -> Vec<(String, Bytes)> {
        let passed = self.preset.pass.keys().filter_map(|name| Some((name, lookup(OsStr::new(name))?.into_vec())));
        let set = self.preset.set.iter().map(|(name, set)| (name, set.value.clone().into_bytes()));
        // The table says what no option may set; a preset is no way around it.
        let allowed = passed.chain(set).filter(|(name, _)| REFUSED_VARIABLES.find(name.as_bytes()).is_none());
        allowed.map(|(name, value)| (name.clone(), value)).collect()
    }

    /// Writes what it has to say into the agent's own home, where nothing is said yet. What cannot be written is told,
    /// and keeps nobody from running the agent.
    pub(crate) fn write(&self, home: impl AsFd, model: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        for file in settings::files(&self.preset) {
            if let Err(why) = settings::complete(self, home.as_fd(), file, model) {
                complaints.push(format!("preset {}: ~/{file} in the agent's home is left as it is: {why}", self.name));
            }
        }
        complaints
    }

    /// What is set for a model in `region` while the work is in `work`.
    fn model_variables<'a>(
        &'a self,
        region: Option<&str>,
        work: Option<&str>,
    ) -> impl Iterator<Item = (&'a String, &'a Set)> + use<'a> {
        let elsewhere = region.is_some() && region != work;
        let model = &self.preset.model;
        model.set.iter().chain(model.elsewhere.iter().filter(move |_| elsewhere))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|variable| variable.name == name.as_bytes())?;
        std::str::from_utf8(&found.value).ok().filter(|value| !value.is_empty())
    }
}

/// The environment where a model is asked with an identity of its own. What the caller said comes first, but for a region:
/// it is the plan's that says where the model is.
pub(crate) fn with_model(chosen: Option<&Chosen>, plan: &Plan, mut all: Vec<EnvVar>) -> Vec<EnvVar> {
    let (Some(chosen), Some(model)) = (chosen, &plan.grant.model) else { return all };
    for (name, set) in chosen.model_variables(model.region.as_deref(), plan.grant.region.as_deref()) {
        let said = chosen.variable(name).is_some();
        let Some(value) = filled(&set.value, model.region.as_deref()).filter(|_| !said) else { continue };
        all.retain(|variable| variable.name != name.as_bytes());
        all.push(EnvVar { name: name.as_bytes().to_vec(), value: value.into_bytes() });
    }
    all
}

/// Where nobody knows the region, nothing is said of it.
fn filled(value: &str, region: Option<&str>) -> Option<String> {
    match (value.contains("{region}"), region) {
        (true, None) => None,
        (_, region) => Some(value.replace("{region}", region.unwrap_or_default())),
    }
}

/// What else is shown: nothing in it is put there a second time.
fn asked_for(request: &RunRequest) -> Vec<PathBuf> {
    let all = [&request.project, &request.repository].into_iter().chain(&request.rw);
    let all = all.chain(request.ro.iter().map(|shown| &shown.path)).filter(|path| !path.is_empty());
    all.map(|bytes| PathBuf::from(OsStr::from_bytes(bytes))).collect()
}

/// It is there, and neither it nor what it leads to is or holds a secret store, or is shown already.
fn may_be_shown(home: &Path, path: &Path, taken: &[PathBuf]) -> bool {
    let Ok(real) = path.canonicalize() else { return false };
    let near = |store: PathBuf| real.starts_with(&store) || store.starts_with(&real);
    let secret = |store: PathBuf| near(store.clone()) || store.canonicalize().is_ok_and(near);
    let private = ["/proc", "/dev", "/run", "/etc/agent-aws"];
    (real.is_file() || real.is_dir())
        && !home.starts_with(&real)
        && !private.iter().any(|place| real.starts_with(place))
        && !taken.iter().any(|taken| path.starts_with(taken) || real.starts_with(taken))
        && !SECRET_STORES.rows().any(|row| secret(home.join(row.path)))
}

/// The project, the directory in which the agent starts, and the repository that a worktree belongs to.
fn trusted(asked: &Asked) -> Vec<String> {
    let request = &asked.request;
    let path = |bytes: &Bytes| Path::new(OsStr::from_bytes(bytes)).to_owned();
    let repository = path(&request.repository);
    let main = repository.parent().filter(|_| repository.file_name() == Some(OsStr::new(".git")));
    let all = [Some(path(&request.project)), Some(asked.directory.clone()), main.map(Path::to_owned)];
    let mut trusted = Vec::new();
    for path in all.into_iter().flatten() {
        // An agent that keeps its answers in JSON or TOML cannot name any other path.
        if let Some(path) = path.to_str().filter(|path| !path.is_empty() && !trusted.iter().any(|known| known == path))
        {
            trusted.push(path.to_owned());
        }
    }
    trusted
}

#[cfg(test)]
mod tests;
