//! The configuration file: who exists, which roles there are, and the knobs of the clock.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use crate::policy::Document;

/// AWS's largest `MaxSessionDuration`, in seconds.
const MAX_SESSION_DURATION: u32 = 43_200;

/// Everything an emulator is started with. Unknown keys are errors.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// IAM users with one long-lived access key each.
    pub(crate) users: Vec<User>,
    /// Roles that can be assumed.
    #[serde(default)]
    pub(crate) roles: Vec<Role>,
    /// Replaces the lifetime of every issued session, so that a test can see one expire.
    #[serde(default)]
    pub(crate) session_lifetime_seconds: Option<u32>,
    /// The smallest accepted `DurationSeconds`; AWS's 900 unless a test lowers it.
    #[serde(default = "default_minimum_duration")]
    pub(crate) minimum_duration: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) name: IamName,
    pub(crate) account: Account,
    pub(crate) access_key_id: AccessKeyId,
    pub(crate) secret_access_key: Secret,
    #[serde(default)]
    pub(crate) policy: Permissions,
    /// The device of a second factor, if the user has one.
    #[serde(default)]
    pub(crate) mfa_serial: Option<String>,
    /// Codes that it will show; each is good once.
    #[serde(default)]
    pub(crate) mfa_codes: BTreeSet<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub(crate) arn: RoleArn,
    #[serde(default = "default_max_session_duration")]
    pub(crate) max_session_duration: u32,
    pub(crate) trusted: Vec<Trusted>,
    #[serde(default)]
    pub(crate) external_id: Option<String>,
    #[serde(default)]
    pub(crate) allow_source_identity: bool,
    #[serde(default)]
    pub(crate) allow_tags: bool,
    /// Trusts only callers with a second factor.
    #[serde(default)]
    pub(crate) require_mfa: bool,
    /// Whoever shows one of these may assume it without keys.
    #[serde(default)]
    pub(crate) web_identity_tokens: Vec<Secret>,
    #[serde(default)]
    pub(crate) policy: Permissions,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {file}: {error}")]
    Read {
        /// The file as named by the caller.
        file: String,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The text is not a configuration.
    #[error("{file}:{line}:{column}: {key}: {reason}")]
    Parse {
        /// The file as named by the caller.
        file: String,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// Where in the document, like `users[0].name`; `.` for the whole.
        key: String,
        /// What is wrong there.
        reason: String,
    },
    /// Two parts of the configuration contradict each other.
    #[error("{file}: {key}: {reason}")]
    Check {
        /// The file as named by the caller.
        file: String,
        /// Where in the document.
        key: String,
        /// What is wrong there.
        reason: String,
    },
}

impl Config {
    /// Reads and checks a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) => Err(ConfigError::Read { file, error }),
        }
    }

    /// Checks a configuration text; `file` is its name in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let parse_error = |error: &serde_json::Error, key: String| ConfigError::Parse {
            file: file.to_owned(),
            line: error.line(),
            column: error.column(),
            key,
            // serde_json repeats the position at the end; it is said once, in front.
            reason: error.to_string().split(" at line ").next().unwrap_or_default().to_owned(),
        };
        let config: Self = serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| parse_error(error.inner(), error.path().to_string()))?;
        deserializer.end().map_err(|error| parse_error(&error, ".".to_owned()))?;
        config.check().map_err(|(key, reason)| ConfigError::Check { file: file.to_owned(), key, reason })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), (String, String)> {
        let (mut keys, mut names, mut arns) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (index, user) in self.users.iter().enumerate() {
            if !keys.insert(&user.access_key_id.0) {
                return Err((format!("users[{index}].access_key_id"), "is given to another user already".to_owned()));
            }
            if !names.insert((&user.account.0, &user.name.0)) {
                return Err((
                    format!("users[{index}].name"),
                    "this account has a user of that name already".to_owned(),
                ));
            }
        }
        for (index, role) in self.roles.iter().enumerate() {
            if !arns.insert(&role.arn.text) {
                return Err((format!("roles[{index}].arn"), "there is a role with that ARN already".to_owned()));
            }
            if !(1..=MAX_SESSION_DURATION).contains(&role.max_session_duration) {
                let reason = format!("must be 1 to {MAX_SESSION_DURATION} seconds");
                return Err((format!("roles[{index}].max_session_duration"), reason));
            }
        }
        let zero = |key: &str| Err((key.to_owned(), "must be at least 1 second".to_owned()));
        match (self.minimum_duration, self.session_lifetime_seconds) {
            (0, _) => zero("minimum_duration"),
            (_, Some(0)) => zero("session_lifetime_seconds"),
            _ => Ok(()),
        }
    }
}

fn default_minimum_duration() -> u32 {
    900
}

fn default_max_session_duration() -> u32 {
    3600
}

/// A permission policy; one that allows everything where the file names none.
#[derive(Debug, Clone)]
pub(crate) struct Permissions(pub(crate) Arc<Document>);

const ALLOW_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

impl Default for Permissions {
    fn default() -> Self {
        let nothing = Document { statements: Vec::new(), minified_len: 0 };
        Self(Arc::new(Document::parse(ALLOW_ALL).unwrap_or(nothing)))
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<serde_json::Value>::deserialize(deserializer)?;
        let Some(value) = value else { return Ok(Self::default()) };
        let document = Document::parse(&value.to_string()).map_err(|error| serde::de::Error::custom(error.message))?;
        Ok(Self(Arc::new(document)))
    }
}

