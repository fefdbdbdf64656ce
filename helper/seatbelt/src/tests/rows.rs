//! What a profile must decide: rows that are made of the tables which profiles are made of, and rows by hand.

use agent_aws_plan::tables::{
    DEVICES as PLAN_DEVICES, HIDDEN_SYSTEM, PROJECT_TRUSTED, SECRET_STORES, SYSTEM as PLAN_SYSTEM, Table,
};
use agent_aws_policy::{Home, Network};

use super::scenario::*;
use crate::path::linked;
use crate::tables::*;
use crate::{Object, Tier, Whose};

/// An object that owns its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing {
    Nothing,
    Path(String),
    OwnTerminal(String),
    Socket(String),
    Address(bool, u16),
    Service(String),
    Process(Whose),
    Setting(String),
    Memory(String),
}

impl Thing {
    pub(super) fn object(&self) -> Object<'_> {
        match self {
            Self::Nothing => Object::Nothing,
            Self::Path(name) => Object::Path(name),
            Self::OwnTerminal(name) => Object::OwnTerminal(name),
            Self::Socket(name) => Object::Socket(name),
            Self::Address(local, port) => Object::Address { local: *local, port: *port },
            Self::Service(name) => Object::Service(name),
            Self::Process(whose) => Object::Process(*whose),
            Self::Setting(name) => Object::Setting(name),
            Self::Memory(name) => Object::Memory(name),
        }
    }
}

/// One row: what, and whether it may.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) operation: &'static str,
    pub(super) thing: Thing,
    pub(super) allowed: bool,
}

/// By which a file's content or existence is learnt, or something of it is done without changing it.
pub(super) const READING: [&str; 7] = [
    "file-read-data", "file-read-metadata", "file-read-xattr", "file-test-existence", "file-clone",
    "file-map-executable", "file-ioctl",
];
/// By which it is changed, replaced or named anew.
pub(super) const WRITING: [&str; 5] =
    ["file-write-data", "file-write-create", "file-write-unlink", "file-write-mode", "file-link"];

pub(super) struct Rows {
    pub(super) of: Scenario,
    pub(super) rows: Vec<Row>,
}

/// All rows of a scenario: those of the tables, then those of its own.
pub(super) fn all(of: Scenario) -> Vec<Row> {
    let mut rows = Rows { of, rows: vec![] };
    rows.stores();
    rows.project();
    rows.later();
    rows.machine();
    rows.services();
    rows.homes();
    rows.network();
    rows.rows
}

impl Rows {
    fn row(&mut self, operation: &'static str, thing: Thing, allowed: bool) {
        self.rows.push(Row { operation, thing, allowed });
    }

    fn path(&mut self, operations: &[&'static str], path: &str, allowed: bool) {
        for operation in operations {
            self.row(operation, Thing::Path(path.into()), allowed);
        }
    }

    fn closed(&mut self, path: &str) {
        self.path(&READING, path, false);
        self.path(&WRITING, path, false);
    }

    fn read_only(&mut self, path: &str) {
        self.path(&READING[..6], path, true);
        self.path(&WRITING, path, false);
    }

    /// Whether of the caller's home something is seen that the plan does not name.
    fn sees_home(&self) -> bool {
        self.of.home != Home::Agent
    }

    /// The directories above what is shown can be looked at.
    fn seen_way(&mut self, path: &str) {
        let mut rest = path;
        while let Some((parent, _)) = rest.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            self.path(&["file-read-metadata", "file-test-existence"], parent, true);
            rest = parent;
        }
    }

    fn way(&mut self, path: &str, above: &str) {
        let mut rest = path;
        while let Some((parent, _)) = rest.rsplit_once('/').filter(|_| rest.len() > above.len()) {
            self.path(&["file-write-unlink"], parent, false);
            rest = parent;
        }
    }

    /// Each secret store, by every name, whole and inside; and the directories on the way to it.
    fn stores(&mut self) {
        let stores = SECRET_STORES.rows().chain(HOME_STORES.rows()).map(|row| format!("{HOME}/{}", row.path));
        let others = [
            "/Users/alice/dotfiles/aws", "/Users/alice/data/kube", "/Users/alice/notes",
            "/private/etc/hidden-by-policy", "/Users/alice/run/agent.sock",
        ];
        for store in stores.chain(others.map(String::from)) {
            self.closed(&format!("{store}/x"));
            self.path(&["file-read-data", "file-write-unlink", "file-clone"], &store, false);
            if store.starts_with(HOME) {
                self.way(&store, HOME);
            }
        }
        for row in HIDDEN_SYSTEM.rows() {
            self.closed(&linked(row.path).unwrap());
        }
        for row in COPIES.rows() {
            self.closed(&format!("{}/Users/alice/.aws/credentials", row.path));
        }
    }

