//! Sections and settings of the AWS configuration. Values are kept of the settings that are asked for only: the file may hold
//! keys.

use std::collections::BTreeMap;
use std::path::Path;

use super::text;
use crate::failure::Failure;

/// Settings of an AWS profile whose values matter here.
const WANTED: [&str; 8] = [
    "duration_seconds", "external_id", "mfa_serial", "role_arn", "role_session_name", "source_profile",
    "sso_account_id", "sso_role_name",
];

/// An AWS profile: the names of its settings, and the values that are wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile(BTreeMap<String, String>);

/// The AWS profiles of a configuration, by name.
pub(crate) type Profiles = BTreeMap<String, Profile>;

impl Profile {
    /// A value, of those that are wanted.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names of its settings.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// What a line is the header of.
pub(crate) fn header(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with(['#', ';'])).then(|| name.trim())
}

/// The name of the AWS profile that a section of the configuration is about. Others are about something else.
pub(crate) fn profile_name(section: &str) -> Option<&str> {
    let named = section.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t']));
    named.map(str::trim).or_else(|| (section == "default").then_some(section))
}

/// Reads `text` as the configuration `path`, which errors name. A line that is nothing the AWS SDK would read is an error.
pub(crate) fn profiles(path: &Path, text: &str) -> Result<Profiles, Failure> {
    let mut all = Profiles::new();
    let (mut inside, mut any) = (None, false);
    for (number, line) in text.lines().enumerate() {
        let wrong = |what: &str| text::wrong(path, Some(number + 1), what);
        // An indented line belongs to a setting that has parts.
        if line.trim().is_empty() || line.starts_with(['#', ';', ' ', '\t']) {
            continue;
        }
        if line.starts_with('[') {
            let section = header(line).ok_or_else(|| wrong("a section is [NAME] on a line of its own"))?;
            any = true;
            inside = profile_name(section).map(|name| all.entry(name.to_owned()).or_default());
        } else if !any {
            return Err(wrong("a setting stands before the first section"));
        } else {
            let (key, value) = line.split_once('=').ok_or_else(|| wrong("a setting is `name = value`"))?;
            let key = key.trim_end();
            let kept = if WANTED.contains(&key) { without_comment(value) } else { "" };
            if let Some(Profile(settings)) = &mut inside {
                settings.insert(key.to_owned(), kept.to_owned());
            }
        }
    }
    Ok(all)
}

fn without_comment(value: &str) -> &str {
    let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    value.get(..end.unwrap_or(value.len())).unwrap_or(value).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Profiles, String> {
        profiles(Path::new("/h/config"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn profiles_are_told_from_other_sections_and_secrets_are_not_kept() {
        let text = "# mine\n[default]\nregion = x\n[profile dev] ; why\nrole_arn = r # here\nsource_profile=base\n\
                    aws_secret_access_key = hunter2\ns3 =\n  key = no\n[sso-session acme]\nrole_arn = z\n[profile dev]\nmfa_serial = m\n";
        let all = read(text).unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["default", "dev"]);
        assert_eq!((all["dev"].value("role_arn"), all["dev"].value("mfa_serial")), (Some("r"), Some("m")));
        assert_eq!(all["default"].value("role_arn"), None);
        assert!(all["dev"].keys().any(|key| key == "aws_secret_access_key"));
        assert!(!format!("{all:?}").contains("hunter2"));
    }

    #[test]
    fn a_line_that_makes_no_sense_is_an_error_with_its_number() {
        for (text, words) in [
            ("[default]\nnonsense\n", "/h/config:2: a setting is `name = value`"),
            ("region = x\n", "/h/config:1: a setting stands before the first section"),
            ("[default]\n\n[profile dev\n", "/h/config:3: a section is [NAME] on a line of its own"),
        ] {
            assert_eq!(read(text).unwrap_err(), words);
        }
    }
}
