//! The generated AWS configuration of any names: a region, an identity and aliases, with a NUL between them, and with a model's
//! identity where the aliases are odd in number. It is read back, and holds what it is to hold and nothing else.
#![no_main]

#[path = "../../src/inside/aws_config.rs"]
mod aws_config;

use std::collections::BTreeMap;

libfuzzer_sys::fuzz_target!(|words: &str| {
    let mut words = words.split('\0');
    // The helper refuses a region that does not look like one.
    let region = words.next().filter(|region| agent_aws_policy::is_region(region));
    let identity = words.next().unwrap_or_default();
    let aliases: Vec<String> = words.map(str::to_owned).collect();
    let model = (aliases.len() % 2 == 1).then_some(region);
    let sections = read(&aws_config::text(identity, &aliases, region, model));
    assert!(sections.contains_key("default"));
    let own = identity.strip_prefix("own:").unwrap_or(identity);
    for (section, settings) in &sections {
        let name = section.strip_prefix("profile ");
        let given = |name: &str| name == own || aliases.iter().any(|alias| alias == name);
        let is_models = model.is_some() && name == Some("agent-aws-model");
        assert!(section == "default" || is_models || name.is_some_and(given), "section {section:?}");
        let client = if is_models { "agent-aws-model-credentials" } else { "agent-aws-credentials" };
        let client = format!("/run/agent-aws/{client}");
        let client = ("credential_process", client.as_str());
        let wanted = BTreeMap::from_iter(region.map(|region| ("region", region)).into_iter().chain([client]));
        let found = settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        assert_eq!(BTreeMap::from_iter(found), wanted, "of {section:?}");
    }
});

/// As the most generous reader of such files: everything that any of them takes for the end of a line is one, and a name may
/// stand between spaces. What it cannot make sense of, or finds twice, is an injection.
fn read(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let is_end = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut sections: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut last = String::new();
    for line in text.split(is_end).filter(|line| !line.is_empty()) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            assert!(!section.contains(['[', ']', '#', ';']), "a section in {line:?}");
            section.trim().clone_into(&mut last);
            assert!(sections.insert(last.clone(), BTreeMap::new()).is_none(), "twice: {line:?}");
        } else {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("no setting: {line:?}"));
            assert!(!key.starts_with(char::is_whitespace), "a part of another setting: {line:?}");
            let settings = sections.get_mut(&last).unwrap_or_else(|| panic!("of no section: {line:?}"));
            assert!(settings.insert(key.trim().into(), value.trim().into()).is_none(), "twice: {line:?}");
        }
    }
    sections
}
