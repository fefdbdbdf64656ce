//! Who the caller is, by the user database.
//!
//! The database may be a module that talks to the network, so it is asked in a child without privilege and under a
//! deadline: no foreign code runs as root.

use std::ffi::CString;
use std::path::PathBuf;
use std::time::Duration;

use agent_aws_plan::Caller;
use agent_aws_policy::{Group, Subject};
use agent_aws_protocol::{Channel, FailureCode, Refusal};
use agent_aws_sandbox::{Ids, become_permanently};
use nix::unistd::{Gid, Uid, User, getgrouplist};
use serde::{Deserialize, Serialize};

use crate::child::Child;
use crate::entry::Entered;
use crate::refusal::{advise, installation};

/// How long the user database may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// The unprivileged id of what has nothing ("nobody").
pub(crate) const NOBODY: u32 = 65534;
/// The most supplementary groups that are looked up by name.
const MOST_GROUPS: usize = 1024;

/// The user under which brokers of system sources run.
pub(crate) const BROKER_USER: &str = "_agent-aws";

/// The user under which gateways run.
pub(crate) const GATEWAY_USER: &str = "_agent-aws-net";

/// The caller, as policy and plan see them: what the database says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Person {
    /// For policy.
    pub(crate) subject: Subject,
    /// For the plan.
    pub(crate) caller: Caller,
    /// Uid and gid of [`BROKER_USER`], if there is one.
    pub(crate) broker: Option<(u32, u32)>,
    /// Uid and gid of [`GATEWAY_USER`], if there is one.
    pub(crate) gateway: Option<(u32, u32)>,
}

/// A question to the database that has been asked. It answers while we do something else.
pub(crate) struct Asked {
    child: Result<Child, Refusal>,
    uid: u32,
    gid: u32,
}

/// Asks the database about the caller.
pub(crate) fn resolve(entered: &Entered) -> Asked {
    let (uid, gid) = (entered.caller.uid, entered.caller.gid);
    let groups = match &entered.caller.groups {
        Some(groups) => groups.clone(),
        None => rustix::process::getgroups().unwrap_or_default().iter().map(|g| g.as_raw()).collect(),
    };
    let privileged = entered.mode.is_privileged();
    let child = Child::start("starting a process", None, DEADLINE, |socket| {
        if privileged {
            let nobody = Ids { uid: NOBODY, gid: NOBODY, groups: Some(vec![]) };
            if become_permanently(&nobody).is_err() {
                return 1;
            }
        }
        i32::from(Channel::new(socket, DEADLINE).send(&ask(uid, gid, &groups)).is_err())
    });
    Asked { child, uid, gid }
}

impl Asked {
    /// Waits for the answer. Dropping this waits for the end of whoever gave it.
    pub(crate) fn answer(&self) -> Result<Person, Refusal> {
        let answer = self.child.as_ref().map_err(Clone::clone)?.channel.receive::<Person>(Some(DEADLINE));
        let answer = answer.map_err(|e| installation(format!("the user database: {e}"), "ask your administrator"))?;
        let Person { mut subject, mut caller, broker, gateway } = answer.message;
        // Whoever read the database does not say who the caller is.
        (subject.uid, caller.uid, caller.gid) = (self.uid, self.uid, self.gid);
        if subject.login.is_none() || !caller.home.is_absolute() || caller.home.parent().is_none() {
            let text = format!("uid {} has no entry in the user database, or no home directory", self.uid);
            return Err(advise(FailureCode::BadRequest, text, "ask your administrator for one"));
        }
        Ok(Person { subject, caller, broker, gateway })
    }
}

/// In the child.
fn ask(uid: u32, gid: u32, groups: &[u32]) -> Person {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let name = |g: u32| nix::unistd::Group::from_gid(Gid::from_raw(g)).ok().flatten().map(|g| g.name);
    let named = |list: Vec<u32>| list.into_iter().take(MOST_GROUPS).map(|gid| Group { gid, name: name(gid) }).collect();
    let mut process: Vec<u32> = groups.to_vec();
    process.push(gid);
    process.sort_unstable();
    process.dedup();
    let database = user.as_ref().and_then(|u| {
        let login = CString::new(u.name.as_str()).ok()?;
        let list = getgrouplist(&login, u.gid).ok()?;
        Some(list.into_iter().map(Gid::as_raw).collect::<Vec<u32>>())
    });
    let ours = |name| User::from_name(name).ok().flatten().map(|u| (u.uid.as_raw(), u.gid.as_raw()));
    // A path that is no text is as good as none: the plan is told as text.
    let path = |path: PathBuf| path.to_str().map(PathBuf::from).unwrap_or_default();
    let (home, shell) = user.clone().map(|u| (path(u.dir), path(u.shell))).unwrap_or_default();
    let login = user.map(|u| u.name);
    let (process_groups, database_groups) = (named(process), named(database.unwrap_or_default()));
    Person {
        caller: Caller { uid, gid, login: login.clone().unwrap_or_default(), home, shell },
        subject: Subject { uid, login, process_groups, database_groups },
        broker: ours(BROKER_USER),
        gateway: ours(GATEWAY_USER),
    }
}
