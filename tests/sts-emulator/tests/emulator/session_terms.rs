//! What a session may be asked to carry: source identity, tags, session policies, and their limits.

use crate::support::{Answer, Client, ROLE, emulator, policy};

const PLAIN: &str = "arn:aws:iam::111122223333:role/team/plain";

fn with_tags(client: &Client, tags: &[(String, String)], transitive: &[&str]) -> Answer {
    let mut params = Vec::new();
    for (index, (key, value)) in tags.iter().enumerate() {
        params.push((format!("Tags.member.{}.Key", index + 1), key.clone()));
        params.push((format!("Tags.member.{}.Value", index + 1), value.clone()));
    }
    for (index, key) in transitive.iter().enumerate() {
        params.push((format!("TransitiveTagKeys.member.{}", index + 1), (*key).to_owned()));
    }
    let borrowed: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    client.assume(ROLE, &borrowed)
}

fn tag(key: impl Into<String>, value: impl Into<String>) -> Vec<(String, String)> {
    vec![(key.into(), value.into())]
}

fn many_tags(count: usize) -> Vec<(String, String)> {
    (0..count).map(|number| (format!("k{number}"), "v".to_owned())).collect()
}

#[test]
fn a_source_identity_is_set_echoed_and_recorded() {
    let emulator = emulator();
    let answer = Client::alice(&emulator).assume(ROLE, &[("SourceIdentity", "alice@host")]).ok();
    assert_eq!(answer.text("SourceIdentity"), "alice@host");
    assert_eq!(emulator.issued()[0].source_identity.as_deref(), Some("alice@host"));
}

#[test]
fn a_role_that_forbids_it_refuses_a_source_identity() {
    let emulator = emulator();
    let words = "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: sts:SetSourceIdentity on \
                 resource: arn:aws:iam::111122223333:role/team/plain";
    Client::alice(&emulator).assume(PLAIN, &[("SourceIdentity", "alice")]).refused(403, "AccessDenied", words);
}

#[test]
fn a_source_identity_has_the_characters_of_a_name() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    for bad in ["a", "a b", "aws:alice", "a/b", &"x".repeat(65)] {
        alice.assume(ROLE, &[("SourceIdentity", bad)]).refused(400, "ValidationError", "'sourceIdentity'");
    }
}

#[test]
fn tags_up_to_their_limits_are_accepted() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    with_tags(&alice, &many_tags(50), &[]).ok();
    with_tags(&alice, &tag("k".repeat(128), "v".repeat(256)), &[]).ok();
    with_tags(&alice, &tag("Größe", ""), &["Größe"]).ok();
    assert_eq!(emulator.issued()[2].tags.get("Größe").map(String::as_str), Some(""));
}

#[test]
fn tags_over_their_limits_are_refused() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    with_tags(&alice, &many_tags(51), &[]).refused(400, "ValidationError", "length less than or equal to 50");
    with_tags(&alice, &tag("k".repeat(129), "v"), &[]).refused(400, "ValidationError", "less than or equal to 128");
    with_tags(&alice, &tag("k", "v".repeat(257)), &[]).refused(400, "ValidationError", "less than or equal to 256");
    with_tags(&alice, &tag("", "v"), &[]).refused(400, "ValidationError", "greater than or equal to 1");
    with_tags(&alice, &tag("k!", "v"), &[]).refused(400, "ValidationError", "regular expression");
    with_tags(&alice, &tag("aws:k", "v"), &[]).refused(400, "InvalidParameterValue", "aws: prefixed");
    with_tags(&alice, &tag("k", "v"), &["other"]).refused(400, "InvalidParameterValue", "must be included");
    let twice = [tag("Team", "a"), tag("team", "b")].concat();
    with_tags(&alice, &twice, &[]).refused(400, "InvalidParameterValue", "Duplicate tag keys");
}

#[test]
fn a_role_that_forbids_it_refuses_tags() {
    let emulator = emulator();
    let tags = [("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")];
    Client::alice(&emulator).assume(PLAIN, &tags).refused(403, "AccessDenied", "perform: sts:TagSession on resource");
}

#[test]
fn a_session_policy_has_at_most_2048_characters() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let padded = |length: usize| {
        let text = policy("Allow", "s3:GetObject");
        let padding = " ".repeat(length - text.len());
        text + &padding
    };
    alice.assume(ROLE, &[("Policy", &padded(2048))]).ok();
    alice.assume(ROLE, &[("Policy", &padded(2049))]).refused(400, "ValidationError", "less than or equal to 2048");
}

#[test]
fn a_malformed_session_policy_is_refused() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    for bad in ["{", "[]", r#"{"Statement":[]}"#, &policy("allow", "*"), &policy("Allow", "GetObject")] {
        alice.assume(ROLE, &[("Policy", bad)]).refused(400, "MalformedPolicyDocument", "");
    }
    alice.assume(ROLE, &[("Policy", "")]).refused(400, "ValidationError", "greater than or equal to 1");
    alice.assume(ROLE, &[("Policy", "{\"→\":1}")]).refused(400, "ValidationError", "regular expression");
    assert!(emulator.issued().is_empty());
}

#[test]
fn at_most_ten_managed_policies_and_only_known_ones_are_accepted() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let arns = |count: usize| -> Vec<(String, &str)> {
        (1..=count).map(|n| (format!("PolicyArns.member.{n}.arn"), "arn:aws:iam::aws:policy/ReadOnlyAccess")).collect()
    };
    for (count, good) in [(1, true), (10, true), (11, false)] {
        let params = arns(count);
        let params: Vec<_> = params.iter().map(|(name, arn)| (name.as_str(), *arn)).collect();
        let answer = alice.assume(ROLE, &params);
        if good {
            answer.ok();
        } else {
            answer.refused(400, "ValidationError", "'policyArns'");
        }
    }
    let unknown = [("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/NoSuchPolicy")];
    alice.assume(ROLE, &unknown).refused(400, "ValidationError", "NoSuchPolicy");
}

#[test]
fn the_packed_size_grows_with_policy_and_tags_and_has_a_limit() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let size = |answer: Answer| -> u32 { answer.ok().text("PackedPolicySize").parse().unwrap() };
    let small = size(alice.assume(ROLE, &[("Policy", &policy("Allow", "s3:*"))]));
    let actions: Vec<String> = (0..60).map(|number| format!("s3:Action{number}")).collect();
    let large = size(alice.assume(ROLE, &[("Policy", &policy("Allow", &actions.join(" ")))]));
    assert!(small >= 1 && large > small && large <= 100, "{small} {large}");
    let heavy: Vec<_> = (0..50).map(|number| (format!("k{number}"), "v".repeat(256))).collect();
    with_tags(&alice, &heavy, &[]).refused(400, "PackedPolicyTooLarge", "% of allotted space");
}
