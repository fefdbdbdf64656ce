//! The configs of elhaz: a file each, which says a role and how to assume it. An AWS profile that assumes the same role says the
//! same in words that every tool knows, and a saved identity begins from that.

use std::io;
use std::path::{Path, PathBuf};

use super::outline::{self, Entry};
use super::sections::{Profile, Profiles};
use super::{Foreign, Found, Lost, Saved, missing, text};
use crate::failure::Failure;
use crate::table;

/// Keys that are not carried over.
pub(crate) const LEFT_OUT: &str = include_str!("../../../tables/import-elhaz.tsv");
const ROLE: &str = "AssumeRole.RoleArn";
const POLICIES: &str = "AssumeRole.PolicyArns";
const PROFILE: &str = "Session.profile_name";
const REGION: &str = "Session.region_name";
/// Keys that an AWS profile has too.
const IN_PROFILE: [(&str, &str); 4] = [
    ("AssumeRole.DurationSeconds", "duration_seconds"),
    ("AssumeRole.ExternalId", "external_id"),
    ("AssumeRole.RoleSessionName", "role_session_name"),
    ("AssumeRole.SerialNumber", "mfa_serial"),
];
/// What `access = "read"` is.
const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

/// Reads a directory of them, or one.
pub(super) fn read(place: &Path, profiles: &Profiles) -> Result<Foreign, Failure> {
    let all = if place.is_dir() { files(place)? } else { vec![place.to_owned()] };
    let found = all.iter().map(|path| one(path, profiles)).collect::<Result<_, _>>()?;
    Ok(Foreign { found, default: None })
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.map_err(|e| text::wrong(directory, None, &e.to_string()))?;
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    files.sort();
    Ok(files)
}

fn one(path: &Path, profiles: &Profiles) -> Result<Found, Failure> {
    let text = text::read(path)?.ok_or_else(|| missing(path))?;
    let wanted: Vec<&str> =
        [ROLE, POLICIES, PROFILE, REGION].into_iter().chain(IN_PROFILE.map(|(key, _)| key)).collect();
    let entries = outline::read(path, &text, &wanted)?;
    let value = |key: &str| entries.iter().find(|entry| entry.key == key)?.values.first().map(String::as_str);
    let role = value(ROLE).ok_or_else(|| text::wrong(path, None, "says no AssumeRole.RoleArn"))?;
    let stem = path.file_stem().unwrap_or_default();
    let name = stem.to_str().ok_or_else(|| text::wrong(path, None, "has a name that is not UTF-8"))?;
    let becomes = begin_from(name, role, value(PROFILE), profiles).and_then(|profile| {
        let access = access(name, &profile, &entries)?;
        let region = value(REGION).map(str::to_owned);
        Ok(Saved { profile: Some(profile), access, region, ..Saved::default() })
    });
    let profile = becomes.as_ref().ok().and_then(|saved| profiles.get(saved.profile.as_ref()?));
    let left = left(&entries, profile);
    Ok(Found { name: name.to_owned(), origin: path.to_owned(), becomes, left })
}

/// The AWS profile that assumes this role with these credentials: the one of the same name, else the only one.
fn begin_from(name: &str, role: &str, source: Option<&str>, profiles: &Profiles) -> Result<String, Lost> {
    let assumes = |profile: &Profile| profile.value("role_arn") == Some(role);
    let with = |profile: &Profile| source.is_none_or(|source| profile.value("source_profile") == Some(source));
    let fits = profiles.iter().filter(|(_, profile)| assumes(profile) && with(profile));
    let fits: Vec<&String> = fits.map(|(name, _)| name).collect();
    let of = source.map(|source| format!(" with the credentials of `{source}`")).unwrap_or_default();
    match fits.as_slice() {
        [] => Err(Lost {
            why: format!("no AWS profile of yours assumes {role}{of}"),
            instead: format!(
                "[profile {name}] with role_arn = {role} and source_profile = {} in your AWS configuration, and import again",
                source.unwrap_or("BASE")
            ),
        }),
        [one] => Ok((*one).clone()),
        many if many.iter().any(|known| *known == name) => Ok(name.to_owned()),
        [one, ..] => Err(Lost {
            why: format!("{} AWS profiles assume {role}{of}", fits.len()),
            instead: format!("agent-aws config add {name} --profile {one}, or another one of them"),
        }),
    }
}

/// How much of the role. What narrows it in another way than ours is no reason to give more of it.
fn access(name: &str, profile: &str, entries: &[Entry]) -> Result<Option<String>, Lost> {
    let known = |key: &str| {
        [ROLE, PROFILE, REGION].contains(&key) || table::rows(LEFT_OUT).any(|(left_out, _)| left_out == key)
    };
    let mut access = None;
    for Entry { key, line, values } in entries {
        if key == POLICIES && values.as_slice() == [READ_ONLY] {
            access = Some("read".to_owned());
        } else if !known(key) {
            return Err(Lost {
                why: format!("line {line}: {key} may narrow it, and there is nothing that does the same"),
                instead: format!("agent-aws config add {name} --profile {profile} --access read --deny-action ..."),
            });
        }
    }
    Ok(access)
}

/// What stays behind and the AWS profile does not say too.
fn left(entries: &[Entry], profile: Option<&Profile>) -> Vec<(String, String)> {
    let said = |entry: &Entry| {
        let setting = IN_PROFILE.iter().find(|(key, _)| entry.key == *key).map(|(_, setting)| setting);
        let value = setting.and_then(|setting| profile?.value(setting));
        value.is_some() && entry.values.first().map(String::as_str) == value
    };
    let of_table = |entry: &Entry| table::rows(LEFT_OUT).find(|(key, _)| entry.key == *key);
    let all = entries.iter().filter(|entry| !said(entry)).filter_map(of_table);
    all.map(|(key, instead)| (key.to_owned(), instead.to_owned())).collect()
}
