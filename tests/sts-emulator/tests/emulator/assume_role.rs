//! AssumeRole: who may, for how long, under which name.

use crate::support::{Client, ROLE, emulator};

fn role(name: &str) -> String {
    format!("arn:aws:iam::111122223333:role/{name}")
}

#[test]
fn a_trusted_user_gets_a_session_of_the_role() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let answer = alice.assume(ROLE, &[]).ok();
    assert!(answer.text("AccessKeyId").starts_with("ASIA"));
    assert!(answer.text("AssumedRoleId").starts_with("AROA") && answer.text("AssumedRoleId").ends_with(":run-1"));
    assert_eq!(answer.text("Arn"), "arn:aws:sts::111122223333:assumed-role/agent-incident/run-1");
    assert!(!answer.body.contains("PackedPolicySize") && !answer.body.contains("SourceIdentity"));
    let me = alice.with(&answer).whoami().ok();
    assert_eq!((me.text("Arn"), me.text("UserId")), (answer.text("Arn"), answer.text("AssumedRoleId")));
}

#[test]
fn the_path_of_a_role_is_not_in_its_session_arn() {
    let emulator = emulator();
    let answer = Client::alice(&emulator).assume(&role("team/plain"), &[]).ok();
    assert_eq!(answer.text("Arn"), "arn:aws:sts::111122223333:assumed-role/plain/run-1");
}

#[test]
fn a_role_that_is_not_there_and_one_that_does_not_trust_read_the_same() {
    let emulator = emulator();
    let bob = Client::user(&emulator, "AKIABOBBOBBOBBOBBOB1", "bob-secret");
    for name in ["agent-incident", "closed", "no-such-role"] {
        let words = format!(
            "User: arn:aws:iam::111122223333:user/bob is not authorized to perform: sts:AssumeRole on resource: {}",
            role(name)
        );
        let answer = bob.assume(&role(name), &[]);
        assert_eq!(answer.text("Message"), words);
        answer.refused(403, "AccessDenied", &words);
    }
    bob.assume(&role("open"), &[]).ok();
}

#[test]
fn a_user_whose_own_policy_has_no_assume_role_may_not() {
    let emulator = emulator();
    let carol = Client::user(&emulator, "AKIACAROLCAROLCAROL1", "carol-secret");
    let words = "because no identity-based policy allows the sts:AssumeRole action";
    carol.assume(&role("open"), &[]).refused(403, "AccessDenied", words);
}

#[test]
fn an_external_id_has_to_match_where_the_role_wants_one() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    alice.assume(&role("external"), &[("ExternalId", "ticket-42")]).ok();
    alice.assume(&role("external"), &[]).refused(403, "AccessDenied", "sts:AssumeRole");
    alice.assume(&role("external"), &[("ExternalId", "ticket-43")]).refused(403, "AccessDenied", "sts:AssumeRole");
    alice.assume(&role("external"), &[("ExternalId", "a b")]).refused(400, "ValidationError", "'externalId'");
    alice.assume(ROLE, &[("ExternalId", "unasked")]).ok();
}

#[test]
fn a_duration_is_between_900_seconds_and_the_maximum_of_the_role() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let asked = |role: &str, seconds: &str| alice.assume(role, &[("DurationSeconds", seconds)]);
    asked(ROLE, "900").ok();
    asked(ROLE, "43200").ok();
    asked(&role("team/plain"), "3600").ok();
    let exceeds = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
    asked(&role("team/plain"), "3601").refused(400, "ValidationError", exceeds);
    let words = "1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: \
                 Member must have value greater than or equal to 900";
    asked(ROLE, "899").refused(400, "ValidationError", words);
    asked(ROLE, "43201").refused(400, "ValidationError", "less than or equal to 43200");
    asked(ROLE, "-1").refused(400, "ValidationError", "greater than or equal to 900");
    asked(ROLE, "1h").refused(400, "ValidationError", "integer");
}

#[test]
fn the_answer_and_the_record_name_the_same_expiry() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let default = alice.assume(ROLE, &[]).ok();
    let long = alice.assume(ROLE, &[("DurationSeconds", "7200")]).ok();
    let issued = emulator.issued();
    assert_eq!(issued[0].expiration, default.text("Expiration"));
    assert_eq!(issued[1].expiration, long.text("Expiration"));
    assert!(long.text("Expiration") > default.text("Expiration"));
}

#[test]
fn a_session_name_is_two_to_sixty_four_characters_of_the_allowed_ones() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let named = |name: &str| alice.assume(ROLE, &[("RoleSessionName", name)]);
    for good in ["ab", "a_b+c=d,e.f@g-h", &"x".repeat(64)] {
        named(good).ok();
    }
    for (bad, words) in [
        ("a", "greater than or equal to 2"),
        (&"x".repeat(65), "less than or equal to 64"),
        ("a b", r"regular expression pattern: [\w+=,.@-]*"),
        ("a/b", "regular expression"),
        ("a:b", "regular expression"),
        ("ä-b", "regular expression"),
    ] {
        named(bad).refused(400, "ValidationError", words);
    }
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let emulator = emulator();
    let answer = Client::alice(&emulator).sts(&[("Action", "AssumeRole")]);
    let words = "2 validation errors detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be \
                 null; Value null at 'roleSessionName'";
    answer.refused(400, "ValidationError", words);
    let alice = Client::alice(&emulator);
    alice.assume("not-an-arn-but-long-enough", &[]).refused(400, "ValidationError", "is invalid");
    alice.assume("arn:aws:iam", &[]).refused(400, "ValidationError", "'roleArn'");
}

#[test]
fn an_mfa_code_is_never_right() {
    let emulator = emulator();
    let mfa = [("SerialNumber", "arn:aws:iam::111122223333:mfa/alice"), ("TokenCode", "123456")];
    Client::alice(&emulator).assume(ROLE, &mfa).refused(403, "AccessDenied", "MultiFactorAuthentication failed");
}
