//! Credentials as JSON: what a credential process prints, and what ECS and EKS answer.

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;
use zeroize::Zeroize;

/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>, and as containers have it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: Option<u32>,
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "Token")]
    session_token: Option<String>,
    expiration: Option<String>,
}

/// Reads them. The text is wiped. What is said of a fault never quotes it, for it may hold a key.
pub(super) fn read(mut text: Vec<u8>, from: &'static str) -> Result<Credentials, String> {
    let printed = serde_json::from_slice::<Printed>(&text);
    text.zeroize();
    let printed = printed
        .map_err(|e| format!("no credentials, but JSON that is wrong in line {}, column {}", e.line(), e.column()))?;
    if printed.version.is_some_and(|version| version != 1) {
        return Err("credentials of a Version that is not 1".into());
    }
    let expires = match &printed.expiration {
        Some(text) => Some(time(text).ok_or("an Expiration that is no time")?),
        None => None,
    };
    if printed.access_key_id.is_empty() || printed.secret_access_key.is_empty() {
        return Err("an empty key".into());
    }
    Ok(Credentials::new(printed.access_key_id, printed.secret_access_key, printed.session_token, expires, from))
}

fn time(text: &str) -> Option<std::time::SystemTime> {
    DateTime::from_str(text, Format::DateTimeWithOffset).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Credentials, String> {
        super::read(text.as_bytes().to_vec(), "test")
    }

    #[test]
    fn both_spellings_are_read() {
        let process = r#"{"Version":1,"AccessKeyId":"AKIA","SecretAccessKey":"s","SessionToken":"t","Expiration":"2030-01-02T03:04:05Z"}"#;
        let container = r#"{"AccessKeyId":"AKIA","SecretAccessKey":"s","Token":"t","Expiration":"2030-01-02T04:04:05+01:00","RoleArn":"x"}"#;
        for text in [process, container] {
            let found = read(text).unwrap();
            assert_eq!((found.access_key_id(), found.secret_access_key()), ("AKIA", "s"));
            assert_eq!(found.session_token(), Some("t"));
            let expires = found.expiry().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
            assert_eq!(expires.as_secs(), 1_893_553_445);
        }
        assert_eq!(read(r#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"s"}"#).unwrap().session_token(), None);
    }

    #[test]
    fn what_is_none_is_refused_without_a_word_of_it() {
        for bad in [
            "",
            "null",
            "[]",
            "SECRET",
            "{\"AccessKeyId\":\"SECRET\"}",
            "{\"Version\":2,\"AccessKeyId\":\"SECRET\",\"SecretAccessKey\":\"SECRET\"}",
            "{\"AccessKeyId\":\"SECRET\",\"SecretAccessKey\":\"SECRET\",\"Expiration\":\"SECRET\"}",
            "{\"AccessKeyId\":\"SECRET\",\"SecretAccessKey\":\"\"}",
        ] {
            let why = read(bad).unwrap_err();
            assert!(!why.contains("SECRET") && !why.is_empty(), "{bad}: {why}");
        }
    }
}
