//! The values of a profile, each with its reason, from the rows of the plan and of the tables.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use agent_aws_plan::tables::{SECRET_STORES, Table};
use agent_aws_plan::{Access, Intent, Origin, Plan, Source, SourceId, What};
use agent_aws_policy::Home;

use super::{Found, Place};
use crate::path::{Refusal, canonical, is_within, linked};
use crate::profile::{Tier, Why};
use crate::tables;

type Text = Cow<'static, str>;

/// `sun_path` of macOS, with the byte that ends it.
const SOCKET: usize = 104;
/// The longest name that a door has in the session's directory, with the slash before it.
const DOOR: usize = "/credentials.sock".len();

/// The row of the secret stores in which the agents' homes and the sessions lie.
const OURS: &str = ".local/share/agent-aws";

/// Values, by kind.
pub(super) struct Collected<'a> {
    plan: &'a Plan,
    found: &'a Found,
    values: BTreeMap<&'static str, Vec<(String, Why)>>,
    /// Links on the way to what is denied.
    links: Vec<(String, String)>,
}

impl<'a> Collected<'a> {
    pub(super) fn of(plan: &'a Plan, found: &'a Found, tier: Tier) -> Result<Self, Refusal> {
        let mut it = Self { plan, found, values: BTreeMap::new(), links: vec![] };
        it.note_links()?;
        for intent in &plan.intents {
            it.intent(intent)?;
        }
        it.machine()?;
        it.session()?;
        it.secrets()?;
        it.later()?;
        it.own_hides_nothing()?;
        it.bounds()?;
        it.ancestors();
        it.pins();
        if tier == Tier::Guarded {
            it.only_in_home();
        }
        Ok(it)
    }

    pub(super) fn count(&self, kind: &str) -> usize {
        self.values.get(kind).map_or(0, Vec::len)
    }

    pub(super) fn get(&self, kind: &str, index: usize) -> Option<&(String, Why)> {
        self.values.get(kind)?.get(index)
    }

    fn each(&self, kind: &str) -> impl Iterator<Item = &(String, Why)> {
        self.values.get(kind).into_iter().flatten()
    }

    fn put(&mut self, kind: &'static str, value: String, why: Why) {
        let values = self.values.entry(kind).or_default();
        if values.iter().all(|(known, _)| *known != value) {
            values.push((value, why));
        }
    }

    /// The links that were found; the home is one, where the user database names it by another path.
    fn note_links(&mut self) -> Result<(), Refusal> {
        let home = (&self.plan.caller.home, &self.found.home);
        let links = self.found.links.iter().map(|(written, real)| (written, real));
        for (written, real) in links.chain([home]) {
            let real = canonical("where a link leads", real)?.to_owned();
            let written = spelt("a link", written)?;
            if written != real {
                self.links.push((written, real));
            }
        }
        Ok(())
    }

    /// A path that something is allowed at: it must be what the kernel will call it.
    fn real(&self, what: &str, path: &Path) -> Result<String, Refusal> {
        let text = canonical(what, path)?;
        match self.links.iter().find(|(written, _)| is_within(text, written)) {
            Some((link, _)) => {
                let why = format!("it leads through the symbolic link `{}`: resolve it first", link.escape_debug());
                Err(Refusal::new(what, path, why))
            }
            None => Ok(text.to_owned()),
        }
    }

    /// Everything that a denied path is called: as written, and wherever links on the way to it or in it lead.
    fn spellings(&self, what: &str, path: &Path) -> Result<Vec<String>, Refusal> {
        let mut known = vec![spelt(what, path)?];
        let mut next = 0;
        while let Some(path) = known.get(next).cloned() {
            for (written, real) in &self.links {
                let other = match path.strip_prefix(written.as_str()) {
                    Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{real}{rest}"),
                    _ if is_within(written, &path) => real.clone(),
                    _ => continue,
                };
                if !known.contains(&other) {
                    known.push(other);
                }
            }
            next += 1;
        }
        Ok(known)
    }

    fn deny(&mut self, kind: &'static str, path: &Path, why: &Why) -> Result<(), Refusal> {
        for spelling in self.spellings(&why.table, path)? {
            self.put(kind, spelling, why.clone());
        }
        Ok(())
    }

