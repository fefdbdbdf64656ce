//! From plan to profile. Pure: the same plan and findings give the same profile on any machine.
//!
//! There are no mounts on macOS, so everything stays where it is: a rule is about the host's path of a source, not about
//! the place that Linux would mount it at. What Linux makes for the sandbox alone (devices, /proc, /tmp, /run) is not
//! there; a session's own directories take its place.

mod collect;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agent_aws_plan::Plan;
use agent_aws_policy::Network;

use crate::path::Refusal;
use crate::profile::{Parameter, Profile, Tier};
use crate::rules::Rules;
use crate::template::{KINDS, Shape, Slot, expand, parameter, text};
use collect::Collected;

/// Where something really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Every symbolic link resolved.
    pub real: PathBuf,
    /// Whether it is a directory.
    pub directory: bool,
}

/// What was found on the Mac, by whoever looked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// For each source of the plan what is there, if anything is.
    pub sources: Vec<Option<Place>>,
    /// The caller's home, resolved.
    pub home: PathBuf,
    /// Symbolic links on the way to what is denied: as written, and where they lead in the end.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// The session's directory: sockets of the doors and generated files. The agent does not write there.
    pub session: PathBuf,
    /// The session's TMPDIR.
    pub temporary: PathBuf,
    /// Temporary directories of the caller's that macOS gives to every program: DARWIN_USER_TEMP_DIR and _CACHE_DIR.
    pub per_user: Vec<PathBuf>,
    /// The terminal that the agent is started on.
    pub terminal: Option<PathBuf>,
    /// The port of the loopback where the gateway listens.
    pub proxy: Option<u16>,
    /// Unix sockets of the host that the caller is let use.
    pub sockets: Vec<PathBuf>,
}

/// Lowers `plan` to a profile.
///
/// # Errors
/// A path that a profile cannot be about, something that is required and not there, a gateway that does not listen.
pub fn lower(plan: &Plan, found: &Found, tier: Tier) -> Result<Profile, Refusal> {
    possible(plan)?;
    let collected = Collected::of(plan, found, tier)?;
    let counts = KINDS.into_iter().map(|kind| (kind, collected.count(kind))).collect();
    let shape = Shape { templates: templates(plan, tier), counts, ports: ports(plan, found)? };
    let forms = expand(&shape).map_err(|why| ours(&why.to_string()))?;
    let parameter = |slot: &Slot| match slot {
        Slot::Value(kind, index) => {
            let (value, why) = collected.get(kind, *index)?;
            Some(Parameter { name: parameter(kind, *index), value: value.clone(), why: why.clone() })
        }
        _ => None,
    };
    let parameters: Vec<Parameter> = forms.iter().flat_map(|form| &form.slots).filter_map(parameter).collect();
    let text = text(&forms);
    let values = parameters.iter().map(|p| (p.name.as_str(), p.value.as_str()));
    // What is emitted is read again before anybody gets it.
    let rules = Rules::read(&text, values).map_err(|why| ours(&why.to_string()))?;
    Ok(Profile { text, parameters, forms, rules })
}

/// What a plan may ask for and seatbelt cannot give ends it, rather than something weaker.
fn possible(plan: &Plan) -> Result<(), Refusal> {
    let no = |what: &str, value: &str, why: &str| Err(Refusal::new(what, Path::new(value), why));
    let grant = &plan.grant;
    if grant.nesting {
        let why = "seatbelt does not nest: take `nesting` out of the sandbox, and switch inner sandboxes off";
        return no("sandbox", &grant.sandbox, why);
    }
    if grant.limits.pids.is_some() || grant.limits.memory.is_some() {
        let why =
            "macOS has no control groups, so that `pids` and `memory` would not hold: take them out of the sandbox";
        return no("sandbox", &grant.sandbox, why);
    }
    if grant.network == Network::Shared && !grant.reach.unguarded {
        let why = "seatbelt knows no address but localhost, so metadata services cannot be closed: use `filtered`, or \
                   set `metadata = \"unguarded\"` in the sandbox";
        return no("network", "shared", why);
    }
    Ok(())
}

/// A template of ours that is wrong. Tests expand them all.
fn ours(why: &str) -> Refusal {
    Refusal::new("the profile", Path::new(""), format!("{why}: this is a mistake in agent-aws"))
}

/// A template, by its name.
macro_rules! template {
    ($name:literal) => {
        ($name, include_str!(concat!("../profiles/", $name)))
    };
}

fn templates(plan: &Plan, tier: Tier) -> Vec<(&'static str, &'static str)> {
    let mut templates = vec![match tier {
        Tier::Guarded => template!("guarded.sb"),
        Tier::Strict => template!("strict.sb"),
    }];
    if plan.grant.debug {
        templates.push(template!("debug.sb"));
    }
    match plan.grant.network {
        Network::None => templates.push(template!("network-none.sb")),
        Network::Filtered => templates.push(template!("network-filtered.sb")),
        Network::Shared => {
            templates.push(template!("network-shared.sb"));
            templates.push(match plan.grant.reach.host_loopback {
                true => template!("loopback-open.sb"),
                false => template!("loopback-closed.sb"),
            });
        }
    }
    templates
}

fn ports(plan: &Plan, found: &Found) -> Result<BTreeMap<&'static str, Vec<u16>>, Refusal> {
    let proxy = match (plan.grant.network, found.proxy) {
        (Network::Filtered, None) => {
            let why = "the gateway does not listen, and without it there is no network";
            return Err(Refusal::new("network", Path::new("filtered"), why));
        }
        (Network::Filtered, Some(port)) => vec![port],
        _ => vec![],
    };
    let sorted = |ports: &[u16]| {
        let mut ports = ports.to_vec();
        ports.sort_unstable();
        ports.dedup();
        ports
    };
    let local = sorted(&plan.grant.reach.local_ports);
    Ok([("proxy", proxy), ("local-ports", local), ("publish", sorted(&plan.grant.publish))].into())
}
