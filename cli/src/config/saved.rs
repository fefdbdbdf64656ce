//! An identity of the caller's own: one that policy or an AWS profile gives, less what the caller does without.

use agent_aws_policy::{Access, Network, is_region};
use agent_aws_policy_text::unknown_service;
use agent_aws_protocol::{Ask, RunRequest};
use agent_aws_session_policy::is_action;
use serde::{Deserialize, Serialize};

/// `[identity.NAME]`: what it begins from, and options of `run` that it stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Saved {
    /// Identity of the policy.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<String>,
    /// AWS profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
    /// `--access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access: Option<String>,
    /// `--deny-action`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) deny_actions: Vec<String>,
    /// `--region`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// `--sandbox`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sandbox: Option<String>,
    /// `--network`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) network: Option<String>,
    /// `--allow-name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) allow_names: Vec<String>,
    /// `--model-identity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model_identity: Option<String>,
    /// `--model-region`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model_region: Option<String>,
}

/// Whether an identity of the caller's may be called so: letters, digits, `.`, `_`, `-`, at most 64.
pub(crate) fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(good) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn one_of<T>(key: &str, given: &Option<String>, words: &[(&str, T)]) -> Result<(), String> {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    match given.as_deref().is_none_or(|word| words.contains(&word)) {
        true => Ok(()),
        false => Err(format!("`{key}` is one of {}", words.join(", "))),
    }
}

impl Saved {
    /// What is wrong with it, if something is.
    pub(crate) fn check(&self, name: &str) -> Result<(), String> {
        if !is_name(name) {
            return Err("a name has letters, digits, `.`, `_` and `-`, and begins with a letter or a digit".into());
        }
        let given = [&self.identity, &self.profile].into_iter().flatten().filter(|text| !text.is_empty()).count();
        if given != 1 || self.identity.is_some() == self.profile.is_some() {
            return Err("it needs one of `as` (an identity of the policy) and `profile` (an AWS profile)".into());
        }
        one_of("access", &self.access, Access::WORDS)?;
        one_of("network", &self.network, Network::WORDS)?;
        if let Some(bad) = self.deny_actions.iter().find(|action| !is_action(action)) {
            return Err(format!("{bad:?} in `deny-actions` is no action, such as s3:DeleteObject or sqs:Purge*"));
        }
        if let Some(why) = self.deny_actions.iter().find_map(|action| unknown_service(action)) {
            return Err(format!("`deny-actions`: {why}"));
        }
        if self.model_identity.as_ref().is_some_and(String::is_empty) {
            return Err("`model-identity` names an identity of the policy, or an AWS profile as own:NAME".into());
        }
        let is_none = |given: &Option<String>| given.as_deref().is_some_and(|region| !is_region(region));
        let all = [("region", &self.region), ("model-region", &self.model_region)];
        match all.into_iter().find(|(_, given)| is_none(given)) {
            None => Ok(()),
            Some((key, _)) => Err(format!("`{key}` is no AWS region")),
        }
    }

    /// What it begins from.
    pub(crate) fn ask(&self) -> Ask {
        match (&self.identity, &self.profile) {
            (_, Some(profile)) => Ask::Own(profile.clone()),
            (Some(name), None) => Ask::Named(name.clone()),
            (None, None) => Ask::Unnamed,
        }
    }

    /// Says it in a request, where the command line says nothing. Denials add up.
    pub(crate) fn complete(self, request: &mut RunRequest) {
        request.access = request.access.take().or(self.access.as_deref().and_then(Access::from_word));
        request.sandbox = request.sandbox.take().or(self.sandbox);
        request.network = request.network.take().or(self.network);
        if request.allow_names.is_empty() {
            request.allow_names = self.allow_names;
        }
        request.deny_actions.extend(self.deny_actions);
    }

    /// In one line, for a table: what it does without.
    pub(crate) fn less(&self) -> String {
        let mut parts = Vec::new();
        let mut part = |name: &str, value: &Option<String>| parts.extend(value.iter().map(|v| format!("{name} {v}")));
        part("access", &self.access);
        part("region", &self.region);
        part("sandbox", &self.sandbox);
        part("network", &self.network);
        part("model", &self.model_identity);
        part("model in", &self.model_region);
        for (name, list) in [("without", &self.deny_actions), ("names", &self.allow_names)] {
            parts.extend((!list.is_empty()).then(|| format!("{name} {}", list.join(" "))));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        Saved {
            profile: Some("dev".into()),
            access: Some("read".into()),
            deny_actions: vec!["s3:Get*".into()],
            network: Some("none".into()),
            ..Saved::default()
        }
    }

    #[test]
    fn the_command_line_comes_first_and_denials_add_up() {
        let mut request = RunRequest { deny_actions: vec!["iam:*".into()], ..RunRequest::default() };
        request.network = Some("filtered".into());
        saved().complete(&mut request);
        assert_eq!(request.access, Some(Access::Read));
        assert_eq!(request.network.as_deref(), Some("filtered"));
        assert_eq!(request.deny_actions, ["iam:*", "s3:Get*"]);
    }

    #[test]
    fn it_is_said_in_one_line() {
        assert_eq!(saved().less(), "access read, network none, without s3:Get*");
        assert_eq!(saved().ask(), Ask::Own("dev".into()));
    }
}