/// A secret access key. Its Debug text does not show it.
#[derive(Clone, Deserialize)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

/// Twelve digits.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Account(pub(crate) String);

/// The name of an IAM user.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct IamName(pub(crate) String);

/// The id of a long-lived key: not the `ASIA` of a session.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AccessKeyId(pub(crate) String);

/// Who may assume a role: `*`, an account, or an ARN.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Trusted(pub(crate) String);

/// A role's ARN and its parts.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RoleArn {
    pub(crate) text: String,
    pub(crate) partition: String,
    pub(crate) account: String,
    /// Without its path.
    pub(crate) name: String,
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The characters of IAM and session names, `[\w+=,.@-]`.
pub(crate) fn is_name_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

impl TryFrom<String> for Account {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_account(&text) { Ok(Self(text)) } else { Err("an account is 12 digits") }
    }
}

impl TryFrom<String> for IamName {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = (1..=64).contains(&text.len()) && text.bytes().all(is_name_character);
        if good { Ok(Self(text)) } else { Err(r"a user's name is 1 to 64 of [\w+=,.@-]") }
    }
}

impl TryFrom<String> for AccessKeyId {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let good = (16..=128).contains(&text.len()) && word && !text.starts_with("ASIA");
        if good { Ok(Self(text)) } else { Err("a user's access key id is 16 to 128 letters and digits, not ASIA...") }
    }
}

impl TryFrom<String> for Trusted {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = text == "*" || is_account(&text) || text.starts_with("arn:");
        if good { Ok(Self(text)) } else { Err("trusted is \"*\", an account of 12 digits, or an ARN") }
    }
}

impl TryFrom<String> for RoleArn {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "a role's ARN is arn:PARTITION:iam::ACCOUNT:role/NAME";
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
            return Err(WRONG);
        };
        let name = resource.strip_prefix("role/").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let good = is_account(account) && (1..=64).contains(&name.len()) && name.bytes().all(is_name_character);
        if !good || !["aws", "aws-cn", "aws-us-gov"].contains(partition) {
            return Err(WRONG);
        }
        let (partition, account, name) = ((*partition).to_owned(), (*account).to_owned(), name.to_owned());
        Ok(Self { text, partition, account, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str =
        r#"{"name":"alice","account":"111122223333","access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"s"}"#;

    fn refusal(text: &str) -> String {
        Config::parse(text, "emu.json").unwrap_err().to_string()
    }

    #[test]
    fn a_small_configuration_gets_awss_defaults() {
        let text = format!(
            r#"{{"users":[{USER}],"roles":[{{"arn":"arn:aws:iam::111122223333:role/a/b/r","trusted":["*"]}}]}}"#
        );
        let config = Config::parse(&text, "emu.json").unwrap();
        let role = &config.roles[0];
        assert_eq!((role.max_session_duration, role.arn.name.as_str(), config.minimum_duration), (3600, "r", 900));
        assert!(!role.allow_tags && !role.allow_source_identity);
    }

    #[test]
    fn an_unknown_key_is_named_with_file_line_and_column() {
        let text = format!("{{\n  \"users\": [{USER}],\n  \"rolls\": []\n}}");
        let refusal = refusal(&text);
        assert!(refusal.starts_with("emu.json:3:"), "{refusal}");
        assert!(refusal.contains("rolls"), "{refusal}");
    }

    #[test]
    fn a_bad_value_is_refused_where_it_stands() {
        for (part, key, reason) in [
            (r#""roles":[{"arn":"arn:aws:iam::1:role/r","trusted":[]}]"#, "roles[0].arn", "a role's ARN is"),
            (
                r#""roles":[{"arn":"arn:aws:iam::111122223333:role/r","trusted":["bob"]}]"#,
                "roles[0].trusted[0]",
                "trusted is",
            ),
            (
                r#""roles":[{"arn":"arn:aws:iam::111122223333:role/r","trusted":[],"policy":{"Statement":[]}}]"#,
                "roles[0].policy",
                "Syntax",
            ),
            (
                r#""roles":[{"arn":"arn:aws:iam::111122223333:role/r","trusted":[],"max_session_duration":43201}]"#,
                "max_session_duration",
                "43200",
            ),
            (r#""minimum_duration":"900""#, "minimum_duration", "invalid type"),
            (r#""minimum_duration":0"#, "minimum_duration", "at least 1"),
            (r#""session_lifetime_seconds":0"#, "session_lifetime_seconds", "at least 1"),
        ] {
            let refusal = refusal(&format!(r#"{{"users":[{USER}],{part}}}"#));
            assert!(refusal.contains(key) && refusal.contains(reason), "{part}: {refusal}");
        }
        assert!(refusal(&format!(r#"{{"users":[{USER},{USER}]}}"#)).contains("users[1].access_key_id"));
        assert!(refusal(&format!(r#"{{"users":[{USER}]}} x"#)).contains("trailing"));
        assert!(
            refusal(&format!(r#"{{"users":[{}]}}"#, USER.replace("AKIA", "ASIA"))).contains("users[0].access_key_id")
        );
    }

    #[test]
    fn the_debug_text_of_a_configuration_does_not_show_a_secret() {
        let text = format!(r#"{{"users":[{}]}}"#, USER.replace(r#""s"}"#, r#""wJalrXUt"}"#));
        assert!(!format!("{:?}", Config::parse(&text, "f").unwrap()).contains("wJalr"));
    }
}
