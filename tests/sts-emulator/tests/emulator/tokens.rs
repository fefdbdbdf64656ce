//! GetSessionToken and GetFederationToken.

use crate::support::{Client, ROLE, emulator, policy};

fn federate(client: &Client, more: &[(&str, &str)]) -> crate::support::Answer {
    let mut params = vec![("Action", "GetFederationToken"), ("Name", "guest")];
    params.extend_from_slice(more);
    client.sts(&params)
}

#[test]
fn a_session_token_is_the_user_with_another_key() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let answer = alice.sts(&[("Action", "GetSessionToken"), ("DurationSeconds", "129600")]).ok();
    assert!(answer.text("AccessKeyId").starts_with("ASIA"));
    let session = alice.with(&answer);
    assert_eq!(session.whoami().ok().text("Arn"), "arn:aws:iam::111122223333:user/alice");
    session.assume(ROLE, &[("DurationSeconds", "43200")]).ok();
    session.sqs("PurgeQueue").ok();
    session.list_users().refused(403, "InvalidClientTokenId", "is invalid");
}

#[test]
fn sessions_cannot_get_session_or_federation_tokens() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let session = alice.with(&alice.assume(ROLE, &[]).ok());
    let answer = session.sts(&[("Action", "GetSessionToken")]);
    answer.refused(403, "AccessDenied", "Cannot call GetSessionToken with session credentials");
    federate(&session, &[]).refused(403, "AccessDenied", "Cannot call GetFederationToken with session credentials");
}

#[test]
fn durations_of_tokens_go_from_900_seconds_to_36_hours() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    for seconds in ["899", "129601"] {
        let answer = alice.sts(&[("Action", "GetSessionToken"), ("DurationSeconds", seconds)]);
        answer.refused(400, "ValidationError", "'durationSeconds'");
        federate(&alice, &[("DurationSeconds", seconds)]).refused(400, "ValidationError", "'durationSeconds'");
    }
}

#[test]
fn a_federated_user_without_a_policy_may_do_nothing() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    let answer = federate(&alice, &[]).ok();
    assert_eq!(answer.text("FederatedUserId"), "111122223333:guest");
    let guest = alice.with(&answer);
    assert_eq!(guest.whoami().ok().text("Arn"), "arn:aws:sts::111122223333:federated-user/guest");
    guest.sqs("SendMessage").refused(403, "AccessDenied", "because no session policy allows");
}

#[test]
fn a_federated_user_has_what_user_and_policy_both_allow() {
    let emulator = emulator();
    let allow = policy("Allow", "sqs:SendMessage iam:* sts:*");
    let alice = Client::alice(&emulator);
    let guest = alice.with(&federate(&alice, &[("Policy", &allow)]).ok());
    guest.sqs("SendMessage").ok();
    guest.sqs("PurgeQueue").refused(403, "AccessDenied", "because no session policy allows");
    guest.list_users().refused(403, "InvalidClientTokenId", "is invalid");
    let open = "arn:aws:iam::111122223333:role/open";
    guest.assume(open, &[]).refused(403, "AccessDenied", "sts:AssumeRole");
    let carol = Client::user(&emulator, "AKIACAROLCAROLCAROL1", "carol-secret");
    federate(&carol, &[("Policy", &allow)]).refused(403, "AccessDenied", "sts:GetFederationToken");
}

#[test]
fn a_federated_name_has_two_to_thirty_two_characters() {
    let emulator = emulator();
    let alice = Client::alice(&emulator);
    for bad in ["a", "a b", &"x".repeat(33)] {
        let answer = alice.sts(&[("Action", "GetFederationToken"), ("Name", bad)]);
        answer.refused(400, "ValidationError", "'name'");
    }
    alice.sts(&[("Action", "GetFederationToken")]).refused(400, "ValidationError", "Value null at 'name'");
}
