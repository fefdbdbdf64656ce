//! Rows of a project that other programs execute or trust. The helper makes those read-only that are there when a session
//! begins. Those that are not there, or are links, are the caller's to look at: they are remembered before the agent
//! begins, and what became of them is said at the end, and by `sessions` meanwhile.

mod guard;
mod look;
mod report;
mod repositories;
mod snapshot;
mod state;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use agent_aws_protocol::{Bytes, RunRequest};
use rustix::time::{ClockId, clock_gettime};

use crate::failure::Failure;
use crate::say;
use guard::Guard;
use snapshot::Snapshot;
use state::State;

pub(crate) use report::{json, short};
pub(crate) use snapshot::Change;

/// Where the agent of a run may write, and whether that is a git directory.
pub(crate) type Places = Vec<(PathBuf, bool)>;

/// The places of a run, the project first; none for one that does nothing.
pub(crate) fn places(request: &RunRequest) -> Places {
    let path = |bytes: &Bytes| PathBuf::from(OsString::from_vec(bytes.clone()));
    let places = [&request.project].into_iter().chain(&request.rw).map(|place| (path(place), false));
    let all = places.chain([(path(&request.repository), true)]);
    all.filter(|(path, _)| !path.as_os_str().is_empty() && !request.explain).collect()
}

/// The rows of one run, from before its agent begins until it has ended.
#[derive(Debug)]
pub(crate) struct Watch {
    project: PathBuf,
    before: Snapshot,
    guard: Option<Guard>,
    state: Option<State>,
}

impl Watch {
    /// Looks at the rows of all places, before the agent can write to any.
    pub(crate) fn begin(places: Places) -> Option<Self> {
        let project = places.first()?.0.clone();
        // The clock of the files: that of the kernel's last tick.
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let since = (now.tv_sec, u32::try_from(now.tv_nsec).unwrap_or(0));
        Some(Self { project, before: Snapshot::take(&places, since), guard: Guard::begin(&places), state: None })
    }

    /// Lets `sessions` know, as long as the session runs.
    pub(crate) fn keep(&mut self, session: &str) {
        self.state = State::write(session, &self.before);
    }

    /// Whether there is a row that cannot wait for the end.
    pub(crate) fn is_urgent(&self) -> bool {
        self.guard.is_some()
    }

    /// Why the session cannot go on, if it cannot.
    pub(crate) fn led_away(&self) -> Option<Failure> {
        let path = say::escaped_bytes(self.guard.as_ref()?.changed()?.as_os_str().as_bytes());
        let text = format!("the session was ended: the agent made or changed {path}, which leads git elsewhere");
        Some(Failure::Other(text, Some("git would have executed what lies there, at its next command".into())))
    }

    /// Says what is not as it was, and puts back what cannot stay.
    pub(crate) fn end(self) {
        report::say(&self.before.differences(), &self.project);
        for path in self.guard.iter().flat_map(Guard::put_back) {
            say::line(&format!("{} is as it was again", say::escaped_bytes(path.as_os_str().as_bytes())));
        }
    }
}

/// What of a running session of the caller's is not as it was; nothing where that is not known.
pub(crate) fn so_far(session: &str) -> Option<Vec<Change>> {
    state::read(session).map(|before| before.differences())
}
