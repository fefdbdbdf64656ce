//! From a name to its addresses: one question at a time for each name, remembered for as long as the answer says.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use simple_dns::rdata::RData;
use simple_dns::{Packet, RCODE, TYPE};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::files::Hosts;
use super::upstream::Upstream;
use crate::rules::Name;

/// An answer is used at least so long: a question, the other family's, and the connection are one look-up.
const SHORTEST: Duration = Duration::from_secs(5);
/// And at most so long.
const LONGEST: Duration = Duration::from_secs(300);
/// That there is nothing is remembered so long.
const NOTHING: Duration = Duration::from_secs(10);
/// Names remembered.
const REMEMBERED: usize = 4096;
/// Addresses of one name that are looked at.
const ADDRESSES: usize = 32;
/// How long the second family is waited for when the first has addresses: a server that drops one kind of question must not
/// cost seconds.
const OTHER_FAMILY: Duration = Duration::from_millis(500);

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Addresses, none of them checked.
    Addresses(Rc<[IpAddr]>),
    /// The name is there, without an address.
    NoAddress,
    /// There is no such name.
    NoName,
    /// Nobody said in time.
    Failed,
}

#[derive(Debug, Default)]
struct Slot {
    found: OnceCell<Found>,
    until: Cell<Option<Instant>>,
}

impl Slot {
    fn is_over(&self, now: Instant) -> bool {
        self.until.get().is_some_and(|until| until <= now)
    }
}

/// The look-ups of a session.
#[derive(Debug)]
pub(crate) struct Lookups {
    hosts: Hosts,
    pub(crate) upstream: Upstream,
    slots: RefCell<HashMap<Name, Rc<Slot>>>,
}

impl Lookups {
    pub(crate) fn new(hosts: Hosts, upstream: Upstream) -> Self {
        Self { hosts, upstream, slots: RefCell::default() }
    }

    /// The addresses of a name. Whoever asks must have held the name against the rules.
    pub(crate) async fn find(&self, name: &Name) -> Found {
        if let Some(addresses) = self.hosts.get(name) {
            return Found::Addresses(addresses.into());
        }
        let slot = self.slot(name);
        slot.found
            .get_or_init(|| async {
                let (found, lasts) = self.resolve(name).await;
                slot.until.set(Some(Instant::now() + lasts));
                found
            })
            .await
            .clone()
    }

    fn slot(&self, name: &Name) -> Rc<Slot> {
        let now = Instant::now();
        let mut slots = self.slots.borrow_mut();
        if let Some(slot) = slots.get(name).filter(|slot| !slot.is_over(now)) {
            return Rc::clone(slot);
        }
        if slots.len() >= REMEMBERED {
            slots.retain(|_, slot| !slot.is_over(now));
        }
        if slots.len() >= REMEMBERED {
            slots.retain(|_, slot| Rc::strong_count(slot) > 1);
        }
        let slot = Rc::<Slot>::default();
        slots.insert(name.clone(), Rc::clone(&slot));
        slot
    }

    async fn resolve(&self, name: &Name) -> (Found, Duration) {
        let v4 = self.upstream.ask(name, TYPE::A);
        let v6 = self.upstream.ask(name, TYPE::AAAA);
        tokio::pin!(v4, v6);
        let (first, second) = tokio::select! {
            answer = &mut v4 => {
                let first = Answer::read(answer);
                let second = if first.is_enough() { timeout(OTHER_FAMILY, v6).await.ok().flatten() } else { v6.await };
                (first, Answer::read(second))
            }
            answer = &mut v6 => {
                let first = Answer::read(answer);
                let second = if first.is_enough() { timeout(OTHER_FAMILY, v4).await.ok().flatten() } else { v4.await };
                (first, Answer::read(second))
            }
        };
        first.with(second)
    }
}

/// Reads an answer, for who wants to see whether that can be done.
pub(crate) fn read(bytes: &[u8]) {
    let _ = Answer::read(Some(bytes.to_vec()));
}

/// One family's answer.
#[derive(Debug)]
enum Answer {
    Failed,
    NoName,
    Addresses(Vec<IpAddr>, Duration),
}

impl Answer {
    fn read(bytes: Option<Vec<u8>>) -> Self {
        let Some(bytes) = bytes else { return Self::Failed };
        let Ok(packet) = Packet::parse(&bytes) else { return Self::Failed };
        if packet.rcode() == RCODE::NameError {
            return Self::NoName;
        }
        let address = |data: &RData<'_>| match data {
            RData::A(a) => Some(IpAddr::from(a.address.to_be_bytes())),
            RData::AAAA(a) => Some(IpAddr::from(a.address.to_be_bytes())),
            _ => None,
        };
        let addresses = packet.answers.iter().filter_map(|record| address(&record.rdata)).take(ADDRESSES).collect();
        let ttl = packet.answers.iter().map(|record| record.ttl).min().unwrap_or_default();
        Self::Addresses(addresses, Duration::from_secs(ttl.into()).clamp(SHORTEST, LONGEST))
    }

    fn is_enough(&self) -> bool {
        matches!(self, Self::Addresses(addresses, _) if !addresses.is_empty()) || matches!(self, Self::NoName)
    }

    fn with(self, other: Self) -> (Found, Duration) {
        match (self, other) {
            (Self::Addresses(mut a, ttl), Self::Addresses(b, other)) => {
                a.extend(b);
                Self::found(a, ttl.min(other))
            }
            (Self::Addresses(a, ttl), _) | (_, Self::Addresses(a, ttl)) if !a.is_empty() => Self::found(a, ttl),
            (Self::NoName, _) | (_, Self::NoName) => (Found::NoName, NOTHING),
            // One family has nothing and the other's answer is missing: that is no knowledge.
            _ => (Found::Failed, Duration::ZERO),
        }
    }

    fn found(addresses: Vec<IpAddr>, ttl: Duration) -> (Found, Duration) {
        if addresses.is_empty() { (Found::NoAddress, NOTHING) } else { (Found::Addresses(addresses.into()), ttl) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Answer {
        Answer::Addresses(vec![text.parse().unwrap()], LONGEST)
    }

    fn nothing() -> Answer {
        Answer::Addresses(vec![], SHORTEST)
    }

    #[test]
    fn two_families_are_one_answer() {
        let both = some("9.9.9.9").with(some("2620:fe::fe")).0;
        assert!(matches!(both, Found::Addresses(a) if a.len() == 2));
        assert!(matches!(nothing().with(some("2620:fe::fe")).0, Found::Addresses(_)));
        assert!(matches!(Answer::Failed.with(some("9.9.9.9")).0, Found::Addresses(_)));
        assert_eq!(nothing().with(nothing()).0, Found::NoAddress);
        assert_eq!(Answer::NoName.with(Answer::Failed).0, Found::NoName);
        assert_eq!(nothing().with(Answer::Failed), (Found::Failed, Duration::ZERO));
    }

    #[test]
    fn what_is_no_answer_failed() {
        assert!(matches!(Answer::read(Some(vec![1, 2, 3])), Answer::Failed));
        assert!(matches!(Answer::read(None), Answer::Failed));
    }
}
