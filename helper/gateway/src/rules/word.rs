//! One word of a rule.

use std::net::IpAddr;

use ipnet::IpNet;

use super::networks::{forbidden_name, forbids_all};
use super::{Name, NotAName};

/// What one word lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    what: What,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// `*`: every public name.
    Names,
    /// `example.com`
    Exact(Name),
    /// `*.example.com`
    Below(Name),
    /// `203.0.113.0/24`
    Network(IpNet),
}

const FORMS: &str = "a rule is \"*\", \"example.com\", \"*.example.com\" or \"203.0.113.0/24\", with \":443\" or without; an \
IPv6 address before a port is in brackets";

impl Word {
    /// Reads a word; the error says what is wrong with it and what to write.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?} is no rule: {why}");
        let (host, port) = split(text).ok_or_else(|| wrong(FORMS))?;
        let port = match port {
            None => None,
            Some(digits) => Some(parse_port(digits).ok_or_else(|| wrong("a port is a number from 1 to 65535"))?),
        };
        let what = match network(host) {
            Some(net) => What::Network(net),
            None => names(host).map_err(|why| wrong(&why))?,
        };
        match &what {
            What::Network(net) if *net != net.trunc() => {
                return Err(wrong(&format!("it has bits beside its mask; write {}", net.trunc())));
            }
            What::Network(net) => forbids_all(net).map_or(Ok(()), |what| Err(wrong(&never(what))))?,
            What::Exact(name) => forbidden_name(name).map_or(Ok(()), |what| Err(wrong(&never(what))))?,
            What::Names | What::Below(_) => {}
        }
        Ok(Self { what, port })
    }

    /// Whether it names `name`; port 0 stands for any.
    pub(crate) fn names(&self, name: &Name, port: u16) -> bool {
        self.has_port(port)
            && match &self.what {
                What::Names => !name.is_single_label(),
                What::Exact(exact) => exact == name,
                What::Below(above) => name.is_below(above),
                What::Network(_) => false,
            }
    }

    /// Whether it names a network that `address` is in.
    pub(crate) fn contains(&self, address: IpAddr, port: u16) -> bool {
        self.has_port(port) && matches!(&self.what, What::Network(net) if net.contains(&address))
    }

    fn has_port(&self, port: u16) -> bool {
        port == 0 || self.port.is_none_or(|own| own == port)
    }
}

fn never(what: &str) -> String {
    format!("{what}, which is never allowed")
}

/// Host and port, as they are written. None if it cannot be told which is which.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let end = rest.find(']')?;
        let after = rest.get(end + 1..)?;
        let (mask, port) = match after.split_once(':') {
            Some((mask, port)) => (mask, Some(port)),
            None => (after, None),
        };
        // One spelling only: the mask is within the brackets.
        let host = rest.get(..end).filter(|_| mask.is_empty())?;
        return host.contains(':').then_some((host, port));
    }
    match text.matches(':').count() {
        0 => Some((text, None)),
        1 => text.split_once(':').map(|(host, port)| (host, Some(port))),
        _ => Some((text, None)),
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    let good = digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|port| good && *port > 0)
}

fn network(host: &str) -> Option<IpNet> {
    host.parse().ok().or_else(|| host.parse::<IpAddr>().ok().map(IpNet::from))
}

fn names(host: &str) -> Result<What, String> {
    if host == "*" {
        return Ok(What::Names);
    }
    let (bare, below) = match host.strip_prefix("*.") {
        Some(bare) => (bare, true),
        None => (host, false),
    };
    let name = Name::parse(bare).map_err(|e| match e {
        NotAName::Numeric => "a number is no name; an address has four parts in decimal".to_owned(),
        NotAName::Malformed => FORMS.to_owned(),
    })?;
    if name.is_localhost() || name.as_str() == super::HOST_INTERNAL {
        return Err("the host's loopback is offered by local-ports, port by port".into());
    }
    Ok(if below { What::Below(name) } else { What::Exact(name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_no_rules_say_what_to_write() {
        for (text, part) in [
            ("", "a rule is"),
            ("*x.com", "a rule is"),
            ("a.*.com", "a rule is"),
            ("**", "a rule is"),
            ("*.", "a rule is"),
            ("https://example.com", "1 to 65535"),
            ("example.com/x", "a rule is"),
            ("example.com:", "1 to 65535"),
            ("example.com:0", "1 to 65535"),
            ("example.com:+80", "1 to 65535"),
            ("example.com:65536", "1 to 65535"),
            ("10.0.0.1/8", "write 10.0.0.0/8"),
            ("127.1", "a number is no name"),
            ("0x7f.1", "a number is no name"),
            ("localhost", "local-ports"),
            ("host.internal:80", "local-ports"),
            ("169.254.169.254", "never allowed"),
            ("127.0.0.0/8:80", "never allowed"),
            ("[::1]:443", "never allowed"),
            ("metadata.google.internal", "never allowed"),
            ("[2001:db8::]/32", "a rule is"),
            ("[example.com]:443", "a rule is"),
            ("[1.2.3.4]:443", "a rule is"),
        ] {
            let e = Word::parse(text).unwrap_err();
            assert!(e.contains(part), "{text}: {e}");
        }
    }

    #[test]
    fn words_that_are_rules_are_read() {
        for text in [
            "*", "*:443", "a", "Example.COM.", "*.bücher.example:8443", "203.0.113.0/24:443", "203.0.113.7",
            "[2001:db8::/32]:443", "2001:db8::/32", "2001:db8::1", "0.0.0.0/0", "[2600::1]",
        ] {
            assert!(Word::parse(text).is_ok(), "{text}");
        }
    }
}
