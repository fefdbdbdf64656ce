//! `policy explain --user`: what the policy says to somebody else, for who may read it.

use std::ffi::CString;

use agent_aws_policy::{Ask, Group, Policy, Subject, Wanted};
use agent_aws_protocol::Ask as Named;
use nix::unistd::{Gid, Uid, User, getgrouplist};

use super::described;
use crate::failure::Failure;
use crate::say;

/// Says whether they may use it, by which rule, and what a session of it would be.
pub(super) fn explain(policy: &Policy, user: &str, ask: &Named, sandbox: Option<&str>) -> Result<(), Failure> {
    let subject = subject(user)?;
    let explanation = policy.explain(&subject, &Ask { wanted: Wanted::of(ask), sandbox, network: None }, true);
    let mut text = explanation.in_words(policy, &subject, Some(user));
    if let Ok(decision) = &explanation.outcome {
        text.push_str(&described(&decision.identity.described()));
    }
    say::out(&say::escaped_block(&text))
}

/// As the user database has them: what a process of theirs has, after they logged in anew.
fn subject(user: &str) -> Result<Subject, Failure> {
    let by_number = |uid: u32| User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let found = User::from_name(user).ok().flatten().or_else(|| by_number(user.parse().ok()?));
    let found = found.ok_or_else(|| {
        let text = format!("--user {user}: the user database has nobody of that name or number");
        Failure::Option(text, "`getent passwd` lists those that it has")
    })?;
    let login = CString::new(found.name.as_str()).unwrap_or_default();
    let gids = getgrouplist(&login, found.gid).unwrap_or_else(|_| vec![found.gid]);
    let named = |gid: &Gid| Group {
        gid: gid.as_raw(),
        name: nix::unistd::Group::from_gid(*gid).ok().flatten().map(|group| group.name),
    };
    let groups: Vec<Group> = gids.iter().map(named).collect();
    let (process_groups, database_groups) = (groups.clone(), groups);
    Ok(Subject { uid: found.uid.as_raw(), login: Some(found.name), process_groups, database_groups })
}
