//! The AWS configuration that clients inside read: every name leads to the one identity.

use agent_aws_plan::OURS;

/// `[default]`, the identity's own name and its aliases. A name that a configuration cannot hold as it is gets no section.
pub(crate) fn text(identity: &str, aliases: &[String], region: Option<&str>) -> String {
    let mut names = vec!["[default]".to_string()];
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
    let own = identity.strip_prefix("own:").unwrap_or(identity);
    for alias in std::iter::once(own).chain(aliases.iter().map(String::as_str)) {
        let header = format!("[profile {alias}]");
        if alias != "default" && plain(alias) && !names.contains(&header) {
            names.push(header);
        }
    }
    let region = region.map(|r| format!("region = {r}\n")).unwrap_or_default();
    let body = format!("{region}credential_process = {OURS}/agent-aws-credentials\n");
    names.iter().map(|header| format!("{header}\n{body}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_name_of_the_generated_configuration_leads_to_the_one_client() {
        let text = text("own:dev", &["prod-readonly".into()], Some("eu-west-1"));
        assert!(
            text.contains("[default]") && text.contains("[profile prod-readonly]") && text.contains("[profile dev]")
        );
        assert_eq!(text.matches("credential_process = /run/agent-aws/agent-aws-credentials").count(), 3);
        assert!(!text.contains("aws_secret_access_key"));
    }

    #[test]
    fn a_name_with_other_characters_gets_no_section() {
        let names = ["", "a b", "x]\n[profile y", "x=1", "#", "\u{2028}", "é"].map(str::to_owned);
        assert_eq!(text("own:a;b", &names, None).matches('[').count(), 1);
    }
}
