//! The one answer that every door gives, written out once for each session.

use std::fmt;

use aws_credential_types::Credentials;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::clock::rfc3339;
use crate::sys;

/// Longer than any answer, in bytes.
const MOST: usize = 16 * 1024;

/// Both forms of a session, ready to be sent.
pub(crate) struct Answer {
    /// What `credential_process` prints, with a newline.
    pub(crate) process: Zeroizing<Vec<u8>>,
    /// What the container credentials endpoint serves.
    pub(crate) container: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer(secret)")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Process<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    expiration: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container<'a> {
    /// As ECS has it, and never more than empty: s3fs takes no answer without it, and nobody reads what it says.
    role_arn: &'a str,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: &'a str,
}

impl Answer {
    /// Writes `session` with the end that clients are told, in seconds since 1970.
    pub(crate) fn new(session: &Credentials, reported: u64) -> Result<Self, serde_json::Error> {
        let expiration = rfc3339(reported);
        let token = session.session_token().unwrap_or_default();
        let mut process = write(&Process {
            version: 1,
            access_key_id: session.access_key_id(),
            secret_access_key: session.secret_access_key(),
            session_token: token,
            expiration: &expiration,
        })?;
        process.push(b'\n');
        let container = write(&Container {
            role_arn: "",
            access_key_id: session.access_key_id(),
            secret_access_key: session.secret_access_key(),
            token,
            expiration: &expiration,
        })?;
        Ok(Self { process, container })
    }
}

/// Grows never, so that no copy of a secret is left behind in freed memory, and lies where it is not swapped out.
fn write(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let mut out = Zeroizing::new(vec![0; MOST]);
    sys::lock(&out);
    out.clear();
    serde_json::to_writer(&mut *out, value)?;
    Ok(out)
}

/// The answer in place of a session: one line.
pub(crate) fn refusal(text: &str) -> Vec<u8> {
    let mut line = serde_json::json!({ "Error": text }).to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Credentials {
        Credentials::new("ASIA1", "se\"cret", Some("tok".into()), None, "test")
    }

    #[test]
    fn the_process_form_is_what_credential_process_prints() {
        let answer = Answer::new(&session(), 1_700_000_000).unwrap();
        assert_eq!(
            String::from_utf8(answer.process.to_vec()).unwrap(),
            "{\"Version\":1,\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"se\\\"cret\",\"SessionToken\":\"tok\",\
             \"Expiration\":\"2023-11-14T22:13:20Z\"}\n"
        );
    }

    #[test]
    fn the_container_form_has_its_five_fields_and_nothing_else() {
        let answer = Answer::new(&session(), 1_700_000_000).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&answer.container).unwrap();
        let keys: std::collections::BTreeSet<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(value["RoleArn"], "");
        assert_eq!(keys, ["AccessKeyId", "Expiration", "RoleArn", "SecretAccessKey", "Token"].into());
    }

    #[test]
    fn an_error_is_one_line_whatever_it_says() {
        let line = refusal("a\n\"b\"");
        assert_eq!(line, b"{\"Error\":\"a\\n\\\"b\\\"\"}\n");
    }

    #[test]
    fn a_debug_print_shows_no_secret() {
        let answer = Answer::new(&session(), 0).unwrap();
        assert!(!format!("{answer:?}").contains("cret\""));
    }
}