    fn source(&self, id: SourceId) -> Result<Option<(&'a Source, &'a Place)>, Refusal> {
        let (plan, found) = (self.plan, self.found);
        let Some(source) = plan.sources.get(id.0) else { return Ok(None) };
        match found.sources.get(id.0).and_then(Option::as_ref) {
            Some(place) => Ok(Some((source, place))),
            None if source.required => Err(Refusal::new("the plan needs", &source.path, "it is not there")),
            None => Ok(None),
        }
    }

    /// A row of the plan. What Linux makes for a sandbox (memory, processes, terminals, queues, links, files in /run) has
    /// no like here.
    fn intent(&mut self, intent: &Intent) -> Result<(), Refusal> {
        match (&intent.what, &intent.origin) {
            (What::Bind(id), Origin::Table(table)) if table == "project" => self.row_of_project(intent, *id),
            (What::Bind(id), _) => self.bind(intent, *id),
            (What::Device(id), _) => match self.device(*id)? {
                Some(path) if !is_within(&path, "/dev") => {
                    Err(Refusal::new("a device", Path::new(&path), "it is not in /dev"))
                }
                Some(path) => self.allow("device", "a device", Path::new(&path), why(intent)),
                None => Ok(()),
            },
            (What::Mask(_), _) => self.deny("store", &intent.path, &why(intent)),
            _ => Ok(()),
        }
    }

    /// A Mac has no full device, so none that the plan has is required.
    fn device(&self, id: SourceId) -> Result<Option<String>, Refusal> {
        let there = self.found.sources.get(id.0).and_then(Option::as_ref);
        let name = |place: &Place| canonical("a device", &place.real).map(str::to_owned);
        there.map(name).transpose()
    }

    fn allow(&mut self, kind: &'static str, what: &str, path: &Path, why: Why) -> Result<(), Refusal> {
        let path = self.real(what, path)?;
        self.put(kind, path, why);
        Ok(())
    }

    fn bind(&mut self, intent: &Intent, id: SourceId) -> Result<(), Refusal> {
        // There is no pid 1 of a sandbox here.
        if intent.path.ends_with("agent-aws-init") && intent.origin == Origin::Table("ours".into()) {
            return Ok(());
        }
        // A toolchain or system directory that is not there is left out.
        let Some((_, place)) = self.source(id)? else { return Ok(()) };
        let is_home = intent.path == self.plan.caller.home;
        let bounds = self.plan.check_real(id, &place.real);
        bounds.map_err(|why| Refusal::new("the plan shows", &intent.path, why.to_string()))?;
        let kind = match (&intent.origin, intent.access) {
            (Origin::Table(table), _) if table == "system" => "system",
            (Origin::Sandbox, _) if is_home && self.plan.grant.home == Home::Agent => "own",
            (Origin::Sandbox, Access::Write) if !is_home => {
                return self.deny("pin", &intent.path, &why(intent));
            }
            (_, Access::Write) => "writable",
            (_, Access::Read) => "shown",
            (_, Access::Hidden) => "store",
        };
        self.allow(kind, "the plan shows", &place.real, why(intent))?;
        if kind == "own" || (kind == "writable" && !is_home) {
            self.allow("socket", "the plan shows", &place.real, why(intent))?;
            self.allow("bindable", "the plan shows", &place.real, why(intent))?;
        }
        Ok(())
    }

    /// What others execute is denied whether it is there or not: a rule needs nothing to stand on.
    fn row_of_project(&mut self, intent: &Intent, id: SourceId) -> Result<(), Refusal> {
        let there = self.source(id)?.map(|(_, place)| place.clone());
        let is_pin = intent.access == Access::Write;
        // A pin that is a file is `.git` of a worktree: it says where git finds hooks and configuration.
        let is_file = there.as_ref().is_some_and(|place| !place.directory);
        let kind = if is_pin && !is_file { "pin" } else { "protected" };
        self.deny(kind, &intent.path, &why(intent))?;
        match there {
            Some(place) => self.deny(kind, &place.real, &why(intent)),
            None => Ok(()),
        }
    }

