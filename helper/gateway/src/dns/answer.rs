//! From a question's bytes to the answer's.
//!
//! Addresses are stand-ins: whoever has one can ask for a connection, and nothing else. HTTPS and SVCB records have no
//! answer, since their hints are addresses. Other records of a name that is let through come from the machine's name
//! servers: who runs the zone of an allowed name could learn as much from the question for its address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::header_buffer::{has_flags, id};
use simple_dns::rdata::{A, AAAA, OPT, PTR, RData};
use simple_dns::{CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE};

use super::lookup::Found;
use super::upstream::PAYLOAD;
use crate::gateway::Gateway;
use crate::pool;
use crate::rules::{HOST_INTERNAL, Name};

/// How long a client may remember a stand-in, in seconds.
const TTL: u32 = 60;
/// Largest answer by UDP to who does not say what fits (RFC 1035).
const PLAIN_UDP: usize = 512;
/// Largest answer by TCP.
pub(crate) const LARGEST: usize = 65_535;
/// Length of the head of a message.
const HEAD: usize = 12;

/// What is answered, before it is bytes.
#[derive(Debug)]
struct Outcome {
    rcode: RCODE,
    records: Vec<ResourceRecord<'static>>,
}

impl Outcome {
    fn only(rcode: RCODE) -> Self {
        Self { rcode, records: Vec::new() }
    }

    fn with(records: Vec<ResourceRecord<'static>>) -> Self {
        Self { rcode: RCODE::NoError, records }
    }
}

/// Over what a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The answer must fit.
    Udp,
    /// Anything fits.
    Tcp,
}

/// The answer to a message. None where there must be none: no head, or an answer itself, which could go round for ever.
pub(crate) async fn answer(gateway: &Gateway, message: &[u8], over: Over) -> Option<Vec<u8>> {
    let packet = match Packet::parse(message) {
        Ok(packet) => packet,
        Err(simple_dns::SimpleDnsError::InvalidQType(_)) => return refuse(message, RCODE::NotImplemented),
        Err(_) => return refuse(message, RCODE::FormatError),
    };
    if packet.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let outcome = match packet.questions.as_slice() {
        _ if packet.opcode() != OPCODE::StandardQuery => Outcome::only(RCODE::NotImplemented),
        [question] => reply_to(gateway, question).await,
        _ => Outcome::only(RCODE::FormatError),
    };
    write(&packet, &outcome, over)
}

/// SERVFAIL to whatever was asked.
pub(crate) fn fail(message: &[u8]) -> Option<Vec<u8>> {
    refuse(message, RCODE::ServerFailure)
}

/// An answer to what cannot be read, or is not looked at: its id and a code.
fn refuse(message: &[u8], rcode: RCODE) -> Option<Vec<u8>> {
    if message.len() < HEAD || has_flags(message, PacketFlag::RESPONSE) != Ok(false) {
        return None;
    }
    let mut reply = Packet::new_reply(id(message).ok()?);
    *reply.rcode_mut() = rcode;
    reply.build_bytes_vec().ok()
}

