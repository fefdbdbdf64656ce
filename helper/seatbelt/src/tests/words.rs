//! What is said of a decision.

use super::scenario::*;
use crate::Object;

fn says(of: Scenario, operation: &str, object: Object<'_>) -> String {
    of.profile().may(operation, &object).unwrap().to_string()
}

#[test]
fn a_denial_names_the_clause_its_value_and_the_row_of_a_table() {
    let text = says(ALL[2], "file-read-data", Object::Path("/Users/alice/dotfiles/aws/credentials"));
    assert!(text.starts_with("denied: (deny file-read* (subpath (param \"STORE_"), "{text}");
    assert!(text.contains("which is `/Users/alice/dotfiles/aws`"), "{text}");
    assert!(text.ends_with("row `.aws` of secret-stores: AWS credentials, SSO and login caches"), "{text}");
}

#[test]
fn so_does_one_by_a_name_of_a_table() {
    let text = says(ALL[0], "mach-lookup", Object::Service("com.apple.SecurityServer"));
    let row = "row `com.apple.SecurityServer` of keychain-services: keychain items, authorization";
    assert_eq!(text, format!("denied: (deny mach-lookup (global-name \"com.apple.SecurityServer\")); {row}"));
}

#[test]
fn what_is_allowed_says_by_what() {
    let text = says(ALL[4], "network-outbound", Object::Address { local: true, port: PROXY });
    assert!(text.starts_with("allowed: (allow network-outbound (remote ip \"localhost:49152\"))"), "{text}");
    let text = says(ALL[1], "file-write-data", Object::Path("/Users/alice/src/app/x"));
    assert!(text.contains("which is `/Users/alice/src/app`; row `/Users/alice/src/app` of the project"), "{text}");
    let text = says(ALL[0], "file-read-data", Object::Path("/Library/x"));
    assert_eq!(text, "allowed: (allow default)");
}

#[test]
fn a_rule_of_a_project_names_its_row() {
    let text = says(ALL[0], "file-write-create", Object::Path("/Users/alice/src/app/.git/hooks/pre-commit"));
    assert!(text.contains("of project-trusted: git executes them"), "{text}");
}

#[test]
fn names_are_escaped_where_they_are_shown() {
    let verdict =
        crate::Verdict { allowed: false, form: None, clause: "x".into(), value: Some("/a\u{1b}[2J".into()), why: None };
    assert!(!verdict.to_string().contains('\u{1b}'));
}
