//! From what policy grants and the caller wishes to the plan.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use agent_aws_policy::{Home, Limits, Narrowing, Network, Reach};
use serde::{Deserialize, Serialize};

use crate::bounds::{PlanError, REPOSITORY, never_writable, plain, shown};
use crate::intent::{Access, Caller, Intent, MountPoint, Opener, Origin, Plan, Source, SourceId, Text, What, around};
use crate::tables::{self, Row};

/// Where the sandbox keeps what is ours.
pub const OURS: &str = "/run/agent-aws";
/// Pid 1.
const INIT: &str = "agent-aws-init";
/// What the client is called where it asks at the door of the model's identity.
pub const MODEL_CLIENT: &str = "agent-aws-model-credentials";
const MIB: u64 = 1024 * 1024;
/// Files of the host's /etc that the sandbox may have others of: how names are looked up.
const OF_ETC: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

/// What policy gives, after narrowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Session id.
    pub session: String,
    /// Identity, as named.
    pub identity: String,
    /// Facts about it for people: (name, value).
    pub facts: Vec<(String, String)>,
    /// AWS profile names that mean this identity inside.
    pub aliases: Vec<String>,
    /// Role to assume, if policy says which.
    pub role: Option<String>,
    /// What a session shall lose of it.
    pub narrowing: Narrowing,
    /// The identity that its model is asked with, if it is another one.
    pub model: Option<Model>,
    /// AWS region for clients inside.
    pub region: Option<String>,
    /// Sandbox name.
    pub sandbox: String,
    /// Its network.
    pub network: Network,
    /// What that reaches, presets spelt out.
    pub reach: Reach,
    /// What the caller narrowed the names to; empty: not at all.
    pub narrow: Vec<String>,
    /// Ports of the agent's loopback that are offered on the host's.
    pub publish: Vec<u16>,
    /// What it has as home.
    pub home: Home,
    /// Whether homes may be shared between identities.
    pub share_homes: bool,
    /// Whether user namespaces are admitted.
    pub nesting: bool,
    /// Whether the agent may trace its own processes.
    pub debug: bool,
    /// What it may use up.
    pub limits: Limits,
    /// Rows of the project that the caller may ask to be writable.
    pub may_lift: Vec<String>,
    /// What of the host is not there, absolute.
    pub hide: Vec<PathBuf>,
    /// Waived kernel features, by name.
    pub waived: Vec<String>,
    /// Bounds of the project and of `--rw`, absolute.
    pub rw_paths: Vec<PathBuf>,
}

/// The second identity of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// As named.
    pub identity: String,
    /// Role to assume, if policy says which.
    pub role: Option<String>,
    /// What is left of it: asking models, and less.
    pub narrowing: Narrowing,
    /// Where the model is.
    pub region: Option<String>,
}

/// What the caller wishes.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Project directory; empty for none.
    pub project: PathBuf,
    /// More writable paths.
    pub rw: Vec<PathBuf>,
    /// More readable paths, and who asked: [`Origin::Caller`], or [`Origin::Tool`] for what need not be there.
    pub ro: Vec<(PathBuf, Origin)>,
    /// The git directory that a worktree shares with its repository; empty for none.
    pub repository: PathBuf,
    /// Rows of the project that shall be writable.
    pub lift: Vec<String>,
    /// Name of the agent's home.
    pub home: Option<String>,
    /// The command.
    pub command: Vec<Vec<u8>>,
}

/// The agent's home for a caller, sandbox and identity, on the host. One identity's agent must not find what another
/// identity's agent planted, so there is one for each, unless policy lets them be shared.
pub fn home_of(caller: &Caller, grant: &Grant, name: Option<&str>) -> Result<PathBuf, PlanError> {
    let written = |text: &str| -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        text.chars().map(|c| if plain(c) { c.to_string() } else { format!("%{:x}", u32::from(c)) }).collect()
    };
    let name = name.unwrap_or("default");
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(good) {
        let what = format!("--home {}: 1 to 64 letters, digits, `.`, `_`, `-`", name.escape_debug());
        return Err(PlanError(what));
    }
    let homes = caller.home.join(".local/share/agent-aws/homes").join(written(&grant.sandbox));
    let whose = if grant.share_homes { "@shared".into() } else { written(&grant.identity) };
    Ok(homes.join(whose).join(name))
}

