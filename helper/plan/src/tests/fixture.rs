//! One caller and one grant, for tests: each says only what is different in it.

use agent_aws_policy::{Access, Home, Limits, Narrowing, Network, Reach};

use crate::{Caller, Grant};

/// Somebody.
pub fn caller() -> Caller {
    Caller { uid: 1000, gid: 1000, login: "jo".into(), home: "/home/jo".into(), shell: "/bin/sh".into() }
}

/// What policy gives them.
pub fn grant() -> Grant {
    Grant {
        session: "0011223344556677".into(),
        identity: "incident".into(),
        facts: vec![],
        aliases: vec!["prod-readonly".into()],
        role: None,
        narrowing: Narrowing { access: Access::Read, ..Narrowing::default() },
        model: None,
        region: Some("eu-west-1".into()),
        sandbox: "standard".into(),
        network: Network::None,
        reach: Reach::default(),
        narrow: vec![],
        publish: vec![],
        home: Home::Agent,
        share_homes: false,
        nesting: false,
        debug: false,
        limits: Limits::default(),
        may_lift: vec![],
        hide: vec![],
        waived: vec![],
        rw_paths: vec!["/home/jo".into(), "/srv/work".into()],
    }
}
