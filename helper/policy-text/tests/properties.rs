//! What holds for every policy, subject and ask.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test may fail loudly

mod common;

use agent_aws_policy::{Ask, Denial, Granted, Network, Offered, Subject, Wanted};
use agent_aws_policy_text::SourceFile;
use common::{BASE, granted, groups, with_rules};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const IDENTITIES: [&str; 3] = ["incident", "deploy", "no-such"];
const SANDBOXES: [&str; 3] = ["standard", "strict", "no-such"];
const GROUPS: [(u32, &str); 3] = [(10, "dev"), (20, "ops"), (30, "30s")];

fn list(entries: &[&str]) -> String {
    format!("[{}]", entries.join(", "))
}

fn some_of(all: &'static [&'static str], least: usize) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(all.to_vec(), least..=2)
}

/// An `[[allow]]` or `[[deny]]` that speaks of somebody.
fn rule(kind: &'static str) -> impl Strategy<Value = String> {
    let users = some_of(&["'jo'", "'al'", "1000", "1001", "'*'"], 1);
    let groups = some_of(&["'dev'", "'ops'", "10", "30"], 0);
    let identities = some_of(&["'incident'", "'deploy'", "'*'", "'own:*'", "'own:dev'", "'own:prod'"], 1);
    (users, groups, identities, select(vec!["standard", "strict"])).prop_map(
        move |(users, groups, identities, sandbox)| {
            // Half of the rules are by group alone.
            let users = if groups.is_empty() { list(&users) } else { "[]".to_owned() };
            let (groups, identities) = (list(&groups), list(&identities));
            let sandbox = if kind == "allow" { format!("sandbox = '{sandbox}'\n") } else { String::new() };
            format!("[[{kind}]]\nusers = {users}\ngroups = {groups}\nidentities = {identities}\n{sandbox}")
        },
    )
}

fn rules() -> impl Strategy<Value = String> {
    let rules = |kind, most| prop::collection::vec(rule(kind), 0..most);
    (rules("allow", 5), rules("deny", 3)).prop_map(|(allow, deny)| allow.concat() + &deny.concat())
}

prop_compose! {
    fn subject()(
        uid in select(vec![0_u32, 1000, 1001, u32::MAX]),
        login in select(vec![None, Some("jo".to_owned()), Some("al".to_owned())]),
        process in subsequence(GROUPS.to_vec(), 0..=3),
        database in subsequence(GROUPS.to_vec(), 0..=3),
    ) -> Subject {
        Subject { uid, login, process_groups: groups(&process), database_groups: groups(&database) }
    }
}

fn wanted() -> impl Strategy<Value = Wanted<'static>> {
    prop_oneof![
        select(IDENTITIES.to_vec()).prop_map(Wanted::Named),
        select(vec!["dev", "prod", "x"]).prop_map(Wanted::Own),
        Just(Wanted::Unnamed),
    ]
}

