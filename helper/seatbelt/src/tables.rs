//! Data tables of macOS. What is the same on Linux is in the tables of the plan.

use std::sync::LazyLock;

pub(crate) use agent_aws_plan::tables::Row;
use agent_aws_plan::tables::Table;

/// Operations that a profile may name: parent, object and source are the cells of the reason.
pub const OPERATIONS: Table = Table::of(include_str!("../tables/operations.tsv"));
/// Symbolic links at the root of macOS, and what they lead to.
pub const ROOT_LINKS: Table = Table::of(include_str!("../tables/root-links.tsv"));
/// Secret stores below a home that are on macOS only.
pub const HOME_STORES: Table = Table::of(include_str!("../tables/home-stores.tsv"));
/// Other names of the same files.
pub const COPIES: Table = Table::of(include_str!("../tables/copies.tsv"));
/// Below a home that can be written: what runs later.
pub const LATER: Table = Table::of(include_str!("../tables/later.tsv"));
/// Nothing in these may be writable, beside the rows of the plan.
pub const NEVER_INSIDE: Table = Table::of(include_str!("../tables/never-inside.tsv"));
/// Not writable themselves, beside the rows of the plan.
pub const NEVER_WRITABLE: Table = Table::of(include_str!("../tables/never-writable.tsv"));
/// Devices beside those of the plan.
pub const DEVICES: Table = Table::of(include_str!("../tables/devices.tsv"));
/// What of macOS programs need, beside what the plan shows of a system.
pub const SYSTEM: Table = Table::of(include_str!("../tables/system.tsv"));
/// Services that ordinary programs need.
pub const SERVICES: Table = Table::of(include_str!("../tables/services.tsv"));
/// Services that hand out what is in a keychain.
pub const KEYCHAIN_SERVICES: Table = Table::of(include_str!("../tables/keychain-services.tsv"));
/// Services that do outside what they are asked to.
pub const OUTSIDE_SERVICES: Table = Table::of(include_str!("../tables/outside-services.tsv"));
/// Services that look up names or fetch.
pub const NETWORK_SERVICES: Table = Table::of(include_str!("../tables/network-services.tsv"));
/// Services that judge certificates.
pub const TRUST_SERVICES: Table = Table::of(include_str!("../tables/trust-services.tsv"));
/// Settings of the kernel that ordinary programs read.
pub const SETTINGS: Table = Table::of(include_str!("../tables/settings.tsv"));
/// Ports of the loopback that are a login to this machine.
pub const LOOPBACK_PORTS: Table = Table::of(include_str!("../tables/loopback-ports.tsv"));

/// Tables whose names stand in the text of a profile, by the word of the template. They are compiled in, so they are no
/// values. A row that ends in `*` is the beginning of names.
const CONSTANTS: [(&str, Table); 10] = [
    ("copies", COPIES),
    ("root-links", ROOT_LINKS),
    ("services", SERVICES),
    ("keychain-services", KEYCHAIN_SERVICES),
    ("outside-services", OUTSIDE_SERVICES),
    ("network-services", NETWORK_SERVICES),
    ("trust-services", TRUST_SERVICES),
    ("loopback-ports", LOOPBACK_PORTS),
    ("settings", SETTINGS),
    ("setting-prefixes", SETTINGS),
];

/// The names that a word of a template stands for, and that word.
pub(crate) fn constants(word: &str) -> Option<(&'static str, Vec<&'static str>)> {
    let (word, table) = CONSTANTS.into_iter().find(|(known, _)| *known == word)?;
    let name = |row: Row| match (row.path.strip_suffix('*'), word == "setting-prefixes") {
        (Some(beginning), true) => Some(beginning),
        (None, false) => Some(row.path),
        _ => None,
    };
    Some((word, table.rows().filter_map(name).collect()))
}

/// The reason of a row of such a table.
pub(crate) fn reason(word: &str, name: &str) -> Option<&'static str> {
    let (_, table) = CONSTANTS.into_iter().find(|(known, _)| *known == word)?;
    table.rows().find(|row| row.path.trim_end_matches('*') == name).map(|row| row.reason)
}

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Nothing,
    Path,
    Address,
    Service,
    Process,
    Setting,
    Memory,
}

/// An operation: its name, the one whose rules hold where its own say nothing, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) parent: Option<&'static str>,
    pub(crate) about: About,
}

/// The operation of this name, if a profile may have it.
pub(crate) fn operation(name: &str) -> Option<Operation> {
    static KNOWN: LazyLock<Vec<Operation>> = LazyLock::new(|| OPERATIONS.rows().filter_map(parsed).collect());
    KNOWN.iter().find(|known| known.name == name).copied()
}

fn parsed(row: Row) -> Option<Operation> {
    let mut cells = row.reason.split('\t');
    let parent = cells.next().filter(|parent| *parent != "-");
    let about = match cells.next()? {
        "path" => About::Path,
        "address" => About::Address,
        "service" => About::Service,
        "process" => About::Process,
        "setting" => About::Setting,
        "memory" => About::Memory,
        "nothing" => About::Nothing,
        _ => return None,
    };
    Some(Operation { name: row.path, parent, about })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_every_table_has_a_reason_and_stands_once() {
        let all = [
            OPERATIONS, ROOT_LINKS, HOME_STORES, COPIES, LATER, DEVICES, SYSTEM, SERVICES, KEYCHAIN_SERVICES,
            OUTSIDE_SERVICES, NETWORK_SERVICES, TRUST_SERVICES, SETTINGS, LOOPBACK_PORTS, NEVER_INSIDE, NEVER_WRITABLE,
        ];
        for table in all {
            let rows: Vec<_> = table.rows().collect();
            assert!(!rows.is_empty() && rows.iter().all(|r| !r.reason.trim().is_empty()), "{table:?}");
            let mut names: Vec<_> = rows.iter().map(|r| r.path).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), rows.len(), "a row stands twice: {table:?}");
        }
        for (word, _) in CONSTANTS {
            let (_, names) = constants(word).unwrap();
            assert!(!names.is_empty() && names.iter().all(|name| reason(word, name).is_some()), "{word}");
        }
    }

    #[test]
    fn every_operation_has_a_known_parent_and_no_loop() {
        for row in OPERATIONS.rows() {
            let mut at = operation(row.path).unwrap_or_else(|| panic!("{}", row.path));
            for _ in 0..8 {
                let Some(parent) = at.parent else { break };
                at = operation(parent).unwrap_or_else(|| panic!("{parent}"));
            }
            assert!(at.name == "default" || at.name == "process-info*" || at.parent.is_none(), "{}", row.path);
        }
    }

    #[test]
    fn a_store_of_macos_is_not_in_the_plans_table_too() {
        for row in HOME_STORES.rows() {
            assert!(agent_aws_plan::tables::SECRET_STORES.find(row.path.as_bytes()).is_none(), "{}", row.path);
        }
    }
}