    /// What this machine has, beside the plan.
    fn machine(&mut self) -> Result<(), Refusal> {
        for (kind, name, table) in
            [("system", "seatbelt/system", tables::SYSTEM), ("device", "seatbelt/devices", tables::DEVICES)]
        {
            for row in table.rows() {
                self.put(kind, row.path.into(), row_of(name, row));
            }
        }
        if let Some(terminal) = &self.found.terminal {
            let number = terminal.to_str().and_then(|path| path.strip_prefix("/dev/ttys"));
            if !number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
                return Err(Refusal::new("the terminal", terminal, "it is no /dev/ttys and a number"));
            }
            self.allow("terminal", "the terminal", terminal, asked("the session", "the agent's terminal"))?;
        }
        for socket in &self.found.sockets {
            self.allow("admitted", "a socket", socket, asked("policy", "a socket that it admits"))?;
        }
        Ok(())
    }

    fn session(&mut self) -> Result<(), Refusal> {
        let (session, doors) = (&self.found.session, asked("the session", "doors to credentials"));
        if session.as_os_str().len() + DOOR >= SOCKET {
            let most = SOCKET - DOOR - 1;
            let why = format!("a socket in it would have more than 103 bytes: it may have {most}");
            return Err(Refusal::new("the session's directory", session, why));
        }
        self.allow("session", "the session's directory", session, doors.clone())?;
        self.allow("socket", "the session's directory", session, doors)?;
        let own = [(&self.found.temporary, true)].into_iter();
        for (path, sockets) in own.chain(self.found.per_user.iter().map(|path| (path, false))) {
            let why = asked("the session", "temporary files");
            self.allow("own", "a temporary directory", path, why.clone())?;
            if sockets {
                self.allow("socket", "a temporary directory", path, why.clone())?;
                self.allow("bindable", "a temporary directory", path, why)?;
            }
        }
        Ok(())
    }

    /// Secret stores, what policy hides, and a home that the plan does not show.
    fn secrets(&mut self) -> Result<(), Refusal> {
        let home = self.plan.caller.home.clone();
        self.below_home("store", "secret-stores", SECRET_STORES)?;
        self.below_home("store", "seatbelt/home-stores", tables::HOME_STORES)?;
        for path in &self.plan.grant.hide {
            self.deny("store", path, &asked("policy", "policy hides it"))?;
        }
        if self.plan.grant.home == Home::Agent {
            let why = asked("the sandbox", "the agent has a home of its own");
            for path in [&home, &self.found.home] {
                self.put("home", spelt("the home", path)?, why.clone());
            }
        }
        Ok(())
    }

    /// What is the session's own comes after what is denied, so it must not lie around any of that.
    fn own_hides_nothing(&self) -> Result<(), Refusal> {
        for (path, _) in self.each("own").chain(self.each("session")) {
            let meets =
                |(store, why): &&(String, Why)| is_within(store, path) || (is_within(path, store) && why.row != OURS);
            if let Some((store, _)) = self.each("store").find(meets) {
                let why = format!("it is, contains or lies inside the secret store `{}`", store.escape_debug());
                return Err(Refusal::new("a directory of the session", Path::new(path), why));
            }
        }
        Ok(())
    }

    /// What the plan's bounds are on Linux, by the names that the kernel of a Mac has; and no link may have led into a
    /// secret store.
    fn bounds(&self) -> Result<(), Refusal> {
        for (path, why) in self.each("writable") {
            let itself = tables::NEVER_WRITABLE.rows().find(|row| row.path == path);
            let around = || tables::NEVER_INSIDE.rows().find(|row| is_within(path, row.path));
            if let Some(row) = itself.or_else(around) {
                return Err(Refusal::new(
                    &why.table,
                    Path::new(path),
                    format!("it may not be written: {}", row.reason),
                ));
            }
        }
        for (path, why) in self.each("writable").chain(self.each("shown")) {
            if let Some((store, _)) = self.each("store").find(|(store, _)| is_within(path, store)) {
                let reason = format!("it lies inside the secret store `{}`", store.escape_debug());
                return Err(Refusal::new(&why.table, Path::new(path), reason));
            }
        }
        Ok(())
    }

    /// What runs later, where it could be written.
    fn later(&mut self) -> Result<(), Refusal> {
        match self.plan.grant.home {
            Home::Real => self.below_home("protected", "seatbelt/later", tables::LATER),
            Home::Agent | Home::RealReadOnly => Ok(()),
        }
    }

    fn below_home(&mut self, kind: &'static str, name: &'static str, table: Table) -> Result<(), Refusal> {
        for row in table.rows() {
            self.deny(kind, &self.plan.caller.home.join(row.path), &row_of(name, row))?;
        }
        Ok(())
    }

    /// The directories above what is shown: programs look at them on their way.
    fn ancestors(&mut self) {
        let stores: Vec<String> = self.each("store").map(|(path, _)| path.clone()).collect();
        let kinds = ["system", "device", "shown", "writable", "session", "own", "terminal"];
        let shown: Vec<String> = kinds.iter().flat_map(|kind| self.each(kind)).map(|(path, _)| path.clone()).collect();
        for path in shown {
            let above = Path::new(&path).ancestors().skip(1).filter_map(Path::to_str);
            for above in above.filter(|above| *above != "/") {
                let why = asked("the way", "something below it is shown");
                // What is ours lies in a directory of ours that is a secret store for everything else.
                let kind = if stores.iter().any(|store| is_within(above, store)) { "inner" } else { "ancestor" };
                self.put(kind, above.into(), why);
            }
        }
    }

    /// Where all else can be read, what is shown is only worth a rule in a home that is not.
    fn only_in_home(&mut self) {
        let homes: Vec<String> = self.each("home").map(|(path, _)| path.clone()).collect();
        for kind in ["ancestor", "shown"] {
            if let Some(values) = self.values.get_mut(kind) {
                values.retain(|(path, _)| homes.iter().any(|home| is_within(path, home)));
            }
        }
    }

    /// A rule is about a name. Whatever could be renamed so that the name of a denied path becomes another one is pinned:
    /// each directory above it that could be written to, and what is writable itself, or `mv A B/x` would take the
    /// protected rows of A away from their names.
    fn pins(&mut self) {
        let writable: Vec<String> = self.each("writable").map(|(path, _)| path.clone()).collect();
        let closed: Vec<String> = self.each("protected").map(|(path, _)| path.clone()).collect();
        let within = |path: &str| {
            writable.iter().any(|above| is_within(path, above)) && !closed.iter().any(|above| is_within(path, above))
        };
        let denied: Vec<(String, Why)> = ["store", "protected"].iter().flat_map(|k| self.each(k)).cloned().collect();
        for (path, why) in denied {
            let above = Path::new(&path).ancestors().skip(1).filter_map(Path::to_str);
            for above in above.filter(|above| within(above)) {
                self.put("pin", above.into(), why.clone());
            }
        }
        for path in &writable {
            self.put("pin", path.clone(), asked("the plan", "it holds rows that are about its name"));
        }
    }
}

