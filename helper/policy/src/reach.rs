//! What of the network a sandbox lets through: names, networks, ports.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Policy;

/// Names that are allowed together, by one word: `[names.WORD]`, or one of [`PRESETS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The word.
    pub name: String,
    /// What it stands for.
    pub allow: Vec<String>,
}

/// What the network of a sandbox reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Names and networks that `filtered` lets through: `*` (every public name), `example.com`, `*.example.com` (all below it),
    /// `203.0.113.0/24`, the word of a preset; each with `:port` or without.
    pub names: Vec<String>,
    /// Names whose addresses may be private, and private networks.
    pub private: Vec<String>,
    /// Ports of the host's loopback that `filtered` offers inside.
    pub local_ports: Vec<u16>,
    /// `http://HOST:PORT` of a proxy that connections to names take.
    pub upstream_proxy: Option<String>,
    /// Whether `shared` leaves the host's loopback and own addresses open.
    pub host_loopback: bool,
    /// Whether `shared` may go without a guard for metadata services where the kernel has none.
    pub unguarded: bool,
}

/// Presets that come with agent-aws. `{region}` is the session's AWS region.
pub const PRESETS: &[(&str, &str)] = &[
    ("anthropic", include_str!("../presets/anthropic.names")),
    ("aws", include_str!("../presets/aws.names")),
    ("github", include_str!("../presets/github.names")),
    ("openai", include_str!("../presets/openai.names")),
];

/// Whether it is the word of a preset rather than a name or a network.
pub fn is_word(text: &str) -> bool {
    text != "*" && !text.contains(['.', ':'])
}

/// Whether it is `*`, `example.com`, `*.example.com`, a network, or the word of a preset; all but the last with `:port`
/// or not.
pub fn is_allow_name(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let numeric = host.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    let name = host == "*" || (is_host(host.strip_prefix("*.").unwrap_or(host)) && !numeric);
    let network = is_network(host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host));
    (name || network) && port.is_none_or(is_port)
}

/// An address, or `ADDRESS/BITS`.
fn is_network(text: &str) -> bool {
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    let most = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
    let is = |address: IpAddr| bits.parse::<u8>().is_ok_and(|bits| bits <= most(address));
    address.parse::<IpAddr>().is_ok_and(is)
}

/// Whether it is the number of a port, in decimal.
pub fn is_port(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether it can be the name of a host.
pub fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    text.len() <= 253 && text.split('.').all(label)
}

impl Policy {
    /// Spells presets out. Words that are no presets stay as they are.
    ///
    /// # Errors
    /// The first word that is neither a name, a network nor a preset, with what would be.
    pub fn spelt_out(&self, words: &[String], region: Option<&str>) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        for word in words {
            if !is_allow_name(word) {
                return Err(format!("{word:?} is not a name to allow"));
            }
            let site = self.names.iter().find(|names| names.name == *word).map(|names| names.allow.clone());
            let shipped = || PRESETS.iter().find(|(name, _)| name == word).map(|(_, text)| lines(text, region));
            match site.or_else(shipped) {
                Some(names) => all.extend(names),
                None if is_word(word) => return Err(format!("there is no preset {word:?} of names")),
                None => all.push(word.clone()),
            }
        }
        Ok(all)
    }
}

fn lines(text: &str, region: Option<&str>) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let named = |line: &str| match region {
        Some(region) => line.replace("{region}", region),
        None => line.replace("*.{region}", "*"),
    };
    lines.map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_networks_are_told_from_what_only_looks_like_them() {
        for good in [
            "*", "*:443", "example.com", "*.example.com:22", "203.0.113.0/24", "203.0.113.7:443", "2001:db8::/32",
            "[2001:db8::/32]:443", "[::1]:80", "github",
        ] {
            assert!(is_allow_name(good), "{good}");
        }
        for bad in [
            "", "**", "*.", "a..b", "*.*.com", "203.0.113.0/33", "1.2.3", "0x7f.1", "example.com:0",
            "example.com:65536", "2001:db8::/129", "http://example.com", "example.com/", "[example.com]:443x",
            "exa mple.com",
        ] {
            assert!(!is_allow_name(bad), "{bad}");
        }
    }

    #[test]
    fn every_preset_is_made_of_names_that_policy_takes() {
        for (word, text) in PRESETS {
            let all = lines(text, Some("eu-west-1"));
            assert!(!all.is_empty() && is_word(word));
            for name in all.iter().chain(&lines(text, None)) {
                assert!(is_allow_name(name) && !is_word(name), "{word}: {name}");
            }
        }
    }

    #[test]
    fn a_preset_is_spelt_out_for_the_region_and_that_of_the_site_wins() {
        let mut policy = Policy::default();
        let spelt = |policy: &Policy, word: &str| policy.spelt_out(&[word.to_owned()], Some("eu-west-1"));
        assert!(spelt(&policy, "aws").unwrap().contains(&"*.eu-west-1.amazonaws.com:443".to_owned()));
        assert!(policy.spelt_out(&["aws".into()], None).unwrap().contains(&"*.amazonaws.com:443".to_owned()));
        assert!(spelt(&policy, "nowhere").is_err());
        policy.names.push(Names { name: "github".into(), allow: vec!["git.example.com".into()] });
        assert_eq!(spelt(&policy, "github").unwrap(), ["git.example.com"]);
    }
}