fn ask() -> impl Strategy<Value = Ask<'static>> {
    let sandbox = prop::option::of(select(SANDBOXES.to_vec()));
    let network = prop::option::of(select(vec![Network::None, Network::Filtered, Network::Shared]));
    (wanted(), sandbox, network).prop_map(|(wanted, sandbox, network)| Ask { wanted, sandbox, network })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_deny_never_widens(rules in rules(), deny in rule("deny"), who in subject(), ask in ask()) {
        let (before, after) = (with_rules(&rules), with_rules(&format!("{rules}{deny}")));
        if let Ok(decision) = after.decide(&who, &ask) {
            // Without a name, a deny may leave one choice where there were two: then it could be had by its name.
            let wanted = match decision.identity {
                Granted::Policy(identity, _) => Wanted::Named(&identity.name),
                Granted::Own { profile } => Wanted::Own(profile),
            };
            prop_assert_eq!(before.decide(&who, &Ask { wanted, ..ask }), Ok(decision));
        }
        for identity in IDENTITIES {
            let ask = Ask { wanted: Wanted::Named(identity), ..ask };
            prop_assert!(after.decide(&who, &ask).is_err() || after.decide(&who, &ask) == before.decide(&who, &ask));
        }
    }

    #[test]
    fn a_callers_options_never_widen(rules in rules(), who in subject(), ask in ask()) {
        let policy = with_rules(&rules);
        let Ok(decision) = policy.decide(&who, &ask) else { return Ok(()) };
        prop_assert!(decision.network <= decision.sandbox.network);
        prop_assert!(ask.network.is_none_or(|asked| asked == decision.network));
        prop_assert!(ask.sandbox.is_none_or(|asked| asked == decision.sandbox.name));
        match policy.decide(&who, &Ask { sandbox: None, network: None, ..ask }) {
            Ok(plain) => {
                prop_assert_eq!((plain.identity, plain.sandbox), (decision.identity, decision.sandbox));
                prop_assert!(decision.network <= plain.network);
            }
            Err(Denial::AmbiguousSandbox { names }) => prop_assert!(names.contains(&decision.sandbox.name)),
            Err(other) => prop_assert!(false, "granted with options, {other:?} without"),
        }
    }

    #[test]
    fn denied_and_unknown_are_told_alike(rules in rules(), who in subject(), ask in ask()) {
        let policy = with_rules(&rules);
        let unknown = Ask { wanted: Wanted::Named("no-such"), ..ask };
        prop_assert_eq!(policy.decide(&who, &unknown), Err(Denial::NotGranted));
        if policy.decide(&who, &ask) == Err(Denial::NotGranted) {
            prop_assert_eq!(policy.explain(&who, &ask, false), policy.explain(&who, &unknown, false));
        }
    }

    #[test]
    fn what_is_offered_can_be_had_and_nothing_else(rules in rules(), who in subject()) {
        let policy = with_rules(&rules);
        let offers = policy.offers(&who);
        for (wanted, name) in [
            (Wanted::Named("incident"), "incident"),
            (Wanted::Named("deploy"), "deploy"),
            (Wanted::Own("dev"), "own:dev"),
            (Wanted::Own("prod"), "own:prod"),
            (Wanted::Own("x"), "own:x"),
        ] {
            let offer = offers.iter().find(|it| it.identity.to_string() == name).or_else(|| {
                let covers = |it: &&agent_aws_policy::Offer<'_>| match &it.identity {
                    Offered::AnyOwn { except } => name.strip_prefix("own:").is_some_and(|own| !except.contains(&own)),
                    _ => false,
                };
                offers.iter().find(covers)
            });
            for sandbox in SANDBOXES {
                let ask = Ask { wanted, sandbox: Some(sandbox), network: None };
                let offered = offer.is_some_and(|it| it.sandboxes.iter().any(|it| it.name == sandbox));
                prop_assert_eq!(granted(&policy, &who, &ask).is_some(), offered, "{} {}", name, sandbox);
            }
        }
    }

    #[test]
    fn the_order_of_rules_changes_no_grant(allow in prop::collection::vec(rule("allow"), 0..5), deny in rule("deny"), who in subject(), ask in ask()) {
        let forth = with_rules(&(allow.concat() + &deny));
        let back = with_rules(&(deny + &allow.iter().rev().cloned().collect::<String>()));
        prop_assert_eq!(granted(&forth, &who, &ask), granted(&back, &who, &ask));
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = agent_aws_policy_text::parse(&[SourceFile { name: "p", bytes: &bytes }]);
    }

    #[test]
    fn no_change_of_a_valid_policy_makes_the_parser_panic(
        rules in rules(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4, "[a-z\"'=.\\[\\]{}#,\r\n*~:/-]{0,6}|\\PC{1,2}"), 1..6),
    ) {
        let mut bytes = format!("{BASE}{rules}").into_bytes();
        for (at, removed, inserted) in changes {
            let at = at.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, inserted.bytes());
        }
        if let Err(all) = agent_aws_policy_text::parse(&[SourceFile { name: "p", bytes: &bytes }]) {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            prop_assert!(!all.is_empty());
            prop_assert!(all.iter().all(|it| (1..=lines).contains(&it.line) && it.column >= 1));
            prop_assert!(all.is_sorted_by_key(|it| (it.line, it.column)));
            prop_assert!(all.iter().all(|it| !it.to_string().contains(|c: char| c.is_control())));
        }
    }
}
