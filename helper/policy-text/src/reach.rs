//! Checks of what a sandbox reaches.

use std::ops::RangeInclusive;

use agent_aws_policy::{is_allow_name, is_host, is_port};

use crate::diagnostic::Problem;
use crate::syntax::{Checked, text_if};

/// See [`is_allow_name`].
pub(crate) fn allow_name(text: &str) -> Checked<String> {
    let hint = "\"*\", \"example.com\", \"*.example.com\" or \"203.0.113.0/24\", with \":443\" or not";
    text_if(is_allow_name(text), text, "a name to allow", hint)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_proxies_are_told_from_what_only_looks_like_them() {
        assert_eq!(ports("3000-3999").ok(), Some(3000..=3999));
        for bad in ["80", "4000-3000", "70000", "", "-", "3000-"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
        assert!(proxy("http://proxy.corp:3128").is_ok() && proxy("https://proxy.corp:3128").is_err());
    }
}
