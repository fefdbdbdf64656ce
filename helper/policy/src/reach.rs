//! What of the network a sandbox lets through: names, networks, ports.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::Policy;
use crate::diagnostic::Problem;
use crate::syntax::{Checked, is_host, is_port, text_if};

/// Names that are allowed together, by one word: `[names.WORD]`, or one of [`PRESETS`].
#[derive(Debug, Clone, PartialEq, Eq)]
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
pub(crate) fn is_word(text: &str) -> bool {
    text != "*" && !text.contains(['.', ':'])
}

/// `*`, `example.com`, `*.example.com`, a network, or the word of a preset; all but the last with `:port` or not.
pub(crate) fn allow_name(text: &str) -> Checked<String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let numeric = host.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    let name = host == "*" || (is_host(host.strip_prefix("*.").unwrap_or(host)) && !numeric);
    let network = is_network(host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host));
    let hint = "\"*\", \"example.com\", \"*.example.com\" or \"203.0.113.0/24\", with \":443\" or not";
    text_if((name || network) && port.is_none_or(is_port), text, "a name to allow", hint)
}

/// An address, or `ADDRESS/BITS`.
fn is_network(text: &str) -> bool {
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    let most = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
    let is = |address: IpAddr| bits.parse::<u8>().is_ok_and(|bits| bits <= most(address));
    address.parse::<IpAddr>().is_ok_and(is)
}

/// `8085`, or `3000-3999`; none below 1024.
pub(crate) fn ports(text: &str) -> Checked<RangeInclusive<u16>> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    match (low.parse::<u16>(), high.parse::<u16>()) {
        (Ok(low), Ok(high)) if 1024 <= low && low <= high => Ok(low..=high),
        _ => Err(Problem::new("not a port or a range of ports from 1024 on").hint("\"8085\" or \"3000-3999\"")),
    }
}

/// Any port.
pub(crate) fn port(text: &str) -> Checked<u16> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| Problem::new("not a port: 1 to 65535"))
}

/// `http://HOST:PORT`.
pub(crate) fn proxy(text: &str) -> Checked<String> {
    let at = text.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let good = at.and_then(|at| at.rsplit_once(':')).is_some_and(|(host, port)| is_host(host) && is_port(port));
    text_if(good, text, "a proxy", "http://HOST:PORT")
}

impl Policy {
    /// Spells presets out. Words that are no presets stay as they are.
    ///
    /// # Errors
    /// The first word that is neither a name, a network nor a preset, with what would be.
    pub fn spelt_out(&self, words: &[String], region: Option<&str>) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        for word in words {
            allow_name(word).map_err(|problem| problem.message)?;
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
    fn names_networks_and_ports_are_told_from_what_only_looks_like_them() {
        for good in [
            "*", "*:443", "example.com", "*.example.com:22", "203.0.113.0/24", "203.0.113.7:443", "2001:db8::/32",
            "[2001:db8::/32]:443", "[::1]:80", "github",
        ] {
            assert!(allow_name(good).is_ok(), "{good}");
        }
        for bad in [
            "", "**", "*.", "a..b", "*.*.com", "203.0.113.0/33", "1.2.3", "0x7f.1", "example.com:0",
            "example.com:65536", "2001:db8::/129", "http://example.com", "example.com/", "[example.com]:443x",
            "exa mple.com",
        ] {
            assert!(allow_name(bad).is_err(), "{bad}");
        }
        assert_eq!(ports("3000-3999").ok(), Some(3000..=3999));
        for bad in ["80", "4000-3000", "70000", "", "-", "3000-"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
        assert!(proxy("http://proxy.corp:3128").is_ok() && proxy("https://proxy.corp:3128").is_err());
    }

    #[test]
    fn every_preset_is_made_of_names_that_policy_takes() {
        for (word, text) in PRESETS {
            let all = lines(text, Some("eu-west-1"));
            assert!(!all.is_empty() && is_word(word));
            for name in all.iter().chain(&lines(text, None)) {
                assert!(allow_name(name).is_ok() && !is_word(name), "{word}: {name}");
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
