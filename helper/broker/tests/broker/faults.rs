//! Every fault of STS with every kind of source, as a table.

use std::collections::BTreeMap;

use agent_aws_protocol::{BrokerToHelper, Minting, SourceCredentials};
use agent_aws_sts_emulator::Faults;

use crate::own::{Own, user};
use crate::scene::{BASE, Broker, KEY, ROLE, SECRET, TOKEN, emulator, file, keys, minting};
use crate::system::session;

const TABLE: &str = include_str!("../faults.tsv");
/// The most memory that a broker may have needed, in KiB, whatever it was answered. This one is not optimised.
const MOST: u64 = 32 * 1024;

/// A broker of this kind of source with an STS that fails so: how it came out, what was said, and the most memory it had.
fn outcome(kind: &str, faults: &Faults) -> (&'static str, String, u64) {
    let own = Own::new();
    let role = format!("[profile deep]\nrole_arn = {ROLE}\nsource_profile = dev\nexternal_id = x-1\n");
    let config = match kind {
        "system, a role" | "system, a session" | "system, a token" | "own, keys" => user("dev"),
        "own, a role" => user("dev") + &role,
        "own, a session" => {
            let broker = own.start(&user("dev"), own.minting("dev"));
            broker.minted();
            let session = broker.by_socket();
            let member = |name: &str| session[name].as_str().unwrap().to_owned();
            let (id, secret, token) = (member("AccessKeyId"), member("SecretAccessKey"), member("SessionToken"));
            format!(
                "[profile dev]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\naws_session_token = {token}\n"
            )
        }
        other => panic!("no such source: {other}"),
    };
    let system = emulator(None);
    let broker = match kind {
        "system, a role" => {
            system.set_faults(faults.clone());
            Broker::start(minting(&system), Some(file(&keys(SECRET))))
        }
        "system, a session" => {
            let found: serde_json::Value = serde_json::from_str(&session(&system)).unwrap();
            let member = |name: &str| found[name].as_str().unwrap().to_owned();
            let (id, secret, token) = (member("AccessKeyId"), member("SecretAccessKey"), member("Token"));
            let text = format!(
                "[w]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\naws_session_token = {token}\n"
            );
            system.set_faults(faults.clone());
            Broker::start(minting(&system), Some(file(&text)))
        }
        "system, a token" => {
            system.set_faults(faults.clone());
            let source = SourceCredentials::WebIdentity { role: BASE.into() };
            Broker::start(Minting { source, ..minting(&system) }, Some(file(TOKEN)))
        }
        _ => {
            own.sts.set_faults(faults.clone());
            own.start(&config, own.minting(if kind == "own, a role" { "deep" } else { "dev" }))
        }
    };
    let (outcome, said) = match broker.first() {
        BrokerToHelper::Minted(session) => ("minted", session.arn),
        BrokerToHelper::Failed { cause, retry: Some(_) } => ("again", cause),
        BrokerToHelper::Failed { cause, retry: None } => ("ends", cause),
        BrokerToHelper::Renew => panic!("nothing is there to renew"),
    };
    assert!(!said.contains(SECRET) && !said.contains(KEY), "{said}");
    (outcome, said, broker.status("VmHWM").split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn every_fault_of_sts_has_its_words_with_every_kind_of_source() {
    let mut rows = TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
    let columns = rows.next().unwrap();
    let mut running = Vec::new();
    for row in rows {
        let cells: BTreeMap<&str, &str> = columns.iter().copied().zip(row).collect();
        let faults: Faults = serde_json::from_str(cells["emulator"]).unwrap();
        for kind in columns.iter().copied().filter(|column| column.contains(", ")) {
            let (faults, fault, expected, says) = (faults.clone(), cells["fault"], cells[kind], cells["says"]);
            running.push(std::thread::spawn(move || {
                let (is, said, memory) = outcome(kind, &faults);
                let words = is == "minted" || said.contains(says);
                let good = is == expected && words && memory <= MOST;
                (!good).then(|| format!("{fault}, {kind}: {is}, {memory} KiB: {said}"))
            }));
        }
    }
    let wrong: Vec<String> = running.into_iter().filter_map(|row| row.join().unwrap()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
