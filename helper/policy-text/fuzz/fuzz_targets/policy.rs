//! Any bytes as the files of a policy, with a NUL between two of them. What is wrong is said in order, within the files and
//! on one line each; what is right decides without breaking, and grants nothing once a rule denies everything.
#![no_main]

use agent_aws_policy::{Ask, Group, Network, Policy, Subject, Wanted};
use agent_aws_policy_text::{Diagnostic, SourceFile, parse};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// As many as are ever said.
const MOST: usize = 200;
const DENIAL: &[u8] = b"[[deny]]\nusers = [\"*\"]\nidentities = [\"*\", \"own:*\"]\n";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let texts = bytes.splitn(NAMES.len() - 1, |byte| *byte == 0);
    let mut files: Vec<SourceFile> = NAMES.iter().zip(texts).map(|(name, bytes)| SourceFile { name, bytes }).collect();
    match parse(&files) {
        Err(wrong) => check(&files, &wrong),
        Ok(policy) => {
            granted(&policy);
            files.push(SourceFile { name: "d", bytes: DENIAL });
            let policy = parse(&files).unwrap_or_else(|wrong| panic!("a denial that is right is wrong: {}", wrong[0]));
            assert!(!granted(&policy), "granted, whatever is denied");
        }
    }
});

fn check(files: &[SourceFile], wrong: &[Diagnostic]) {
    assert!((1..=MOST).contains(&wrong.len()), "{} complaints", wrong.len());
    let place = |d: &Diagnostic| (d.file.clone(), d.line, d.column);
    assert!(wrong.is_sorted_by_key(place), "out of order: {wrong:?}");
    for one in wrong {
        let file = files.iter().find(|file| file.name == one.file).unwrap_or_else(|| panic!("of no file: {one}"));
        // A line feed at the end of a file begins a line, where something may be missing.
        let lines = file.bytes.split(|byte| *byte == b'\n').count();
        assert!((1..=lines).contains(&one.line) && one.column >= 1, "of no line: {one}");
        assert!(!one.to_string().contains(char::is_control), "not on one line: {one:?}");
    }
}

/// Whether anything is granted to anybody of a few.
fn granted(policy: &Policy) -> bool {
    let groups = vec![Group { gid: 10, name: Some("dev".into()) }];
    let nobody = Subject { uid: 4_000_000, login: None, process_groups: vec![], database_groups: vec![] };
    let jo = Subject { uid: 1000, login: Some("jo".into()), process_groups: groups.clone(), database_groups: groups };
    let wanted = [Wanted::Unnamed, Wanted::Named("incident"), Wanted::Own("dev")];
    let networks = [None, Some(Network::None), Some(Network::Shared)];
    let mut any = false;
    for subject in [&nobody, &jo] {
        for (wanted, network) in wanted.iter().flat_map(|wanted| networks.map(|network| (*wanted, network))) {
            any |= policy.decide(subject, &Ask { wanted, sandbox: None, network }).is_ok();
        }
    }
    any
}