/// Makes the plan, or says why there is none. Touches nothing.
pub fn plan(caller: Caller, grant: Grant, wish: &Wish) -> Result<Plan, PlanError> {
    let home = match grant.home {
        Home::Agent => home_of(&caller, &grant, wish.home.as_deref())?,
        Home::RealReadOnly | Home::Real => caller.home.clone(),
    };
    let (command, project) = (wish.command.clone(), wish.project.clone());
    let (sources, intents, mount_points) = (vec![], vec![], vec![]);
    let mut plan = Plan { grant, caller, sources, intents, home, mount_points, command, project };
    plan.system();
    plan.private();
    plan.ours();
    plan.inner_home()?;
    plan.wished(wish)?;
    plan.hidden();
    if plan.grant.home == Home::Agent {
        plan.mount_points = plan.below(&plan.caller.home);
    }
    plan.sort();
    Ok(plan)
}

impl Plan {
    /// Parents before children.
    fn sort(&mut self) {
        self.intents.sort_by_cached_key(|i| i.path.components().count());
    }

    /// Adds what the CLI made ready: files in the sandbox's own /run, or over those of the host in /etc, and what of a real home is hidden: secret stores,
    /// wherever the caller's links lead, sockets and FIFOs. Paths are bytes, as they came.
    pub fn complete(&mut self, files: Vec<(Vec<u8>, Vec<u8>)>, hide: Vec<Vec<u8>>) -> Result<(), PlanError> {
        let path = |bytes| PathBuf::from(OsString::from_vec(bytes));
        for (name, content) in files {
            let path = path(name);
            plain("a file for the agent", &path)?;
            if !path.starts_with("/run") && !OF_ETC.contains(&path.to_str().unwrap_or_default()) {
                return Err(PlanError::never("a file for the agent", &path, "it is not in /run, nor of names"));
            }
            let reason = "made for the agent, without a secret";
            self.intent(&path, What::File { content }, Access::Read, reason, Origin::Table("ours".into()));
        }
        for path in hide.into_iter().map(path) {
            plain("to be hidden", &path)?;
            let masked = self.intents.iter().any(|i| i.access == Access::Hidden && path.starts_with(&i.path));
            let Ok(below) = path.strip_prefix(&self.caller.home) else { continue };
            if self.grant.home == Home::Agent || masked {
                continue;
            }
            let row = tables::SECRET_STORES.rows().find(|row| below == Path::new(row.path));
            let reason = row.map_or("a socket, a FIFO or a secret in an unusual place", |row| row.reason);
            // Renamed away, a secret would be found by the next session, under a name that no table has.
            let writable = self.grant.home == Home::Real;
            let home = self.caller.home.clone();
            for above in path.ancestors().skip(1).take_while(|above| writable && *above != home) {
                if self.intents.iter().all(|i| i.path != above) {
                    self.pin(above, Origin::Sandbox);
                }
            }
            let id = self.optional(&path);
            self.intent(&path, What::Mask(id), Access::Hidden, reason, Origin::Sandbox);
        }
        self.sort();
        Ok(())
    }

    fn source(&mut self, path: impl Into<PathBuf>, opener: Opener, required: bool, keep_link: bool) -> SourceId {
        self.sources.push(Source { path: path.into(), opener, required, keep_link });
        SourceId(self.sources.len() - 1)
    }

    /// Something of the caller's, as the link that it may be, if it is there.
    fn optional(&mut self, path: &Path) -> SourceId {
        self.source(path, Opener::Caller, false, true)
    }

    fn intent(&mut self, path: &Path, what: What, access: Access, reason: impl Into<Text>, origin: Origin) {
        self.intents.push(Intent { path: path.to_path_buf(), what, access, reason: reason.into(), origin });
    }

    /// A directory bound onto itself.
    fn pin(&mut self, path: &Path, origin: Origin) {
        let id = self.optional(path);
        self.intent(path, What::Bind(id), Access::Write, "pinned, so that it cannot be renamed away", origin);
    }

    fn row(&mut self, path: &str, what: What, access: Access, reason: &'static str) {
        self.intent(Path::new(path), what, access, reason, Origin::Table("private".into()));
    }

