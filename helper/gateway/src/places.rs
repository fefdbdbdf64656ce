//! How many connections there may be: two descriptors each, and some are kept for everything else.

use std::cell::Cell;
use std::rc::Rc;

/// For listeners, channels, questions to name servers, and one refused connection at a time.
const KEPT: u64 = 640;
/// More would be memory of the kernel's that nobody uses.
const MOST: usize = 16_384;

/// What is left.
#[derive(Debug)]
pub(crate) struct Places {
    left: Cell<usize>,
}

/// One connection's. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Rc<Places>);

impl Places {
    /// As many as the limit of open files allows.
    pub(crate) fn new() -> Rc<Self> {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let pairs = files.saturating_sub(KEPT.min(files / 4)) / 2;
        Rc::new(Self { left: Cell::new(usize::try_from(pairs).unwrap_or(MOST).min(MOST)) })
    }

    /// One, if there is one.
    pub(crate) fn take(self: &Rc<Self>) -> Option<Rc<Place>> {
        self.left.set(self.left.get().checked_sub(1)?);
        Some(Rc::new(Place(Rc::clone(self))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.left.set(self.0.left.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_with_its_last_holder() {
        let places = Rc::new(Places { left: Cell::new(1) });
        let place = places.take().unwrap();
        let holder = Rc::clone(&place);
        assert!(places.take().is_none());
        drop(place);
        assert!(places.take().is_none());
        drop(holder);
        assert!(places.take().is_some());
    }
}
