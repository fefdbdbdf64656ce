//! The AWS profiles of the caller's configuration: each gets a name for `--as`. What aws-vault runs is there too.

use std::path::Path;

use super::sections::{Profile, Profiles};
use super::{Foreign, Found, Lost, Saved};
use crate::table;

/// Settings that only aws-vault reads.
pub(crate) const LEFT_OUT: &str = include_str!("../../../tables/import-aws.tsv");
/// Settings of which one says where credentials come from.
const SOURCES: [&str; 8] = [
    "aws_access_key_id", "credential_process", "login_session", "role_arn", "sso_account_id", "sso_role_name",
    "sso_session", "web_identity_token_file",
];
/// Settings of which one says whose credentials assume the role.
const ASSUMERS: [&str; 3] = ["source_profile", "credential_source", "web_identity_token_file"];

/// All of them; `with_keys` are the AWS profiles that have keys in a file of their own.
pub(super) fn found(path: &Path, profiles: &Profiles, with_keys: &[String]) -> Foreign {
    let one = |(name, profile): (&String, &Profile)| Found {
        name: name.clone(),
        origin: path.to_owned(),
        becomes: usable(name, profile, profiles, with_keys)
            .map(|()| Saved { profile: Some(name.clone()), ..Saved::default() }),
        left: left(profile),
    };
    Foreign { found: profiles.iter().map(one).collect(), default: None }
}

fn left(profile: &Profile) -> Vec<(String, String)> {
    let all = table::rows(LEFT_OUT).filter(|(key, _)| profile.keys().any(|known| known == *key));
    all.map(|(key, instead)| (key.to_owned(), instead.to_owned())).collect()
}

fn usable(name: &str, profile: &Profile, all: &Profiles, with_keys: &[String]) -> Result<(), Lost> {
    let lost = |why: &str, instead: String| Err(Lost { why: why.into(), instead });
    let has = |keys: &[&str]| profile.keys().any(|key| keys.contains(&key));
    let keys_of = |name: &str| with_keys.iter().any(|known| known == name);
    if name == "default" {
        let text = "the AWS profile that every tool uses when nothing is said is never used silently";
        return lost(text, "agent-aws config add NAME --profile default".into());
    }
    if has(&["role_arn"]) && !has(&ASSUMERS) {
        let instead = format!("source_profile = ... in [profile {name}]; include_profile is aws-vault's alone");
        return lost("it names a role, and nobody whose credentials assume it", instead);
    }
    if let Some(source) = profile.value("source_profile").filter(|s| !all.contains_key(*s) && !keys_of(s)) {
        let instead = format!("aws configure --profile {source}");
        return lost(&format!("its source_profile `{source}` is not there"), instead);
    }
    if !has(&SOURCES) && !keys_of(name) {
        let vault = format!("credential_process = aws-vault export --no-session --format=json {name}");
        let instead = format!("where aws-vault has its keys: {vault}; else aws configure --profile {name}");
        return lost("nothing in it says where its credentials come from", instead);
    }
    Ok(())
}
