//! Sessions whose profiles are looked at.

use std::path::{Path, PathBuf};

use agent_aws_plan::{Grant, Origin, Plan, Wish, fixture, plan};
use agent_aws_policy::{Home, Network};

use crate::path::linked;
use crate::{Found, Place, Profile, Tier, lower};

pub(super) const HOME: &str = "/Users/alice";
pub(super) const PROJECT: &str = "/Users/alice/src/app";
pub(super) const MORE: &str = "/Users/alice/data";
pub(super) const TOOLS: &str = "/Users/alice/.rustup";
pub(super) const AGENTS_HOME: &str = "/Users/alice/.local/share/agent-aws/homes/standard/incident/default";
pub(super) const SESSION: &str = "/Users/alice/.local/share/agent-aws/sessions/0011223344556677";
pub(super) const TEMPORARY: &str = "/Users/alice/.local/share/agent-aws/tmp/0011223344556677";
pub(super) const PER_USER: &str = "/private/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T";
pub(super) const CLIENT: &str = "/Applications/agent-aws/libexec/agent-aws-credentials";
pub(super) const DOCKER: &str = "/private/var/run/admitted.sock";
pub(super) const PROXY: u16 = 49152;
pub(super) const LOCAL_PORT: u16 = 5432;
pub(super) const PUBLISHED: u16 = 8000;

/// What of Linux is on no Mac.
const NOT_THERE: [&str; 10] =
    ["/lib", "/lib32", "/lib64", "/libx32", "/gnu/store", "/run/", "/sys/", "/dev/full", "/etc/shadow", "/etc/gshadow"];

#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    pub(super) tier: Tier,
    pub(super) home: Home,
    pub(super) network: Network,
    /// Whether policy leaves the host's loopback open, and lets the agent trace its processes.
    pub(super) loopback: bool,
}

const fn of(tier: Tier, home: Home, network: Network, loopback: bool) -> Scenario {
    Scenario { tier, home, network, loopback }
}

pub(super) const ALL: [Scenario; 8] = [
    of(Tier::Guarded, Home::Agent, Network::Shared, false),
    of(Tier::Strict, Home::Agent, Network::Shared, false),
    of(Tier::Guarded, Home::Real, Network::Shared, true),
    of(Tier::Strict, Home::Real, Network::None, false),
    of(Tier::Guarded, Home::RealReadOnly, Network::Filtered, false),
    of(Tier::Strict, Home::RealReadOnly, Network::Filtered, false),
    of(Tier::Guarded, Home::Agent, Network::None, false),
    of(Tier::Strict, Home::Real, Network::Shared, true),
];

impl Scenario {
    pub(super) fn grant(self) -> Grant {
        let mut grant = Grant {
            network: self.network,
            home: self.home,
            hide: vec!["/Users/alice/notes".into(), "/etc/hidden-by-policy".into()],
            rw_paths: vec![HOME.into()],
            publish: vec![PUBLISHED],
            ..fixture::grant()
        };
        grant.reach.host_loopback = self.loopback;
        grant.reach.local_ports = vec![LOCAL_PORT];
        (grant.reach.unguarded, grant.debug) = (true, self.loopback);
        grant
    }

    pub(super) fn plan(self) -> Plan {
        let caller = agent_aws_plan::Caller { home: HOME.into(), ..fixture::caller() };
        let wish = Wish {
            project: PROJECT.into(),
            rw: vec![MORE.into()],
            ro: vec![(TOOLS.into(), Origin::Tool("toolchains".into()))],
            command: vec![b"true".to_vec()],
            ..Wish::default()
        };
        let mut plan = plan(caller, self.grant(), &wish).unwrap();
        // A socket that the CLI found in a real home.
        plan.complete(vec![], vec![b"/Users/alice/run/agent.sock".to_vec()]).unwrap();
        plan
    }

    pub(super) fn profile(self) -> Profile {
        let plan = self.plan();
        lower(&plan, &found(&plan), self.tier).unwrap()
    }
}

/// A Mac on which `~/.aws` is a link into a directory of dotfiles, and a file in `~/.kube` is one.
pub(super) fn found(plan: &Plan) -> Found {
    let place = |path: &Path| -> Option<Place> {
        let text = &*path.to_string_lossy();
        if NOT_THERE.iter().any(|gone| text == *gone || (gone.ends_with('/') && text.starts_with(gone))) {
            return None;
        }
        let real = linked(text).map_or_else(|| path.to_path_buf(), PathBuf::from);
        let real = if path.is_absolute() { real } else { Path::new("/Applications/agent-aws/libexec").join(path) };
        Some(Place { real, directory: !text.starts_with("/dev") && !text.ends_with(".sock") })
    };
    Found {
        sources: plan.sources.iter().map(|source| place(&source.path)).collect(),
        home: HOME.into(),
        links: vec![
            (format!("{HOME}/.aws").into(), format!("{HOME}/dotfiles/aws").into()),
            (format!("{HOME}/.kube/config").into(), format!("{MORE}/kube").into()),
        ],
        session: SESSION.into(),
        temporary: TEMPORARY.into(),
        per_user: vec![PER_USER.into()],
        terminal: Some("/dev/ttys003".into()),
        proxy: (plan.grant.network == Network::Filtered).then_some(PROXY),
        sockets: vec![DOCKER.into()],
    }
}
