//! Rows of a project that other programs execute or trust. The helper makes those read-only that are there when a session
//! begins. Those that are not there, or are links, are the caller's to look at: they are remembered before the agent
//! begins, and what became of them is said at the end, and by `sessions` meanwhile.

mod look;
mod report;
mod repositories;
mod snapshot;
mod state;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use agent_aws_protocol::{Bytes, RunRequest};
use rustix::time::{ClockId, clock_gettime};

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
    state: Option<State>,
}

impl Watch {
    /// Looks at the rows of all places, before the agent can write to any.
    pub(crate) fn begin(places: Places) -> Option<Self> {
        let project = places.first()?.0.clone();
        // The clock of the files: that of the kernel's last tick.
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let since = (now.tv_sec, u32::try_from(now.tv_nsec).unwrap_or(0));
        Some(Self { project, before: Snapshot::take(&places, since), state: None })
    }

    /// Lets `sessions` know, as long as the session runs.
    pub(crate) fn keep(&mut self, session: &str) {
        self.state = State::write(session, &self.before);
    }

    /// Says what is not as it was.
    pub(crate) fn end(self) {
        report::say(&self.before.differences(), &self.project);
    }
}

/// What of a running session of the caller's is not as it was; nothing where that is not known.
pub(crate) fn so_far(session: &str) -> Option<Vec<Change>> {
    state::read(session).map(|before| before.differences())
}