    /// What stands at the caller's home path.
    fn inner_home(&mut self) -> Result<(), PlanError> {
        let (access, reason) = match self.grant.home {
            Home::Agent => (Access::Write, "the agent's own home, kept"),
            Home::RealReadOnly => (Access::Read, "your home, without its secret stores"),
            Home::Real => (Access::Write, "your home, without its secret stores"),
        };
        let home = self.caller.home.clone();
        if let Some(why) = never_writable(&home).filter(|_| self.grant.home != Home::Agent) {
            return Err(PlanError::never("your home as the agent's", &home, why));
        }
        let id = self.source(self.home.clone(), Opener::Caller, true, false);
        self.intent(&home, What::Bind(id), access, reason, Origin::Sandbox);
        Ok(())
    }

    /// What policy hides, where a tree of the host shows it.
    fn hidden(&mut self) {
        for path in self.grant.hide.clone() {
            let cover = self.intents.iter().filter(|i| path.starts_with(&i.path));
            let cover = cover.max_by_key(|i| i.path.components().count()).map(|i| &i.what);
            let source = match cover {
                Some(What::Bind(id)) => self.sources.get(id.0),
                _ => None,
            };
            if let Some(opener) = source.filter(|s| path.starts_with(&s.path)).map(|s| s.opener) {
                let id = self.source(&path, opener, false, opener == Opener::Root);
                self.intent(&path, What::Mask(id), Access::Hidden, "policy hides it", Origin::Sandbox);
            }
        }
    }

    /// What of the host's system is shown.
    fn system(&mut self) {
        self.row("/", What::Memory { size: MIB, mode: 0o755, owned: false }, Access::Read, "an empty root");
        for row in tables::SYSTEM.rows() {
            let id = self.source(row.path, Opener::Root, false, true);
            self.table(&row, What::Bind(id), Access::Read, "system");
        }
        for row in tables::DEVICES.rows() {
            let id = self.source(row.path, Opener::Root, true, true);
            self.table(&row, What::Device(id), Access::Write, "devices");
        }
        for row in tables::HIDDEN_SYSTEM.rows() {
            let id = self.source(row.path, Opener::Root, false, true);
            self.table(&row, What::Mask(id), Access::Hidden, "hidden");
        }
        for Row { path, reason: to } in tables::DEVICE_LINKS.rows() {
            self.row(path, What::Link { to: to.into() }, Access::Read, "where programs look for it");
        }
    }

    fn table(&mut self, row: &Row, what: What, access: Access, table: &'static str) {
        self.intent(Path::new(row.path), what, access, row.reason, Origin::Table(table.into()));
    }

    /// What is the sandbox's own and ends with it.
    fn private(&mut self) {
        let memory = |size, mode| What::Memory { size, mode, owned: false };
        self.row("/dev", memory(MIB, 0o755), Access::Read, "private devices");
        self.row("/dev/mqueue", What::Queues, Access::Write, "private message queues");
        self.row("/dev/pts", What::Terminals, Access::Write, "private pseudo terminals");
        self.row("/dev/shm", memory(2048 * MIB, 0o1777), Access::Write, "private shared memory");
        self.row("/proc", What::Processes, Access::Write, "the sandbox's own processes");
        self.row("/tmp", memory(8192 * MIB, 0o1777), Access::Write, "private, gone at the end");
        self.row("/var/tmp", memory(2048 * MIB, 0o1777), Access::Write, "private, gone at the end");
        self.row("/run", memory(MIB, 0o755), Access::Read, "private; no socket of the host");
        self.row("/var/run", What::Link { to: "/run".into() }, Access::Read, "where programs look for it");
        let runtime = PathBuf::from(format!("/run/user/{}", self.caller.uid));
        let owned = What::Memory { size: 256 * MIB, mode: 0o700, owned: true };
        self.intent(&runtime, owned, Access::Write, "private runtime directory", Origin::Table("private".into()));
    }

    /// What we put inside.
    fn ours(&mut self) {
        let memory = What::Memory { size: MIB, mode: 0o755, owned: false };
        self.row(OURS, memory, Access::Read, "the doors to credentials");
        let client = "agent-aws-credentials";
        let model = self.grant.model.as_ref().map(|_| (MODEL_CLIENT, client, "the same, for the model's identity"));
        let rows = [
            (client, client, "client for credential_process"),
            (INIT, INIT, "pid 1, executed by descriptor from here so that Landlock knows it"),
        ];
        for (name, program, reason) in rows.into_iter().chain(model) {
            let id = self.source(program, Opener::Ours, true, false);
            let path = Path::new(OURS).join(name);
            self.intent(&path, What::Bind(id), Access::Read, reason, Origin::Table("ours".into()));
        }
    }