    /// What others execute in a project, which is read and not written, and what moves it.
    fn project(&mut self) {
        for tree in [PROJECT, MORE] {
            for row in PROJECT_TRUSTED.rows() {
                let path = format!("{tree}/{}", row.path);
                self.read_only(&path);
                self.path(&WRITING, &format!("{path}/x"), false);
                self.way(&path, tree);
            }
            self.path(&["file-write-unlink"], tree, false);
            let usual = format!("{tree}/src/main.rs");
            self.path(&READING, &usual, true);
            self.path(&WRITING, &usual, true);
            self.path(&WRITING, &format!("{tree}/.git/index"), true);
            self.row("network-outbound", Thing::Socket(format!("{tree}/.s.PGSQL.5432")), true);
            self.row("network-bind", Thing::Socket(format!("{tree}/.s.PGSQL.5432")), true);
        }
    }

    fn later(&mut self) {
        for row in LATER.rows() {
            let path = format!("{HOME}/{}", row.path);
            self.path(&WRITING, &path, false);
            self.path(&WRITING, &format!("{path}/x"), false);
            self.way(&path, HOME);
            let secret = SECRET_STORES.rows().chain(HOME_STORES.rows()).any(|s| row.path.starts_with(s.path));
            if !secret {
                let seen = self.sees_home();
                self.path(&["file-read-data"], &path, seen);
            }
        }
    }

    fn machine(&mut self) {
        let there = |table: Table| table.rows().map(|row| linked(row.path).unwrap_or(row.path.into()));
        let plans = there(PLAN_SYSTEM)
            .filter(|path| ["/usr", "/bin", "/sbin", "/opt", "/private/etc", "/nix/store"].contains(&path.as_str()));
        for path in plans.chain(there(SYSTEM)) {
            self.read_only(&format!("{path}/x"));
            self.seen_way(&path);
        }
        let devices = there(PLAN_DEVICES).filter(|path| path != "/dev/full").chain(there(DEVICES));
        let using = ["file-read-data", "file-read-metadata", "file-test-existence", "file-ioctl", "file-write-data"];
        for device in devices.chain(["/dev/ttys003".into()]) {
            self.path(&using, &device, true);
            self.seen_way(&device);
            self.path(&["file-write-unlink", "file-link"], &device, false);
        }
        self.path(&using, "/dev/ttys004", false);
        for operation in using {
            self.row(operation, Thing::OwnTerminal("/dev/ttys005".into()), true);
        }
        for row in ROOT_LINKS.rows() {
            self.path(&["file-read-metadata"], row.path, true);
        }
        self.path(&["file-read-data", "file-read-metadata", "file-test-existence"], "/", true);
        self.path(&["file-mount", "file-unmount"], "/Volumes/x", false);
        self.path(&["process-exec"], "/usr/bin/true", true);
        for operation in ["process-fork", "pseudo-tty", "system-socket", "user-preference-read"] {
            self.row(operation, Thing::Nothing, true);
        }
        for operation in ["appleevent-send", "lsopen", "job-creation", "user-preference-write"] {
            self.row(operation, Thing::Nothing, false);
        }
        self.row("ipc-posix-sem", Thing::Memory("/x".into()), true);
        self.row("ipc-posix-shm-read-data", Thing::Memory("apple.shm.notification_center".into()), true);
        for (whose, allowed) in [(Whose::Own, true), (Whose::SameSandbox, true), (Whose::Other, false)] {
            for operation in ["signal", "process-info-pidinfo"] {
                self.row(operation, Thing::Process(whose), allowed);
            }
            self.row("mach-priv-task-port", Thing::Process(whose), allowed && self.of.loopback);
        }
        self.row("mach-task-read", Thing::Process(Whose::Other), false);
        self.row("mach-task-inspect", Thing::Process(Whose::Other), false);
        for row in SETTINGS.rows() {
            self.row("sysctl-read", Thing::Setting(row.path.replace('*', "ncpu")), true);
        }
        for pid in ["kern.procargs.1", "kern.procargs2.4711"] {
            self.row("sysctl-read", Thing::Setting(pid.into()), false);
        }
    }

    fn services(&mut self) {
        let (strict, network) = (self.of.tier == Tier::Strict, self.of.network);
        let closed_by_network = |name: &str| {
            (network != Network::Shared && NETWORK_SERVICES.find(name.as_bytes()).is_some())
                || (network == Network::None && TRUST_SERVICES.find(name.as_bytes()).is_some())
        };
        for row in KEYCHAIN_SERVICES.rows().chain(OUTSIDE_SERVICES.rows()) {
            self.row("mach-lookup", Thing::Service(row.path.into()), false);
        }
        for row in SERVICES.rows().chain(NETWORK_SERVICES.rows()).chain(TRUST_SERVICES.rows()) {
            let listed = !strict || SERVICES.find(row.path.as_bytes()).is_some();
            let allowed = listed && !closed_by_network(row.path);
            self.row("mach-lookup", Thing::Service(row.path.into()), allowed);
        }
        self.row("mach-lookup", Thing::Service("com.example.anything".into()), !strict);
    }