fn write(asked: &Packet<'_>, outcome: &Outcome, over: Over) -> Option<Vec<u8>> {
    let mut reply = Packet::new_reply(asked.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    if asked.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    *reply.rcode_mut() = outcome.rcode;
    reply.questions.clone_from(&asked.questions);
    let mut fits = LARGEST;
    if over == Over::Udp {
        fits = asked.opt().map_or(PLAIN_UDP, |opt| usize::from(opt.udp_packet_size.clamp(512, PAYLOAD)));
    }
    if asked.opt().is_some() {
        *reply.opt_mut() = Some(OPT { opt_codes: vec![], udp_packet_size: PAYLOAD, version: 0 });
    }
    reply.answers.clone_from(&outcome.records);
    let bytes = reply.build_bytes_vec_compressed().ok()?;
    if bytes.len() <= fits {
        return Some(bytes);
    }
    reply.answers.clear();
    reply.set_flags(PacketFlag::TRUNCATION);
    reply.build_bytes_vec_compressed().ok().filter(|bytes| bytes.len() <= fits)
}

async fn reply_to(gateway: &Gateway, question: &Question<'_>) -> Outcome {
    if !matches!(question.qclass, QCLASS::CLASS(CLASS::IN) | QCLASS::ANY) {
        return Outcome::only(RCODE::Refused);
    }
    let Some(text) = text(&question.qname) else { return Outcome::only(RCODE::NameError) };
    if text == "arpa" || text.ends_with(".arpa") {
        return backwards(gateway, question, &text);
    }
    let Ok(name) = Name::parse(&text) else { return Outcome::only(RCODE::NameError) };
    if name.is_localhost() {
        return own(question, Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
    }
    if let Err(why) = gateway.rules.name(&name, 0) {
        gateway.blocked.report(name.as_str(), 0, &why);
        return Outcome::only(RCODE::NameError);
    }
    if name.as_str() == HOST_INTERNAL {
        return own(question, pool::v4(pool::HOST), pool::v6(pool::HOST));
    }
    match question.qtype {
        QTYPE::TYPE(TYPE::A | TYPE::AAAA) | QTYPE::ANY => addresses(gateway, question, &name).await,
        QTYPE::TYPE(TYPE::HTTPS | TYPE::SVCB) => Outcome::with(vec![]),
        QTYPE::TYPE(kind) => forward(gateway, &name, kind).await,
        _ => Outcome::only(RCODE::NotImplemented),
    }
}

/// A name as text, in lower case; none if it has a byte that no rule can name.
fn text(name: &simple_dns::Name<'_>) -> Option<String> {
    let labels: Option<Vec<&str>> = name.as_bytes().map(|label| std::str::from_utf8(label).ok()).collect();
    let labels = labels?;
    let plain = |label: &&str| label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (!labels.is_empty() && labels.iter().all(plain)).then(|| labels.join(".").to_ascii_lowercase())
}

fn own(question: &Question<'_>, v4: Ipv4Addr, v6: Ipv6Addr) -> Outcome {
    let record = |data| ResourceRecord::new(question.qname.clone().into_owned(), CLASS::IN, TTL, data);
    let v4 = || record(RData::A(A { address: v4.to_bits() }));
    let v6 = || record(RData::AAAA(AAAA { address: v6.to_bits() }));
    Outcome::with(match question.qtype {
        QTYPE::TYPE(TYPE::A) => vec![v4()],
        QTYPE::TYPE(TYPE::AAAA) => vec![v6()],
        QTYPE::ANY => vec![v4(), v6()],
        _ => vec![],
    })
}

/// Stand-ins of both families, whichever the name has: the connection takes what there is.
async fn addresses(gateway: &Gateway, question: &Question<'_>, name: &Name) -> Outcome {
    if gateway.proxy.is_none() {
        match gateway.lookups.find(name).await {
            Found::NoName => return Outcome::only(RCODE::NameError),
            Found::NoAddress => return Outcome::with(vec![]),
            Found::Failed => return Outcome::only(RCODE::ServerFailure),
            Found::Addresses(found) => {
                if let Err(why) = gateway.permitted(name, &found, 0) {
                    gateway.blocked.report(name.as_str(), 0, &why);
                    return Outcome::only(RCODE::NameError);
                }
            }
        }
    }
    let number = gateway.pool.borrow_mut().number(name);
    own(question, pool::v4(number), pool::v6(number))
}

/// The name of a stand-in; no other address has one here, and nobody is asked.
fn backwards(gateway: &Gateway, question: &Question<'_>, text: &str) -> Outcome {
    let number = address(text).and_then(pool::number);
    let name = match number {
        Some(pool::HOST) => Some(HOST_INTERNAL.to_owned()),
        Some(number) => gateway.pool.borrow_mut().name(number).map(|name| name.to_string()),
        None => None,
    };
    let Some(name) = name else { return Outcome::only(RCODE::NameError) };
    if question.qtype != TYPE::PTR.into() && question.qtype != QTYPE::ANY {
        return Outcome::with(vec![]);
    }
    let Ok(name) = simple_dns::Name::new(&name) else { return Outcome::only(RCODE::ServerFailure) };
    let data = RData::PTR(PTR(name.into_owned()));
    Outcome::with(vec![ResourceRecord::new(question.qname.clone().into_owned(), CLASS::IN, TTL, data)])
}

/// The address that a name below in-addr.arpa or ip6.arpa is about.
fn address(text: &str) -> Option<IpAddr> {
    if let Some(reversed) = text.strip_suffix(".in-addr.arpa") {
        let parts: Vec<&str> = reversed.rsplit('.').collect();
        return parts.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    let reversed = text.strip_suffix(".ip6.arpa")?;
    let digits: Vec<&str> = reversed.rsplit('.').collect();
    if digits.len() != 32 || digits.iter().any(|digit| digit.len() != 1) {
        return None;
    }
    u128::from_str_radix(&digits.concat(), 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into())
}

/// Records that are no addresses. What comes besides them (the addresses of a mail server) is left out.
async fn forward(gateway: &Gateway, name: &Name, kind: TYPE) -> Outcome {
    if gateway.proxy.is_some() {
        return Outcome::with(vec![]);
    }
    let Some(bytes) = gateway.lookups.upstream.ask(name, kind).await else {
        return Outcome::only(RCODE::ServerFailure);
    };
    let Ok(packet) = Packet::parse(&bytes) else { return Outcome::only(RCODE::ServerFailure) };
    let wanted =
        |record: &&ResourceRecord<'_>| record.match_qtype(kind.into()) || record.match_qtype(TYPE::CNAME.into());
    let records = packet.answers.iter().filter(wanted).map(|record| record.clone().into_owned()).collect();
    Outcome { rcode: packet.rcode(), records }
}

#[cfg(test)]
mod tests;
