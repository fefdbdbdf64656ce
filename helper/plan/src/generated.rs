//! Files that the sandbox gets. None of them holds a secret.

use std::path::Path;

use crate::build::Grant;

/// The AWS configuration that clients inside read: every name leads to the one identity.
pub(crate) fn aws_config(grant: &Grant, client: &Path) -> String {
    let mut names = vec!["[default]".to_string()];
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
    let own = grant.identity.strip_prefix("own:").unwrap_or(&grant.identity);
    for alias in std::iter::once(own).chain(grant.aliases.iter().map(String::as_str)) {
        let header = format!("[profile {alias}]");
        if alias != "default" && plain(alias) && !names.contains(&header) {
            names.push(header);
        }
    }
    let region = grant.region.as_ref().map(|r| format!("region = {r}\n")).unwrap_or_default();
    let body = format!("{region}credential_process = {}\n", client.display());
    names.iter().map(|header| format!("{header}\n{body}")).collect::<Vec<_>>().join("\n")
}

/// JSON by hand: the values are names from policy, which admits no quotes, and are escaped all the same.
pub(crate) fn session_facts(grant: &Grant) -> String {
    let fields = [
        ("session", grant.session.as_str()),
        ("identity", &grant.identity),
        ("sandbox", &grant.sandbox),
        ("access", &grant.access),
        ("network", &grant.network.to_string()),
        ("region", grant.region.as_deref().unwrap_or_default()),
    ]
    .map(|(name, value)| format!("\"{name}\":\"{}\"", json_escape(value)));
    format!("{{{}}}\n", fields.join(","))
}

/// Escapes text for a JSON string: quotes, backslashes, and everything outside printable ASCII.
pub fn json_escape(text: &str) -> String {
    let mut out = String::new();
    for unit in text.encode_utf16() {
        match u8::try_from(unit).map(char::from) {
            Ok(c @ ('"' | '\\')) => out.extend(['\\', c]),
            Ok(c) if (' '..='~').contains(&c) => out.push(c),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}