/// A path as somebody wrote it, with a link at the root resolved: a rule about the link would never match.
fn spelt(what: &str, path: &Path) -> Result<String, Refusal> {
    let known = path.to_str().and_then(linked);
    match known {
        Some(other) => canonical(what, Path::new(&other)).map(str::to_owned),
        None => canonical(what, path).map(str::to_owned),
    }
}

fn row_of(table: &'static str, row: tables::Row) -> Why {
    Why { table: table.into(), row: row.path.into(), reason: row.reason.into() }
}

fn asked(table: &'static str, reason: &'static str) -> Why {
    Why { table: table.into(), row: reason.into(), reason: reason.into() }
}

/// Why a row of the plan is there.
fn why(intent: &Intent) -> Why {
    let table: Text = match &intent.origin {
        Origin::Table(name) if name == "project" => "project-trusted".into(),
        Origin::Table(name) if name == "hidden" => "hidden-system".into(),
        Origin::Table(name) => name.clone(),
        Origin::Sandbox => "the sandbox".into(),
        Origin::Project => "the project".into(),
        Origin::Repository => "the repository".into(),
        Origin::Caller(option) | Origin::Tool(option) => option.clone(),
    };
    Why { table, row: intent.path.display().to_string(), reason: intent.reason.clone() }
}
