//! What may be reached. Pure: names, ports and addresses in, a verdict in words out.

mod name;
mod networks;
mod word;

use std::net::IpAddr;

use agent_aws_protocol::gateway;

pub use name::{Host, Name, NotAName};
use networks::{Kind, forbidden_name, kind};
use word::Word;

/// The host, as seen from inside: only `local-ports` of it.
pub(crate) const HOST_INTERNAL: &str = "host.internal";

/// Holds one word of `allow-names` or `allow-private` against the grammar of [`gateway::Rules`]. The error says what is
/// wrong and what to write.
pub fn check_word(text: &str) -> Result<(), String> {
    Word::parse(text).map(drop)
}

/// Why something is not reached, for the user: which rule, and what to do.
pub type Refusal = String;

/// The rules of one session, read.
#[derive(Debug)]
pub struct Rules {
    sandbox: String,
    allow: Vec<Word>,
    narrow: Vec<Word>,
    private: Vec<Word>,
    local_ports: Vec<u16>,
}

impl Rules {
    /// Reads what the supervisor sent. A word that cannot be read is an error: a rule that is left out might have been
    /// the narrow one.
    pub fn parse(rules: &gateway::Rules) -> Result<Self, String> {
        let words = |place: &str, words: &[String]| {
            let word = |text: &String| Word::parse(text).map_err(|e| format!("{place}: {e}"));
            words.iter().map(word).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            sandbox: rules.sandbox.clone(),
            allow: words("allow-names", &rules.allow)?,
            narrow: words("--allow-name", &rules.narrow)?,
            private: words("allow-private", &rules.private)?,
            local_ports: rules.local_ports.clone(),
        })
    }

    /// Whether `name` may be asked for and connected to at `port`, before anything is known of its addresses. Port 0 is
    /// the question for the name alone.
    pub fn name(&self, name: &Name, port: u16) -> Result<(), Refusal> {
        if let Some(what) = forbidden_name(name) {
            return Err(format!("{what}: never allowed"));
        }
        if name.is_localhost() {
            return Err(self.loopback());
        }
        if name.as_str() == HOST_INTERNAL {
            return self.local(port);
        }
        if !self.allow.iter().any(|word| word.names(name, port)) {
            return Err(self.ask_for("allow-names"));
        }
        self.narrowed(|word| word.names(name, port))
    }

    /// Whether a connection to `name`, which [`Rules::name`] has let through, may go to this one of its addresses. `own`:
    /// it is an address of this machine.
    pub fn address(&self, name: &Name, address: IpAddr, port: u16, own: bool) -> Result<(), Refusal> {
        let named = |word: &Word| word.names(name, port) || word.contains(address, port);
        match kind(address) {
            Kind::Forbidden(what) => Err(format!("its address {address} is {what}: never allowed")),
            _ if own => Err(format!("its address {address} is the host's own: {}", self.loopback())),
            Kind::Private(what) if !self.private.iter().any(named) => {
                Err(format!("its address {address} is {what}: {}", self.ask_for("allow-private")))
            }
            Kind::Private(_) | Kind::Public => Ok(()),
        }
    }

    /// Whether an address may be reached that no name was asked for.
    pub fn literal(&self, address: IpAddr, port: u16, own: bool) -> Result<(), Refusal> {
        let named = |words: &[Word]| words.iter().any(|word| word.contains(address, port));
        match kind(address) {
            Kind::Forbidden(what) => return Err(format!("{what}: never allowed")),
            _ if own => return Err(format!("an address of the host's own: {}", self.loopback())),
            Kind::Private(_) if !named(&self.private) => return Err(self.ask_for("allow-private")),
            Kind::Public if !named(&self.allow) => {
                return Err(format!("no name was asked for; {}", self.ask_for("allow-names")));
            }
            Kind::Private(_) | Kind::Public => {}
        }
        self.narrowed(|word| word.contains(address, port))
    }

    /// Whether a port of the host's loopback is offered; port 0 asks whether any is.
    pub fn local(&self, port: u16) -> Result<(), Refusal> {
        let offered = self.local_ports.contains(&port) || (port == 0 && !self.local_ports.is_empty());
        if offered { Ok(()) } else { Err(self.loopback()) }
    }

    /// Whether the administrator's own word for a proxy may lead there: it may be private or this machine, but no rule
    /// makes a metadata service a proxy.
    pub(crate) fn proxy(address: IpAddr) -> Result<(), Refusal> {
        match kind(address) {
            Kind::Forbidden(what) if !address.is_loopback() => Err(format!("its address {address} is {what}")),
            _ => Ok(()),
        }
    }

    fn narrowed(&self, named: impl Fn(&Word) -> bool) -> Result<(), Refusal> {
        match self.narrow.is_empty() || self.narrow.iter().any(named) {
            true => Ok(()),
            false => Err("no --allow-name of this run names it".into()),
        }
    }

    fn ask_for(&self, setting: &str) -> Refusal {
        format!("sandbox \"{}\" does not allow it; ask for it in {setting}", self.sandbox)
    }

    fn loopback(&self) -> Refusal {
        format!("sandbox \"{}\" does not offer this port of the host; ask for it in local-ports", self.sandbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_cannot_be_read_is_no_rules_at_all() {
        let rules = gateway::Rules { narrow: vec!["*.example.com".into(), "a b".into()], ..gateway::Rules::default() };
        let e = Rules::parse(&rules).unwrap_err();
        assert!(e.starts_with("--allow-name: \"a b\" is no rule"), "{e}");
    }

    #[test]
    fn a_refusal_names_the_sandbox_and_what_to_ask_for() {
        let rules = gateway::Rules { sandbox: "standard".into(), ..gateway::Rules::default() };
        let refused = Rules::parse(&rules).unwrap().name(&Name::parse("example.com").unwrap(), 443).unwrap_err();
        assert_eq!(refused, "sandbox \"standard\" does not allow it; ask for it in allow-names");
    }
}