    /// The caller's home, the agent's, and what belongs to the session.
    fn homes(&mut self) {
        let (seen, written) = (self.sees_home(), self.of.home == Home::Real);
        self.path(&READING[..6], "/Users/alice/papers/x", seen);
        self.path(&WRITING, "/Users/alice/papers/x", written);
        self.path(&["file-ioctl"], "/Users/alice/papers/x", seen && (written || self.of.tier == Tier::Guarded));
        self.path(&["file-read-data"], "/Users/alice/.aws-notes/x", seen);
        for path in [PROJECT, MORE, TOOLS, CLIENT, SESSION, TEMPORARY, PER_USER] {
            self.seen_way(path);
        }
        if self.of.home == Home::Agent {
            self.seen_way(AGENTS_HOME);
        }
        self.path(&["file-write-unlink"], HOME, false);
        self.path(&["file-write-unlink"], "/Users/alice/src", false);
        self.path(&["file-write-unlink"], "/Users/alice/run", false);
        // In a home that can be written, so can the toolchains in it, as on Linux.
        self.path(&READING[..6], &format!("{TOOLS}/toolchains/x"), true);
        self.path(&WRITING, &format!("{TOOLS}/toolchains/x"), written);
        self.path(&READING[..6], CLIENT, true);
        self.path(&WRITING, CLIENT, false);
        let own = self.of.home == Home::Agent;
        for path in [format!("{AGENTS_HOME}/.zshrc"), format!("{AGENTS_HOME}/.aws/config")] {
            self.path(&READING, &path, own);
            self.path(&WRITING, &path, own);
        }
        self.closed("/Users/alice/.local/share/agent-aws/homes/standard/other/default/.aws/config");
        self.read_only(&format!("{SESSION}/config"));
        self.closed("/Users/alice/.local/share/agent-aws/sessions/8899aabbccddeeff/config");
        for path in [format!("{TEMPORARY}/x"), format!("{PER_USER}/x")] {
            self.path(&READING, &path, true);
            self.path(&WRITING, &path, true);
        }
        let guarded = self.of.tier == Tier::Guarded;
        self.path(&["file-read-data", "file-clone", "file-ioctl"], "/Library/Preferences/com.apple.x.plist", guarded);
        self.path(&WRITING, "/Library/LaunchDaemons/x.plist", false);
        self.path(&WRITING, "/Applications/x.app/Contents/MacOS/x", false);
    }

    /// Whether a socket may be bound wherever a file may be made.
    fn default_bind(&self) -> bool {
        self.of.tier == Tier::Guarded && self.of.network == Network::Shared
    }

    fn network(&mut self) {
        let (network, open) = (self.of.network, self.of.loopback);
        let shared = network == Network::Shared;
        let out = "network-outbound";
        for path in [format!("{SESSION}/credentials.sock"), format!("{TEMPORARY}/x"), DOCKER.into()] {
            self.row(out, Thing::Socket(path), true);
        }
        self.row(out, Thing::Socket(format!("{AGENTS_HOME}/x")), self.of.home == Home::Agent);
        self.row(
            "network-bind",
            Thing::Socket(format!("{AGENTS_HOME}/x")),
            self.of.home == Home::Agent || self.default_bind(),
        );
        self.row("network-bind", Thing::Socket(format!("{TEMPORARY}/x")), true);
        self.row("network-inbound", Thing::Socket(format!("{TEMPORARY}/x")), true);
        for path in [
            "/Users/alice/.docker/run/docker.sock",
            "/Users/alice/.colima/default/docker.sock",
            "/Users/alice/.elhaz/sock/daemon.sock",
            "/private/var/run/com.apple.launchd.AbC/Listeners",
            "/private/tmp/com.apple.launchd.AbC/Listeners",
            "/private/tmp/tmux-501/default",
            "/private/var/run/docker.sock",
            "/Users/alice/.gnupg/S.gpg-agent",
            "/Users/alice/papers/x.sock",
            "/Users/alice/.local/share/agent-aws/sessions/8899aabbccddeeff/credentials.sock",
        ] {
            self.row(out, Thing::Socket(path.into()), false);
        }
        self.row(out, Thing::Socket(format!("{PER_USER}/x")), false);
        self.row(out, Thing::Socket("/private/var/run/mDNSResponder".into()), shared);
        for port in [443, 80, 22] {
            self.row(out, Thing::Address(false, port), shared);
        }
        for row in LOOPBACK_PORTS.rows() {
            self.row(out, Thing::Address(true, row.path.parse().unwrap()), false);
        }
        let filtered = network == Network::Filtered;
        self.row(out, Thing::Address(true, PROXY), filtered || (shared && open));
        self.row(out, Thing::Address(false, PROXY), shared);
        self.row(out, Thing::Address(true, LOCAL_PORT), filtered || (shared && open));
        self.row(out, Thing::Address(true, 3000), shared && open);
        for (port, allowed) in [(PUBLISHED, true), (3000, shared)] {
            self.row("network-bind", Thing::Address(true, port), allowed);
            self.row("network-inbound", Thing::Address(true, port), allowed);
            self.row("network-bind", Thing::Address(false, port), shared);
        }
    }
}
