//! What the caller's AWS configuration says: the region of an own identity, as their other tools would use it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use agent_aws_protocol::Ask;
use rustix::fs::{Mode, OFlags};

use crate::environment::Lookup;

/// The largest file of a configuration that is read, in bytes: as in the broker.
const LARGEST: u64 = 1024 * 1024;
/// Region variables, the strongest first.
const VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The region of an AWS profile of the caller's: from their environment, else as configured. An identity of the policy
/// has one there.
pub(crate) fn of_own(identity: &Ask, lookup: Lookup<'_>) -> Option<String> {
    let Ask::Own(profile) = identity else {
        return None;
    };
    let text = |value: OsString| value.into_string().ok().filter(|v| !v.is_empty());
    let of_environment = VARIABLES.iter().find_map(|name| lookup(OsStr::new(name)).and_then(text));
    of_environment.or_else(|| configured(&text_of(files(lookup).first()?)?, profile))
}

/// The files of the AWS configuration: settings, then keys.
pub(crate) fn files(lookup: Lookup<'_>) -> Vec<PathBuf> {
    let place = |variable: &str, usual: &str| {
        let named = lookup(OsStr::new(variable)).filter(|v| !v.is_empty()).map(PathBuf::from);
        named.or_else(|| Some(PathBuf::from(lookup(OsStr::new("HOME"))?).join(usual)))
    };
    let all = [("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")];
    all.into_iter().filter_map(|(variable, usual)| place(variable, usual)).collect()
}

/// The text of such a file. Of a FIFO, a device or a file without end there is none: nothing here waits for it, and the broker
/// says what is wrong with it.
pub(crate) fn text_of(path: &Path) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let found = file.metadata().ok()?;
    let mut text = String::new();
    let read = (found.is_file() && found.len() <= LARGEST).then(|| file.take(LARGEST).read_to_string(&mut text));
    matches!(read, Some(Ok(_))).then_some(text)
}

/// The region of that AWS profile, as far as it looks like one.
fn configured(text: &str, profile: &str) -> Option<String> {
    let found = setting(text, profile, "region");
    found.filter(|v| !v.is_empty() && v.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
}

/// A setting of that AWS profile.
pub(crate) fn setting(text: &str, profile: &str, wanted: &str) -> Option<String> {
    let is_ours = |header: &str| {
        let name = header.trim().trim_start_matches('[').trim_end_matches(']').trim();
        let name = name.strip_prefix("profile").filter(|n| n.starts_with([' ', '\t'])).unwrap_or(name);
        name.trim() == profile
    };
    let mut inside = false;
    let mut found = None;
    for line in text.lines() {
        if line.starts_with('[') {
            inside = is_ours(line);
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside)
            // An indented line belongs to a setting that has parts.
            && key.trim_end() == wanted
        {
            found = Some(value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[default]\nregion = us-west-2\n[profile dev]\nrole_arn=x\nregion=eu-west-1 \ns3 =\n  region = no\n\
                          [profile bad]\nregion = $(id)\n[profile none]\n";

    #[test]
    fn the_region_is_that_of_the_named_profile_only() {
        for (profile, region) in
            [("dev", Some("eu-west-1")), ("default", Some("us-west-2")), ("bad", None), ("none", None)]
        {
            assert_eq!(configured(CONFIG, profile).as_deref(), region, "{profile}");
        }
    }

    #[test]
    fn the_callers_environment_comes_first_and_an_identity_of_the_policy_has_its_own() {
        let caller = |name: &OsStr| (name == "AWS_DEFAULT_REGION").then(|| "eu-north-1".into());
        assert_eq!(of_own(&Ask::Own("dev".into()), &caller).as_deref(), Some("eu-north-1"));
        assert_eq!(of_own(&Ask::Named("incident".into()), &caller), None);
    }
}
