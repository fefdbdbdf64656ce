//! Names of hosts, in the one spelling in which they are compared.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use idna::AsciiDenyList;

/// Longest name in text, in bytes (RFC 1035, without the dot at its end).
const LONGEST: usize = 253;
/// Longest label, in bytes (RFC 1035).
const LONGEST_LABEL: usize = 63;
/// Nothing longer is mapped: a name that is short afterwards was not this long before.
const LONGEST_BEFORE: usize = 1024;

/// A name in lower case and A-labels, without the dot at its end. Never an address in any spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Rc<str>);

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAName {
    /// A resolver would take it for an IPv4 address: `2130706433`, `0x7f.1`, `127.1`.
    Numeric,
    /// Too long, an empty label, or a character that no host name has.
    Malformed,
}

impl fmt::Display for NotAName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Numeric => "a number in place of a name is never allowed",
            Self::Malformed => "it is not the name of a host",
        })
    }
}

impl Name {
    /// Maps as browsers do (UTS 46), so that no spelling of a name passes a rule that another would not.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        if text.len() > LONGEST_BEFORE {
            return Err(NotAName::Malformed);
        }
        let mapped = idna::domain_to_ascii_cow(text.as_bytes(), AsciiDenyList::URL).map_err(|_| NotAName::Malformed)?;
        let name = mapped.strip_suffix('.').unwrap_or(&mapped);
        let label = |label: &str| {
            (1..=LONGEST_LABEL).contains(&label.len())
                && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        };
        if name.len() > LONGEST || !name.split('.').all(label) {
            return Err(NotAName::Malformed);
        }
        if name.rsplit('.').next().is_some_and(is_number) {
            return Err(NotAName::Numeric);
        }
        Ok(Self(name.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is strictly below `other`.
    pub(crate) fn is_below(&self, other: &Self) -> bool {
        self.0.strip_suffix(&*other.0).is_some_and(|rest| rest.ends_with('.'))
    }

    /// Whether it has no dot, so that only a list of suffixes or the local network makes sense of it.
    pub(crate) fn is_single_label(&self) -> bool {
        !self.0.contains('.')
    }

    /// This machine, in every resolver (RFC 6761).
    pub(crate) fn is_localhost(&self) -> bool {
        &*self.0 == "localhost" || self.0.ends_with(".localhost")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the last label of a number looks like to `inet_aton` and to browsers.
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal || label.bytes().all(|b| b.is_ascii_digit())
}

/// What a client can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name.
    Name(Name),
    /// An address, in its usual spelling.
    Address(IpAddr),
}

impl Host {
    /// Reads a host as URLs and proxies write it: a name, an IPv4 address, an IPv6 address in brackets or without.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Some(bare) = bare {
            return bare.parse::<Ipv6Addr>().map(|a| Self::Address(a.into())).map_err(|_| NotAName::Malformed);
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => Name::parse(text).map(Self::Name),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn every_spelling_of_a_name_is_the_same_name() {
        for spelling in ["example.com", "EXAMPLE.com", "example.com.", "ｅxample。com", "example.com。"] {
            assert_eq!(name(spelling).as_str(), "example.com", "{spelling}");
        }
        assert_eq!(name("bücher.example"), name("xn--bcher-kva.example"));
        assert_eq!(name("_sip._tcp.example.com").as_str(), "_sip._tcp.example.com");
    }

    #[test]
    fn numbers_are_no_names_in_any_base_or_script() {
        for text in ["2130706433", "0x7f.1", "017700000001", "127.1", "127.0.0.1.", "a.0x", "１２７.0.0.1", "1.2.3.4.5"]
        {
            assert_eq!(Name::parse(text), Err(NotAName::Numeric), "{text}");
        }
        assert_eq!(name("0x7f.example").as_str(), "0x7f.example");
    }

    #[test]
    fn what_no_host_is_called_is_refused() {
        let long = format!("{}.com", "a".repeat(64));
        let longer = "abcdefgh.".repeat(32);
        for text in ["", ".", "a..b", ".a", "a b", "a/b", "a:1", "*.a", "a%00b", "a\0b", "xn--\u{fffd}", &long, &longer]
        {
            assert_eq!(Name::parse(text), Err(NotAName::Malformed), "{text:?}");
        }
    }

    #[test]
    fn below_means_strictly_below() {
        let apex = name("amazonaws.com");
        assert!(name("s3.amazonaws.com").is_below(&apex));
        assert!(!name("amazonaws.com").is_below(&apex));
        assert!(!name("evilamazonaws.com").is_below(&apex));
        assert!(!name("amazonaws.com.evil.test").is_below(&apex));
    }
}
