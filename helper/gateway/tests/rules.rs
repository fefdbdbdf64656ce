//! The table of what is reached and what is not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::net::IpAddr;

use agent_aws_gateway::{Host, Rules, check_word};
use agent_aws_protocol::gateway;

fn words(cell: &str) -> Vec<String> {
    if cell == "-" { vec![] } else { cell.split(',').map(str::to_owned).collect() }
}

/// An address, and whether it is the host's own.
fn address(text: &str) -> (IpAddr, bool) {
    let own = text.ends_with('!');
    (text.trim_end_matches('!').parse().unwrap(), own)
}

fn verdict(rules: &Rules, asked: &str, found: &str) -> Result<(), String> {
    let (host, port) = asked.rsplit_once(':').unwrap();
    let port = port.parse().unwrap();
    let own = host.ends_with('!');
    match Host::parse(host.trim_end_matches('!')).map_err(|e| e.to_string())? {
        Host::Address(address) => rules.literal(address, port, own),
        Host::Name(name) => {
            rules.name(&name, port)?;
            let of = |text| {
                let (address, own) = address(text);
                rules.address(&name, address, port, own)
            };
            assert_ne!(found, "-", "{asked}: it would be looked up");
            let verdicts: Vec<_> = found.split(' ').map(of).collect();
            verdicts.iter().find(|v| v.is_ok()).unwrap_or(&verdicts[0]).clone()
        }
    }
}

#[test]
fn every_row_of_the_table_is_decided_as_it_says() {
    let table = include_str!("rules.tsv");
    let mut rows = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [allow, narrow, private, asked, found, reached, says, case] = cells[..] else { panic!("{line}") };
        let rules = gateway::Rules {
            sandbox: "standard".into(),
            allow: words(allow),
            narrow: words(narrow),
            private: words(private),
            ..gateway::Rules::default()
        };
        let decided = verdict(&Rules::parse(&rules).unwrap(), asked, found);
        assert_eq!(decided.is_ok(), reached == "yes", "{case}: {line}: {decided:?}");
        if let Err(why) = decided {
            assert!(why.contains(says) && says != "-", "{case}: {why}");
        }
        rows += 1;
    }
    assert!(rows >= 90, "{rows} rows");
}

#[test]
fn local_ports_are_reached_by_one_name_and_no_other() {
    let rules = gateway::Rules { local_ports: vec![5432], allow: vec!["*".into()], ..gateway::Rules::default() };
    let rules = Rules::parse(&rules).unwrap();
    let name = |text| match Host::parse(text) {
        Ok(Host::Name(name)) => name,
        other => panic!("{other:?}"),
    };
    assert!(rules.name(&name("host.internal"), 5432).is_ok());
    assert!(rules.name(&name("Host.Internal."), 0).is_ok());
    assert!(rules.name(&name("host.internal"), 22).is_err());
    assert!(rules.name(&name("localhost"), 5432).is_err());
    assert!(rules.name(&name("x.localhost"), 5432).is_err());
}

#[test]
fn a_word_is_checked_without_rules() {
    assert!(check_word("*.example.com:443").is_ok());
    assert!(check_word("*.example.com:443 ").unwrap_err().contains("1 to 65535"));
}
