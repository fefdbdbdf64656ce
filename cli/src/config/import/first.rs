//! The profiles of agent-aws 1, the script around bwrap and sandbox-exec: roles of IAM Identity Center, which AWS profiles of
//! the same names have.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::sections::{Profile, Profiles};
use super::{Foreign, Found, Lost, Saved, missing, text};
use crate::failure::Failure;

/// As version 1.0 writes it.
#[derive(Deserialize)]
struct Several {
    default_profile: Option<String>,
    profiles: BTreeMap<String, One>,
}

/// A profile, or all of the file as older versions wrote it. What else there is says how to sign in, as the AWS profile does.
#[derive(Deserialize)]
struct One {
    account_id: String,
    role_name: String,
    default_region: Option<String>,
}

/// Reads the file.
pub(super) fn read(path: &Path, profiles: &Profiles) -> Result<Foreign, Failure> {
    let text = text::read(path)?.ok_or_else(|| missing(path))?;
    let whole: serde_json::Value = json(path, &text)?;
    let (default, all) = match whole.get("profiles").is_none() && whole.get("account_id").is_some() {
        true => (Some("default".to_owned()), BTreeMap::from([("default".to_owned(), json::<One>(path, &text)?)])),
        false => {
            let Several { default_profile, profiles } = json(path, &text)?;
            (default_profile, profiles)
        }
    };
    let one = |(name, one): (String, One)| {
        let profile = begin_from(&name, &one, profiles);
        let region = one.default_region.filter(|region| !region.is_empty());
        let becomes = profile.map(|profile| Saved { profile: Some(profile), region, ..Saved::default() });
        Found { name, origin: path.to_owned(), becomes, left: Vec::new() }
    };
    Ok(Foreign { found: all.into_iter().map(one).collect(), default })
}

/// The AWS profile with this role: the one of the same name, else the only one.
fn begin_from(name: &str, one: &One, profiles: &Profiles) -> Result<String, Lost> {
    let One { account_id, role_name, .. } = one;
    let has = |profile: &Profile| {
        profile.value("sso_account_id") == Some(account_id) && profile.value("sso_role_name") == Some(role_name)
    };
    let all: Vec<&String> = profiles.iter().filter(|(_, profile)| has(profile)).map(|(name, _)| name).collect();
    match all.as_slice() {
        [] => Err(Lost {
            why: format!("no AWS profile of yours is the role {role_name} of account {account_id}"),
            instead: format!("aws configure sso --profile {name}, and import again"),
        }),
        [one] => Ok((*one).clone()),
        many if many.iter().any(|known| *known == name) => Ok(name.to_owned()),
        [one, ..] => Err(Lost {
            why: format!("{} AWS profiles are the role {role_name} of account {account_id}", all.len()),
            instead: format!("agent-aws config add {name} --profile {one}, or another one of them"),
        }),
    }
}

/// Where what is wrong stands, and never what: a file that was named by mistake may hold a token.
fn json<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|e| {
        let what = if e.is_data() { "is not what agent-aws 1 writes" } else { "is no JSON from here on" };
        text::wrong(path, Some(e.line().max(1)), what)
    })
}
