//! The AWS configuration that clients inside read: every name leads to the one identity.

use agent_aws_plan::{MODEL_CLIENT, OURS};

/// The AWS profile that leads to the identity with which a model is asked.
const MODEL: &str = "[profile agent-aws-model]";

/// `[default]`, the identity's own name and its aliases. A name that a configuration cannot hold as it is gets no section.
/// Where the model is asked with an identity of its own, `model` is its region, if that is known.
pub(crate) fn text(identity: &str, aliases: &[String], region: Option<&str>, model: Option<Option<&str>>) -> String {
    let mut names = vec!["[default]".to_string()];
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
    let own = identity.strip_prefix("own:").unwrap_or(identity);
    for alias in std::iter::once(own).chain(aliases.iter().map(String::as_str)) {
        let header = format!("[profile {alias}]");
        if alias != "default" && header != MODEL && plain(alias) && !names.contains(&header) {
            names.push(header);
        }
    }
    let section = |header: &str, region: Option<&str>, client: &str| {
        let region = region.map(|r| format!("region = {r}\n")).unwrap_or_default();
        format!("{header}\n{region}credential_process = {OURS}/{client}\n")
    };
    let mut sections: Vec<String> =
        names.iter().map(|header| section(header, region, "agent-aws-credentials")).collect();
    sections.extend(model.map(|region| section(MODEL, region, MODEL_CLIENT)));
    sections.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_name_of_the_generated_configuration_leads_to_the_one_client() {
        let text = text("own:dev", &["prod-readonly".into()], Some("eu-west-1"), None);
        assert!(
            text.contains("[default]") && text.contains("[profile prod-readonly]") && text.contains("[profile dev]")
        );
        assert_eq!(text.matches("credential_process = /run/agent-aws/agent-aws-credentials").count(), 3);
        assert!(!text.contains("aws_secret_access_key"));
    }

    #[test]
    fn one_more_profile_leads_to_the_model_and_no_alias_does() {
        let text = text("own:dev", &["agent-aws-model".into()], Some("eu-west-1"), Some(Some("us-east-1")));
        let (task, model) = text.split_once("[profile agent-aws-model]\n").unwrap();
        assert_eq!(task.matches("credential_process = /run/agent-aws/agent-aws-credentials").count(), 2);
        assert_eq!(model, "region = us-east-1\ncredential_process = /run/agent-aws/agent-aws-model-credentials\n");
    }

    #[test]
    fn a_name_with_other_characters_gets_no_section() {
        let names = ["", "a b", "x]\n[profile y", "x=1", "#", "\u{2028}", "é"].map(str::to_owned);
        assert_eq!(text("own:a;b", &names, None, None).matches('[').count(), 1);
    }
}
