//! What is served now: the session, or the reason why there is none.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::answer::Answer;
use crate::clock::{Now, rfc3339};
use crate::schedule::Window;

/// How long a client waits for a mint that is under way. The shortest client timeout is one second (JS v3).
const WAIT: Duration = Duration::from_millis(900);

/// Why a client gets no credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A mint is under way; ask again.
    Pending(String),
    /// The last mint failed.
    Failed(String),
    /// The identity is no longer granted.
    Revoked(String),
}

impl Refused {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Pending(text) | Self::Failed(text) | Self::Revoked(text) => text,
        }
    }
}

#[derive(Debug)]
struct Held {
    answer: Arc<Answer>,
    window: Window,
}

#[derive(Debug)]
struct Trouble {
    cause: String,
    since: u64,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    trouble: Option<Trouble>,
    revoked: Option<String>,
}

/// The current session. One task writes it, every door reads it, all on one thread.
#[derive(Debug)]
pub(crate) struct Vault {
    identity: String,
    state: RefCell<State>,
    changed: Notify,
    wanted: Notify,
}

impl Vault {
    pub(crate) fn new(identity: &str) -> Self {
        Self { identity: identity.into(), state: RefCell::default(), changed: Notify::new(), wanted: Notify::new() }
    }

    /// A fresh session; trouble is over.
    pub(crate) fn put(&self, answer: Answer, window: Window) {
        let mut state = self.state.borrow_mut();
        state.held = Some(Held { answer: Arc::new(answer), window });
        state.trouble = None;
        self.changed.notify_waiters();
    }

    /// A failure. The session that is held stays until it ends.
    pub(crate) fn fail(&self, cause: &str) {
        let mut state = self.state.borrow_mut();
        let since = state.trouble.take().map(|t| t.since);
        state.trouble =
            Some(Trouble { cause: cause.into(), since: since.unwrap_or_else(|| Now::read().wall.as_secs()) });
        self.changed.notify_waiters();
    }

    /// No more sessions, and why.
    pub(crate) fn revoke(&self, why: &str) {
        self.state.borrow_mut().revoked = Some(why.into());
        self.changed.notify_waiters();
    }

    /// The window of the session that is held, over or not.
    pub(crate) fn window(&self) -> Option<Window> {
        self.state.borrow().held.as_ref().map(|h| h.window)
    }

    /// Returns when a client found the session over with no failure to show for it: the machine has slept.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// What a client gets now, without waiting.
    pub(crate) fn now(&self) -> Result<Arc<Answer>, Refused> {
        let state = self.state.borrow();
        let now = Now::read();
        match &state.held {
            Some(held) if !held.window.left(now).is_zero() => Ok(Arc::clone(&held.answer)),
            _ => Err(self.refusal(&state)),
        }
    }

    /// What a client gets, after a short wait if a mint is under way.
    pub(crate) async fn answer(&self) -> Result<Arc<Answer>, Refused> {
        let deadline = tokio::time::Instant::now() + WAIT;
        loop {
            let changed = self.changed.notified();
            match self.now() {
                Err(Refused::Pending(_)) => {}
                decided => return decided,
            }
            self.wanted.notify_one();
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return self.now();
            }
        }
    }

    fn refusal(&self, state: &State) -> Refused {
        let identity = &self.identity;
        let ended = state.held.as_ref().map(|h| rfc3339(h.window.reported()));
        if let Some(why) = &state.revoked {
            return Refused::Revoked(format!("identity '{identity}' is no longer granted: {why}"));
        }
        match (&state.trouble, ended) {
            (Some(Trouble { cause, since }), Some(ended)) => Refused::Failed(format!(
                "the session of identity '{identity}' ended at {ended} and could not be renewed since {}: {cause}",
                rfc3339(*since)
            )),
            (Some(Trouble { cause, since }), None) => {
                Refused::Failed(format!("no session of identity '{identity}' since {}: {cause}", rfc3339(*since)))
            }
            (None, _) => Refused::Pending(format!("the session of identity '{identity}' is being minted: ask again")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;

    fn vault_with(left: i64) -> Vault {
        let vault = Vault::new("incident");
        let now = Now::read();
        // A session of 100 s of which `left` remain.
        let started = Now {
            wall: now.wall + Duration::from_secs(u64::try_from(left + 1).unwrap_or(0)) - Duration::from_secs(100),
            boot: now.boot,
        };
        let window = Window::new(started, started.wall.as_secs() + 100, None).unwrap();
        let session = Credentials::new("ASIA", "s", Some("t".into()), None, "test");
        vault.put(Answer::new(&session, window.reported()).unwrap(), window);
        vault
    }

    fn text(vault: &Vault) -> String {
        vault.now().unwrap_err().text().to_owned()
    }

    #[test]
    fn a_session_is_served_until_it_ends_whatever_fails_meanwhile() {
        let vault = vault_with(50);
        vault.fail("STS is down");
        vault.revoke("removed");
        assert!(vault.now().is_ok());
    }

    #[test]
    fn after_the_end_the_cause_and_its_first_time_are_told() {
        let vault = vault_with(-1);
        vault.fail("first");
        vault.fail("second");
        let text = text(&vault);
        assert!(
            text.contains("'incident' ended at 20") && text.contains("since 20") && text.ends_with("second"),
            "{text}"
        );
    }

    #[test]
    fn a_revocation_is_the_reason_that_counts() {
        let vault = vault_with(-1);
        vault.fail("x");
        vault.revoke("the policy changed");
        assert_eq!(
            vault.now().unwrap_err(),
            Refused::Revoked("identity 'incident' is no longer granted: the policy changed".into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_waits_a_little_for_the_first_mint() {
        let vault = Vault::new("incident");
        let start = tokio::time::Instant::now();
        assert!(matches!(vault.answer().await, Err(Refused::Pending(_))));
        assert_eq!(start.elapsed(), WAIT);
    }

    #[tokio::test]
    async fn a_waiting_client_gets_the_session_as_soon_as_it_is_there() {
        let vault = Vault::new("incident");
        let later = vault_with(50);
        let window = later.window().unwrap();
        let session = Credentials::new("ASIA", "s", Some("t".into()), None, "test");
        let (got, ()) = tokio::join!(vault.answer(), async {
            tokio::task::yield_now().await;
            vault.put(Answer::new(&session, 0).unwrap(), window);
        });
        assert!(got.is_ok());
    }
}
