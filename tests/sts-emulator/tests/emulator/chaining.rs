//! A role session that assumes another role.

use crate::support::{Answer, Client, ROLE, emulator, policy};

const CHAIN: &str = "arn:aws:iam::444455556666:role/chain";
const SILENT: &str = "arn:aws:iam::444455556666:role/silent-chain";

fn session(alice: &Client, more: &[(&str, &str)]) -> Client {
    alice.with(&alice.assume(ROLE, more).ok())
}

fn tags<'a>(pairs: &'a [(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    pairs.to_vec()
}

#[test]
fn a_trusted_role_session_may_assume_the_next_role() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let answer = session(&alice, &[]).assume(CHAIN, &[("RoleSessionName", "next")]).ok();
    assert_eq!(answer.text("Arn"), "arn:aws:sts::444455556666:assumed-role/chain/next");
    alice.assume(CHAIN, &[]).refused(403, "AccessDenied", "sts:AssumeRole");
}

#[test]
fn a_chained_session_lasts_one_hour_at_most() {
    let emulator = emulator();
    let first = session(&Client::alice(&emulator), &[("DurationSeconds", "43200")]);
    first.assume(CHAIN, &[("DurationSeconds", "3600")]).ok();
    let words = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.";
    first.assume(CHAIN, &[("DurationSeconds", "3601")]).refused(400, "ValidationError", words);
}

#[test]
fn a_session_whose_policy_denies_assume_role_may_not_chain() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
        {"Effect":"Deny","Action":"sts:AssumeRole","Resource":"*"}]}"#;
    let explicit = session(&alice, &[("Policy", deny)]).assume(CHAIN, &[]);
    explicit.refused(403, "AccessDenied", "with an explicit deny in a session policy");
    let implicit = session(&alice, &[("Policy", &policy("Allow", "s3:*"))]).assume(CHAIN, &[]);
    implicit.refused(403, "AccessDenied", "because no session policy allows the sts:AssumeRole action");
    session(&alice, &[("Policy", &policy("Allow", "sts:AssumeRole"))]).assume(CHAIN, &[]).ok();
}

#[test]
fn a_session_policy_does_not_follow_into_the_next_role() {
    let emulator = emulator();
    let first = session(&Client::alice(&emulator), &[("Policy", &policy("Allow", "sts:AssumeRole"))]);
    first.list_users().refused(403, "AccessDenied", "no session policy allows the iam:ListUsers action");
    first.with(&first.assume(CHAIN, &[]).ok()).list_users().ok();
}

#[test]
fn a_source_identity_stays_through_a_chain() {
    let emulator = emulator();
    let first = session(&Client::alice(&emulator), &[("SourceIdentity", "alice")]);
    let echoed = |answer: Answer| answer.ok().text("SourceIdentity").to_owned();
    assert_eq!(echoed(first.assume(CHAIN, &[])), "alice");
    assert_eq!(echoed(first.assume(CHAIN, &[("SourceIdentity", "alice")])), "alice");
    first.assume(CHAIN, &[("SourceIdentity", "mallory")]).refused(403, "AccessDenied", "sts:SetSourceIdentity");
    first.assume(SILENT, &[]).refused(403, "AccessDenied", "sts:SetSourceIdentity");
    assert_eq!(emulator.issued().last().unwrap().source_identity.as_deref(), Some("alice"));
}

#[test]
fn only_transitive_tags_follow_and_they_cannot_be_overridden() {
    let emulator = emulator();
    let given = tags(&[
        ("Tags.member.1.Key", "Team"),
        ("Tags.member.1.Value", "core"),
        ("Tags.member.2.Key", "Run"),
        ("Tags.member.2.Value", "7"),
        ("TransitiveTagKeys.member.1", "Team"),
    ]);
    let first = session(&Client::alice(&emulator), &given);
    let second = first.with(&first.assume(CHAIN, &[]).ok());
    let issued = emulator.issued();
    assert_eq!(issued[0].tags.len(), 2);
    let inherited: Vec<_> = issued[1].tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(inherited, [("Team", "core")]);
    assert!(issued[1].transitive_tag_keys.contains("Team"));
    let same = tags(&[("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "other")]);
    first.assume(CHAIN, &same).refused(400, "InvalidParameterValue", "conflicts with a transitive tag key");
    first.assume(SILENT, &[]).refused(403, "AccessDenied", "sts:TagSession");
    second.whoami().ok();
}

#[test]
fn the_next_role_needs_no_tag_permission_when_nothing_is_inherited() {
    let emulator = emulator();
    let given = tags(&[("Tags.member.1.Key", "Run"), ("Tags.member.1.Value", "7")]);
    session(&Client::alice(&emulator), &given).assume(SILENT, &[]).ok();
}
