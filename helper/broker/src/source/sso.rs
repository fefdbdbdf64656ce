//! When the caller's sign-in ends, as the cache of `aws sso login` says it.

use std::io::Read;
use std::path::Path;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Deserialize;
use sha1::{Digest, Sha1};

/// The largest file of the cache that is read, in bytes.
const LARGEST: u64 = 64 * 1024;

/// What of a file of the cache matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cached {
    expires_at: String,
    refresh_token: Option<serde::de::IgnoredAny>,
}

/// The end of the sign-in, in seconds since 1970, of a profile with these keys. None where it is not known: a token that
/// refreshes itself ends when the organization says so, and no file of the caller's has that.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html>
pub(super) fn end(home: &Path, text: impl Fn(&str) -> Option<String>) -> Option<u64> {
    let of = text("sso_session").or_else(|| text("sso_start_url"))?;
    let name: String = Sha1::digest(of.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = home.join(".aws/sso/cache").join(name + ".json");
    if !std::fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= LARGEST) {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(&path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let cached: Cached = serde_json::from_slice(&bytes).ok()?;
    match cached.refresh_token {
        Some(_) => None,
        None => u64::try_from(DateTime::from_str(&cached.expires_at, Format::DateTimeWithOffset).ok()?.secs()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_read_where_it_is_known() {
        let home = tempfile::tempdir().unwrap();
        let cache = home.path().join(".aws/sso/cache");
        std::fs::create_dir_all(&cache).unwrap();
        let name = |of: &str| Sha1::digest(of.as_bytes()).iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(name("q"), "22ea1c649c82946aa6e479e1ffd321e4a318b1b0");
        let write = |of: &str, text: &str| std::fs::write(cache.join(name(of) + ".json"), text).unwrap();
        let profile =
            |key: &'static str, value: &'static str| move |asked: &str| (asked == key).then(|| value.to_owned());
        let legacy = profile("sso_start_url", "https://x.example/start");
        assert_eq!(end(home.path(), legacy), None, "there is no cache");
        write("https://x.example/start", r#"{"accessToken":"t","expiresAt":"2030-01-02T03:04:05Z"}"#);
        assert_eq!(end(home.path(), legacy), Some(1_893_553_445));
        write("q", r#"{"accessToken":"t","refreshToken":"r","expiresAt":"2030-01-02T03:04:05Z"}"#);
        assert_eq!(end(home.path(), profile("sso_session", "q")), None, "it refreshes itself");
        write("https://x.example/start", "{");
        assert_eq!(end(home.path(), legacy), None);
        assert_eq!(end(home.path(), |_: &str| None), None, "no sign-in at all");
    }
}
