//! What was refused, told to the supervisor: each name once, then how often.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use agent_aws_protocol::gateway::GatewayToHelper;

/// After this long a name that is refused again is told again.
pub(crate) const PERIOD: Duration = Duration::from_secs(60);
/// Names told within one period. An agent that tries thousands must not fill a terminal or an audit trail.
const TOLD: usize = 64;
/// Names remembered.
const REMEMBERED: usize = 512;
/// In place of the name for those beyond.
const OTHERS: &str = "(other names)";

/// Sends a message if that can be done at once.
type Tell = Box<dyn Fn(&GatewayToHelper) -> bool>;

/// The refusals of a session.
pub(crate) struct Blocked {
    tell: Tell,
    book: RefCell<Book>,
}

#[derive(Default)]
struct Book {
    entries: HashMap<(String, u16), Entry>,
    told: usize,
}

struct Entry {
    why: String,
    /// Since it was told.
    count: u32,
    told: Option<Instant>,
}

impl fmt::Debug for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocked")
    }
}

impl Blocked {
    pub(crate) fn new(tell: impl Fn(&GatewayToHelper) -> bool + 'static) -> Self {
        Self { tell: Box::new(tell), book: RefCell::default() }
    }

    /// `name` at `port` (0: the question for it) was refused.
    pub(crate) fn report(&self, name: &str, port: u16, why: &str) {
        self.report_at(name, port, why, Instant::now());
    }

    fn report_at(&self, name: &str, port: u16, why: &str, now: Instant) {
        let mut book = self.book.borrow_mut();
        let mut key = (name.to_owned(), port);
        let mut why = why;
        let is_new = !book.entries.contains_key(&key);
        if is_new && (book.told >= TOLD || book.entries.len() >= REMEMBERED) {
            key = (OTHERS.to_owned(), 0);
            why = "too many names were refused to tell each";
        }
        let entry =
            book.entries.entry(key.clone()).or_insert_with(|| Entry { why: String::new(), count: 0, told: None });
        why.clone_into(&mut entry.why);
        entry.count = entry.count.saturating_add(1);
        if entry.told.is_none_or(|told| now.saturating_duration_since(told) >= PERIOD) && self.say(&key, entry, now) {
            book.told += 1;
        }
    }

    /// Tells what has been counted since; to be called once in a period.
    pub(crate) fn settle(&self) {
        self.settle_at(Instant::now());
    }

    fn settle_at(&self, now: Instant) {
        let mut book = self.book.borrow_mut();
        book.told = 0;
        book.entries.retain(|key, entry| {
            let counted = entry.count > 0;
            if counted {
                self.say(key, entry, now);
            }
            counted
        });
    }

    fn say(&self, (name, port): &(String, u16), entry: &mut Entry, now: Instant) -> bool {
        let (name, port, why, count) = (name.clone(), *port, entry.why.clone(), entry.count);
        let said = (self.tell)(&GatewayToHelper::Blocked { name, port, why, count });
        if said {
            entry.count = 0;
            entry.told = Some(now);
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    type Heard = Rc<RefCell<Vec<(String, u16, u32)>>>;

    fn listening() -> (Blocked, Heard) {
        let heard = Heard::default();
        let ear = Rc::clone(&heard);
        let blocked = Blocked::new(move |message| {
            if let GatewayToHelper::Blocked { name, port, count, .. } = message {
                ear.borrow_mut().push((name.clone(), *port, *count));
            }
            true
        });
        (blocked, heard)
    }

    #[test]
    fn a_name_is_told_once_and_then_counted() {
        let (blocked, heard) = listening();
        let start = Instant::now();
        for _ in 0..5 {
            blocked.report_at("a.test", 443, "no", start);
        }
        blocked.report_at("a.test", 80, "no", start);
        assert_eq!(*heard.borrow(), [("a.test".into(), 443, 1), ("a.test".into(), 80, 1)]);
        heard.borrow_mut().clear();
        blocked.report_at("a.test", 443, "no", start + PERIOD);
        assert_eq!(*heard.borrow(), [("a.test".into(), 443, 5)]);
    }

    #[test]
    fn what_was_only_counted_is_told_in_the_end_and_then_forgotten() {
        let (blocked, heard) = listening();
        let start = Instant::now();
        blocked.report_at("a.test", 0, "no", start);
        blocked.report_at("a.test", 0, "no", start);
        blocked.settle_at(start + PERIOD);
        assert_eq!(heard.borrow().last(), Some(&("a.test".into(), 0, 1)));
        blocked.settle_at(start + PERIOD * 2);
        assert!(blocked.book.borrow().entries.is_empty());
    }

    #[test]
    fn thousands_of_names_are_a_few_messages_and_a_bounded_memory() {
        let (blocked, heard) = listening();
        let start = Instant::now();
        for n in 0..5000 {
            blocked.report_at(&format!("n{n}.test"), 0, "no", start);
        }
        assert_eq!(heard.borrow().len(), TOLD + 1);
        blocked.settle_at(start + PERIOD);
        let others = heard.borrow().iter().filter(|(name, ..)| name == OTHERS).map(|(_, _, n)| n).sum::<u32>();
        assert_eq!(usize::try_from(others).unwrap(), 5000 - TOLD);
        assert!(blocked.book.borrow().entries.len() <= REMEMBERED + 1);
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let heard = Rc::new(RefCell::new(0));
        let ear = Rc::clone(&heard);
        let full = Rc::new(std::cell::Cell::new(true));
        let is_full = Rc::clone(&full);
        let blocked = Blocked::new(move |message| {
            if let (false, GatewayToHelper::Blocked { count, .. }) = (is_full.get(), message) {
                *ear.borrow_mut() += count;
            }
            !is_full.get()
        });
        blocked.report("a.test", 1, "no");
        blocked.report("a.test", 1, "no");
        full.set(false);
        blocked.settle();
        assert_eq!(*heard.borrow(), 2);
    }
}
