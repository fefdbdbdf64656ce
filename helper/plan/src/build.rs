//! From what policy grants and the caller wishes to the plan.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use agent_aws_policy::Network;

use crate::environment::{self, EnvError, OURS};
use crate::generated;
use crate::intent::{Access, Caller, Intent, MountPoint, Opener, Origin, Plan, Source, SourceId, Variable, What};
use crate::tables::{self, Row};

const MIB: u64 = 1024 * 1024;

/// What policy gives, after narrowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Session id.
    pub session: String,
    /// Identity, as named.
    pub identity: String,
    /// Facts about it for people: (name, value).
    pub facts: Vec<(String, String)>,
    /// AWS profile names that mean this identity inside.
    pub aliases: Vec<String>,
    /// `full`, `read` or `read-metadata`.
    pub access: String,
    /// AWS region for clients inside.
    pub region: Option<String>,
    /// Sandbox name.
    pub sandbox: String,
    /// Its network.
    pub network: Network,
    /// Whether user namespaces are admitted.
    pub nesting: bool,
    /// Waived kernel features, by name.
    pub waived: Vec<String>,
    /// Bounds of the project and of `--rw`, absolute.
    pub rw_paths: Vec<PathBuf>,
}

/// What the caller wishes.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Project directory; empty for none.
    pub project: PathBuf,
    /// Working directory.
    pub directory: PathBuf,
    /// More writable paths.
    pub rw: Vec<PathBuf>,
    /// More readable paths.
    pub ro: Vec<PathBuf>,
    /// Variables.
    pub environment: Vec<Variable>,
    /// The command.
    pub command: Vec<Vec<u8>>,
    /// Content of the host's resolv.conf and where it really is, if that lies outside /etc.
    pub resolver: Option<(PathBuf, Vec<u8>)>,
    /// Descriptor number of the inherited door in the agent.
    pub door: i32,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// Not absolute, or with `.`, `..` or a NUL in it.
    NotPlain(&'static str, PathBuf),
    /// May never be writable or a project.
    Never(&'static str, PathBuf, &'static str),
    /// A home, or a directory that contains the caller's.
    Home(&'static str, PathBuf),
    /// Equal to, containing or inside a secret store.
    Secret(&'static str, PathBuf, PathBuf),
    /// Outside `rw-paths` of the sandbox.
    OutOfBounds(&'static str, PathBuf, String),
    /// The same path is asked for twice.
    Twice(PathBuf),
    /// A variable.
    Variable(EnvError),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |p: &PathBuf| p.display().to_string().escape_debug().to_string();
        match self {
            Self::NotPlain(what, p) => write!(f, "{what} `{}` is no absolute path without `.` and `..`", show(p)),
            Self::Never(what, p, why) => write!(f, "{what} `{}` is refused: {why}", show(p)),
            Self::Home(what, p) => {
                write!(f, "{what} `{}` is a home directory or contains one: choose a directory inside it", show(p))
            }
            Self::Secret(what, p, store) => {
                write!(f, "{what} `{}` is, contains or lies inside the secret store `{}`", show(p), show(store))
            }
            Self::OutOfBounds(what, p, bounds) => {
                write!(f, "{what} `{}` is outside what the sandbox lets you write ({bounds})", show(p))
            }
            Self::Twice(p) => write!(f, "`{}` is asked for twice", show(p)),
            Self::Variable(e) => e.fmt(f),
        }
    }
}

/// The agent's home for a caller, sandbox and identity, on the host. One identity's agent must not find what another
/// identity's agent planted, so there is one home for each.
pub fn home_of(caller: &Caller, sandbox: &str, identity: &str) -> PathBuf {
    let name = |text: &str| -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        text.chars().map(|c| if plain(c) { c.to_string() } else { format!("%{:x}", u32::from(c)) }).collect()
    };
    caller.home.join(".local/share/agent-aws/homes").join(name(sandbox)).join(name(identity))
}

/// Makes the plan, or says why there is none. Touches nothing.
pub fn plan(caller: Caller, grant: Grant, wish: &Wish) -> Result<Plan, PlanError> {
    let environment = environment::environment(&caller, &grant, wish).map_err(PlanError::Variable)?;
    let mut draft = Draft::default();
    draft.system();
    draft.private(&caller, wish);
    draft.ours(&grant);
    let home = draft.source(home_of(&caller, &grant.sandbox, &grant.identity), Opener::Caller, true);
    if let Some(source) = draft.sources.get_mut(home.0) {
        source.create = true;
    }
    draft.intent(&caller.home, What::Bind(home), Access::Write, "the agent's own home, kept", Origin::Sandbox);
    draft.wished(&caller, &grant, wish)?;
    draft.intents.sort_by_key(|i| i.path.components().count());
    let mount_points = draft.mount_points(home, &caller.home);
    Ok(Plan {
        directory: draft.directory(wish, &caller.home),
        sources: draft.sources,
        intents: draft.intents,
        mount_points,
        environment,
        command: wish.command.clone(),
        project: wish.project.clone(),
        caller,
        grant,
    })
}

#[derive(Default)]
struct Draft {
    sources: Vec<Source>,
    intents: Vec<Intent>,
}

impl Draft {
    fn source(&mut self, path: PathBuf, opener: Opener, required: bool) -> SourceId {
        let keep_link = opener == Opener::Root;
        self.sources.push(Source { path, opener, required, create: false, keep_link });
        SourceId(self.sources.len() - 1)
    }

    fn intent(&mut self, path: &Path, what: What, access: Access, reason: &'static str, origin: Origin) {
        self.intents.push(Intent { path: path.to_path_buf(), what, access, reason, origin });
    }

    fn row(&mut self, path: &str, what: What, access: Access, reason: &'static str) {
        self.intent(Path::new(path), what, access, reason, Origin::Table("private"));
    }

    /// What of the host's system is shown.
    fn system(&mut self) {
        self.row("/", What::Memory { size: MIB, mode: 0o755, owned: false }, Access::Read, "an empty root");
        for row in tables::SYSTEM.rows() {
            let id = self.source(row.path.into(), Opener::Root, false);
            self.table(&row, What::Bind(id), Access::Read, "system");
        }
        for row in tables::DEVICES.rows() {
            let id = self.source(row.path.into(), Opener::Root, true);
            self.table(&row, What::Device(id), Access::Write, "devices");
        }
        for row in tables::HIDDEN_SYSTEM.rows() {
            let id = self.source(row.path.into(), Opener::Root, false);
            self.table(&row, What::Mask(id), Access::Hidden, "hidden");
        }
        for Row { path, reason: to } in tables::DEVICE_LINKS.rows() {
            self.row(path, What::Link { to: to.into() }, Access::Read, "where programs look for it");
        }
    }

    fn table(&mut self, row: &Row, what: What, access: Access, table: &'static str) {
        self.intent(Path::new(row.path), what, access, row.reason, Origin::Table(table));
    }

    /// What is the sandbox's own and ends with it.
    fn private(&mut self, caller: &Caller, wish: &Wish) {
        let memory = |size, mode| What::Memory { size, mode, owned: false };
        self.row("/dev", memory(MIB, 0o755), Access::Read, "private devices");
        self.row("/dev/pts", What::Terminals, Access::Write, "private pseudo terminals");
        self.row("/dev/shm", memory(2048 * MIB, 0o1777), Access::Write, "private shared memory");
        self.row("/proc", What::Processes, Access::Write, "the sandbox's own processes");
        self.row("/tmp", memory(8192 * MIB, 0o1777), Access::Write, "private, gone at the end");
        self.row("/var/tmp", memory(2048 * MIB, 0o1777), Access::Write, "private, gone at the end");
        self.row("/run", memory(MIB, 0o755), Access::Read, "private; no socket of the host");
        self.row("/var/run", What::Link { to: "/run".into() }, Access::Read, "where programs look for it");
        let runtime = PathBuf::from(format!("/run/user/{}", caller.uid));
        let owned = What::Memory { size: 256 * MIB, mode: 0o700, owned: true };
        self.intent(&runtime, owned, Access::Write, "private runtime directory", Origin::Table("private"));
        if let Some((path, content)) = &wish.resolver {
            let file = What::File { content: content.clone() };
            self.intent(path, file, Access::Read, "name servers", Origin::Table("private"));
        }
    }

    /// What we put inside.
    fn ours(&mut self, grant: &Grant) {
        let client = self.source("agent-aws-credentials".into(), Opener::Ours, true);
        let under = |name: &str| PathBuf::from(OURS).join(name);
        let memory = What::Memory { size: MIB, mode: 0o755, owned: false };
        self.row(OURS, memory, Access::Read, "the doors to credentials");
        let ours = || Origin::Table("ours");
        let tool = under("agent-aws-credentials");
        self.intent(&tool, What::Bind(client), Access::Read, "client for credential_process", ours());
        let init = self.source("agent-aws-init".into(), Opener::Ours, true);
        let reason = "pid 1, executed by descriptor from here so that Landlock knows it";
        self.intent(&under("agent-aws-init"), What::Bind(init), Access::Read, reason, ours());
        let config = What::File { content: generated::aws_config(grant, &tool).into_bytes() };
        self.intent(&under("config"), config, Access::Read, "AWS configuration without a key", ours());
        let facts = What::File { content: generated::session_facts(grant).into_bytes() };
        self.intent(&under("session.json"), facts, Access::Read, "what `agent-aws whoami` says inside", ours());
    }

    /// What the caller asked for, held against every bound that needs no look at the disk.
    fn wished(&mut self, caller: &Caller, grant: &Grant, wish: &Wish) -> Result<(), PlanError> {
        if !wish.project.as_os_str().is_empty() {
            check_writable("the project", &wish.project, caller, grant)?;
            self.project(&wish.project);
        }
        for path in &wish.rw {
            check_writable("--rw", path, caller, grant)?;
            let id = self.source(path.clone(), Opener::Caller, true);
            self.once(path)?;
            self.intent(path, What::Bind(id), Access::Write, "asked for", Origin::Caller("--rw"));
        }
        for path in &wish.ro {
            check_readable("--ro", path, caller)?;
            let id = self.source(path.clone(), Opener::Caller, true);
            self.once(path)?;
            self.intent(path, What::Bind(id), Access::Read, "asked for", Origin::Caller("--ro"));
        }
        Ok(())
    }

    fn once(&self, path: &Path) -> Result<(), PlanError> {
        match self.intents.iter().any(|i| i.path == path) {
            true => Err(PlanError::Twice(path.into())),
            false => Ok(()),
        }
    }

    /// The project, and read-only within it what other programs execute or trust. Each directory on the way to such
    /// a row is bound onto itself, so that renaming it away is EBUSY.
    fn project(&mut self, project: &Path) {
        let id = self.source(project.into(), Opener::Caller, true);
        self.intent(project, What::Bind(id), Access::Write, "the project", Origin::Project);
        let mut pinned: Vec<PathBuf> = Vec::new();
        for row in tables::PROJECT_TRUSTED.rows() {
            let mut way: Vec<&Path> = Path::new(row.path).ancestors().skip(1).collect();
            way.retain(|p| !p.as_os_str().is_empty());
            for ancestor in way.into_iter().rev() {
                let path = project.join(ancestor);
                if !pinned.contains(&path) {
                    let id = self.optional(&path);
                    let reason = "pinned, so that it cannot be renamed away";
                    self.intent(&path, What::Bind(id), Access::Write, reason, Origin::Table("project"));
                    pinned.push(path);
                }
            }
            let path = project.join(row.path);
            let id = self.optional(&path);
            self.intent(&path, What::Bind(id), Access::Read, row.reason, Origin::Table("project"));
        }
    }

    fn optional(&mut self, path: &Path) -> SourceId {
        let id = self.source(path.into(), Opener::Caller, false);
        if let Some(source) = self.sources.get_mut(id.0) {
            source.keep_link = true;
        }
        id
    }

    /// What is mounted below the agent's home needs something to be mounted on there.
    fn mount_points(&self, home: SourceId, at: &Path) -> Vec<MountPoint> {
        let covered = |path: &Path| {
            let cover = self.intents.iter().filter(|i| path != i.path && path.starts_with(&i.path));
            cover.max_by_key(|i| i.path.components().count()).is_some_and(|i| i.path == at)
        };
        let below = |i: &Intent| match (&i.what, i.path.strip_prefix(at)) {
            (What::Bind(source), Ok(below)) if !below.as_os_str().is_empty() && covered(&i.path) => {
                Some(MountPoint { home, below: below.into(), source: *source })
            }
            _ => None,
        };
        self.intents.iter().filter_map(below).collect()
    }

    /// The caller's working directory where the sandbox shows it, else the project, else the agent's home.
    fn directory(&self, wish: &Wish, home: &Path) -> PathBuf {
        let shown = |i: &Intent| {
            let host = matches!(i.origin, Origin::Project | Origin::Caller(_) | Origin::Table("system"));
            host && matches!(i.what, What::Bind(_)) && wish.directory.starts_with(&i.path)
        };
        match self.intents.iter().any(shown) {
            true => wish.directory.clone(),
            false if wish.project.as_os_str().is_empty() => home.into(),
            false => wish.project.clone(),
        }
    }
}

fn plain(what: &'static str, path: &Path) -> Result<(), PlanError> {
    use std::os::unix::ffi::OsStrExt;
    let parts = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    let bytes = path.as_os_str().as_bytes();
    if !path.is_absolute() || !parts || bytes.contains(&0) || bytes.len() > 4000 {
        return Err(PlanError::NotPlain(what, path.into()));
    }
    Ok(())
}

/// Everything about a writable path that can be said without looking at it. It is applied to the path as asked and,
/// by whoever opened it, to the path that the kernel says it is.
pub(crate) fn check_writable(what: &'static str, path: &Path, caller: &Caller, g: &Grant) -> Result<(), PlanError> {
    plain(what, path)?;
    let itself = tables::NEVER_WRITABLE.find(path.as_os_str().as_encoded_bytes());
    let around = || tables::NEVER_INSIDE.rows().find(|row| path.starts_with(row.path));
    if let Some(row) = itself.or_else(around) {
        return Err(PlanError::Never(what, path.into(), row.reason));
    }
    check_secret(what, path, caller)?;
    if !g.rw_paths.iter().any(|bound| path.starts_with(bound)) {
        let bounds: Vec<String> = g.rw_paths.iter().map(|p| p.display().to_string()).collect();
        return Err(PlanError::OutOfBounds(what, path.into(), bounds.join(", ")));
    }
    Ok(())
}

/// As [`check_writable`], for a path that is only shown.
pub(crate) fn check_readable(what: &'static str, path: &Path, caller: &Caller) -> Result<(), PlanError> {
    plain(what, path)?;
    let replaced = ["/", "/sys", "/tmp", "/var"];
    let inside = ["/proc", "/dev", "/run", "/etc/agent-aws", "/var/log/agent-aws"];
    if replaced.iter().any(|p| path == Path::new(p)) || inside.iter().any(|p| path.starts_with(p)) {
        return Err(PlanError::Never(what, path.into(), "the sandbox has its own, or hides it"));
    }
    check_secret(what, path, caller)
}

fn check_secret(what: &'static str, path: &Path, caller: &Caller) -> Result<(), PlanError> {
    if caller.home.starts_with(path) {
        return Err(PlanError::Home(what, path.into()));
    }
    for row in tables::SECRET_STORES.rows() {
        let store = caller.home.join(row.path);
        if store.starts_with(path) || path.starts_with(&store) {
            return Err(PlanError::Secret(what, path.into(), store));
        }
    }
    Ok(())
}

impl Plan {
    /// Holds what the kernel says a source is (`real`) against the same bounds as the path that was asked for: a
    /// symbolic link must not lead out of them.
    pub fn check_real(&self, id: SourceId, real: &Path) -> Result<(), PlanError> {
        let here = |i: &&Intent| matches!(i.what, What::Bind(s) if s == id);
        match self.intents.iter().find(here).map(|i| (&i.origin, i.access)) {
            Some((Origin::Project, _)) => check_writable("the project", real, &self.caller, &self.grant),
            Some((Origin::Caller(option), Access::Write)) => check_writable(option, real, &self.caller, &self.grant),
            Some((Origin::Caller(option), _)) => check_readable(option, real, &self.caller),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