    /// What the caller asked for, held against every bound that needs no look at the disk.
    fn wished(&mut self, wish: &Wish) -> Result<(), PlanError> {
        for row in &wish.lift {
            let why = if tables::PROJECT_TRUSTED.rows().all(|known| known.path != row) {
                "no protected row has this name (--explain lists them)"
            } else if !self.grant.may_lift.iter().any(|m| m == "*" || m == row) {
                "policy does not let you (`may-lift` of the sandbox)"
            } else {
                continue;
            };
            return Err(PlanError(format!("--lift {}: {why}", row.escape_debug())));
        }
        if !wish.project.as_os_str().is_empty() {
            self.check_writable("the project", &wish.project)?;
            self.project(&wish.project, "", Origin::Project, &wish.lift);
        }
        if !wish.repository.as_os_str().is_empty() {
            self.check_writable(REPOSITORY, &wish.repository)?;
            self.project(&wish.repository, ".git", Origin::Repository, &wish.lift);
        }
        for path in &wish.rw {
            self.check_writable("--rw", path)?;
            self.once(path)?;
            self.project(path, "", Origin::Caller("--rw".into()), &wish.lift);
        }
        for (path, origin) in &wish.ro {
            let (what, optional) = match origin {
                Origin::Tool(_) if self.grant.home != Home::Agent => continue,
                Origin::Tool(what) => (what.as_ref(), true),
                _ => ("--ro", false),
            };
            let may = self.check_readable(what, path).and_then(|()| self.once(path));
            if optional && may.is_err() {
                continue;
            }
            may?;
            let id = self.source(path, Opener::Caller, !optional, false);
            self.intent(path, What::Bind(id), Access::Read, "asked for", origin.clone());
        }
        Ok(())
    }

    fn once(&self, path: &Path) -> Result<(), PlanError> {
        match self.intents.iter().any(|i| i.path == path) {
            true => Err(PlanError(format!("`{}` is asked for twice", shown(path)))),
            false => Ok(()),
        }
    }

    /// A writable tree, and read-only within it what other programs execute or trust. Each directory on the way to such
    /// a row is bound onto itself, so that renaming it away is EBUSY. `top` is where in a project the tree belongs.
    fn project(&mut self, tree: &Path, top: &str, origin: Origin, lift: &[String]) {
        let id = self.source(tree, Opener::Caller, true, false);
        let reason = if matches!(origin, Origin::Caller(_)) { "asked for" } else { "the project" };
        self.intent(tree, What::Bind(id), Access::Write, reason, origin);
        let table = || Origin::Table("project".into());
        let mut pinned: Vec<PathBuf> = Vec::new();
        for row in tables::PROJECT_TRUSTED.rows().filter(|row| lift.iter().all(|l| l != row.path)) {
            let Ok(below) = Path::new(row.path).strip_prefix(top) else { continue };
            let mut way: Vec<&Path> = below.ancestors().skip(1).collect();
            way.retain(|p| !p.as_os_str().is_empty());
            for ancestor in way.into_iter().rev() {
                let path = tree.join(ancestor);
                if !pinned.iter().any(|p| p.as_os_str() == path.as_os_str()) {
                    self.pin(&path, table());
                    pinned.push(path);
                }
            }
            let path = tree.join(below);
            let id = self.optional(&path);
            self.intent(&path, What::Bind(id), Access::Read, row.reason, table());
        }
    }

    /// What is mounted below the agent's home needs something to be mounted on there.
    fn below(&self, at: &Path) -> Vec<MountPoint> {
        let covered = |path: &Path| around(self.intents.iter(), path).is_some_and(|i| i.path == at);
        let below = |i: &Intent| match (&i.what, i.path.strip_prefix(at)) {
            (What::Bind(source), Ok(below)) if !below.as_os_str().is_empty() && covered(&i.path) => {
                Some(MountPoint { below: below.into(), source: self.sources.get(source.0)?.path.clone() })
            }
            _ => None,
        };
        self.intents.iter().filter_map(below).collect()
    }
}

#[cfg(test)]
mod tests;
