//! Who and what a rule may name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may fail loudly

mod common;

use agent_aws_policy::{GroupRef, IdentityPattern, UserRef};
use common::{BASE, errors, with_rules};

fn rule(users: &str, groups: &str, identities: &str) -> String {
    format!("[[allow]]\nusers = {users}\ngroups = {groups}\nidentities = {identities}\nsandbox = \"standard\"\n")
}

/// The errors of a rule that stands at the head of a policy that is right otherwise.
fn refused(users: &str, groups: &str, identities: &str) -> String {
    errors(&format!("{}{BASE}", rule(users, groups, identities))).join("\n")
}

#[test]
fn users_and_groups_are_names_or_numbers() {
    let policy = with_rules(&rule("['jo', 1000, 0x10, '*', 'DOM\\jo', 'jo@example.com']", "['wheel', 0]", "['*']"));
    let rule = &policy.allows[0];
    let name = |name: &str| UserRef::Name(name.to_owned());
    assert_eq!(
        rule.users,
        [name("jo"), UserRef::Uid(1000), UserRef::Uid(16), UserRef::Everybody, name("DOM\\jo"), name("jo@example.com")]
    );
    assert_eq!(rule.groups, [GroupRef::Name("wheel".into()), GroupRef::Gid(0)]);
    assert_eq!(rule.position.to_string(), "p:19");
}

#[test]
fn a_number_that_means_nobody_is_refused() {
    for number in ["4294967295", "4294967296", "-1", "99999999999999999999"] {
        let expected = "p:2:10: this number is no uid or gid; 0 to 4294967294";
        assert_eq!(refused(&format!("[{number}]"), "[]", "['*']"), expected);
    }
    assert_eq!(refused("[1.0]", "[]", "['*']"), "p:2:10: an entry of `users` must be a name or a number, not a float");
}

#[test]
fn a_name_that_no_account_has_is_refused() {
    for name in ["", "-x", "a/b", "a b", "a:b", "a,b", "a*", "a\\u0007", "a\\n"] {
        assert!(refused(&format!("[\"{name}\"]"), "[]", "['*']").starts_with("p:2:10: "), "{name}");
        assert!(refused("[]", &format!("[\"{name}\"]"), "['*']").starts_with("p:3:11: "), "{name}");
    }
    assert_eq!(
        refused("['1000']", "[]", "['*']"),
        "p:2:10: \"1000\" is not a user name; names have no space, '/', ':', ',', '*' and no leading '-'; numbers are written without \
         quotes"
    );
    assert_eq!(refused("[]", "['*']", "['*']"), "p:3:11: \"*\" is not a group name; everybody is users = [\"*\"]");
}

#[test]
fn a_star_stands_alone() {
    let policy = with_rules(&rule("['*']", "[]", "['*', 'own:*', 'own:my profile', 'incident']"));
    let own = IdentityPattern::Own("my profile".into());
    let named = IdentityPattern::Policy("incident".into());
    assert_eq!(policy.allows[0].identities, [IdentityPattern::AnyOfPolicy, IdentityPattern::AnyOwn, own, named]);
    for pattern in ["inc*", "own:d*", "**"] {
        let expected = format!("p:4:15: \"{pattern}\": a '*' stands alone, as \"*\" or \"own:*\"");
        assert_eq!(refused("['*']", "[]", &format!("['{pattern}']")), expected);
    }
    assert!(refused("['*']", "[]", "['own:']").starts_with("p:4:15: "));
}

#[test]
fn a_rule_table_is_written_with_two_brackets() {
    let expected = "p:1:1: `allow` must be a list of tables, not a table; write [[allow]]";
    assert_eq!(errors("[allow]\nusers = ['*']\n"), [expected]);
    assert_eq!(errors("allow = ['x']\n"), ["p:1:10: a rule must be a table, not a string; write [[allow]]"]);
    assert_eq!(errors("[[identity]]\n"), ["p:1:1: `identity` must be tables [identity.NAME], not a list"]);
    assert_eq!(
        errors("[sandbox]\nhome = 'agent'\n"),
        ["p:2:1: [sandbox.home] must be a table, not a string; definitions stand below [sandbox.NAME]"]
    );
}
