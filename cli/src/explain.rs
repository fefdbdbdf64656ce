//! The plan in words, for `run --explain`.

pub(crate) mod narrowing;

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use agent_aws_plan::{Access, Intent, Opener, Origin, Plan, What};
use agent_aws_policy::Network;
use agent_aws_protocol::{EnvVar, Prepared};

/// The whole plan as text; nothing in it is secret, control characters are escaped.
pub(crate) fn explain(plan: &Plan, ready: &Prepared) -> String {
    let mut out = String::new();
    for (name, value) in header(plan, &ready.directory) {
        line(&mut out, format_args!("{name:<12} {value}"));
    }
    line(&mut out, format_args!("\nfiles"));
    for intent in &plan.intents {
        line(&mut out, format_args!("  {}", row(plan, intent)));
    }
    let document = narrowing::document(plan.grant.role.as_deref(), &plan.grant.narrowing);
    if !document.is_empty() {
        line(&mut out, format_args!("\nsession policy"));
        document.iter().for_each(|text| line(&mut out, format_args!("  {text}")));
    }
    if let Some(model) = &plan.grant.model {
        line(&mut out, format_args!("\nsession policy of the model's identity"));
        let document = narrowing::document(model.role.as_deref(), &model.narrowing);
        document.iter().for_each(|text| line(&mut out, format_args!("  {text}")));
    }
    line(&mut out, format_args!("\nenvironment"));
    for EnvVar { name, value } in &ready.environment {
        line(&mut out, format_args!("  {}={}", name.escape_ascii(), value.escape_ascii()));
    }
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}

fn header(plan: &Plan, directory: &[u8]) -> Vec<(&'static str, String)> {
    let command: Vec<String> = plan.command.iter().map(|a| a.escape_ascii().to_string()).collect();
    let mut rows = vec![
        ("caller", format!("{} (uid {})", plan.caller.login.escape_debug(), plan.caller.uid)),
        ("identity", plan.grant.identity.clone()),
    ];
    let less = narrowing::rows(plan.grant.role.as_deref(), &plan.grant.narrowing);
    rows.extend(less.into_iter().map(|row| ("", row)));
    for (name, value) in &plan.grant.facts {
        rows.push(("", format!("{name}: {value}")));
    }
    if let Some(model) = &plan.grant.model {
        rows.push(("model", format!("asked as {}, which may do nothing else", model.identity)));
        rows.extend(model.role.iter().map(|role| ("", format!("role: {role}"))));
        rows.extend(model.region.iter().map(|region| ("", format!("region: {region}"))));
    }
    rows.push(("sandbox", plan.grant.sandbox.clone()));
    rows.push(("network", plan.grant.network.to_string()));
    rows.extend(reach(plan));
    rows.push(("home", format!("{} ({})", plan.grant.home, shown(&plan.home))));
    rows.push(("nesting", if plan.grant.nesting { "user namespaces admitted" } else { "no" }.into()));
    rows.push(("debug", if plan.grant.debug { "processes inside may trace each other" } else { "no" }.into()));
    rows.push(("limits", limits(plan)));
    if !plan.grant.waived.is_empty() {
        rows.push(("waived", plan.grant.waived.join(", ")));
    }
    rows.push(("project", shown(&plan.project)));
    rows.push(("directory", shown(Path::new(OsStr::from_bytes(directory)))));
    rows.push(("command", command.join(" ")));
    rows
}

/// What the network reaches.
fn reach(plan: &Plan) -> Vec<(&'static str, String)> {
    let (grant, reach) = (&plan.grant, &plan.grant.reach);
    let ports = |ports: &[u16]| ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut rows = match grant.network {
        Network::Filtered => vec![
            ("", format!("names: {}", reach.names.join(", "))),
            ("", format!("narrowed to: {}", grant.narrow.join(", "))),
            ("", format!("private names and networks: {}", reach.private.join(", "))),
            ("", format!("ports of this machine inside: {}", ports(&reach.local_ports))),
            ("", format!("ports of the agent on this machine: {}", ports(&grant.publish))),
            ("", format!("through the proxy: {}", reach.upstream_proxy.as_deref().unwrap_or_default())),
        ],
        _ => vec![],
    };
    rows.retain(|(_, text)| !text.ends_with(": "));
    rows
}

fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

fn limits(plan: &Plan) -> String {
    let limits = plan.grant.limits;
    let or_default = |asked: Option<u64>, unit: &str| asked.map_or("default".into(), |n| format!("{n}{unit}"));
    let sessions = limits.sessions.map(|n| format!(", sessions {n}")).unwrap_or_default();
    let time = limits.time.map(|time| format!(", time {} min", time.as_secs() / 60)).unwrap_or_default();
    format!(
        "processes {}, memory {}, open files {}{sessions}{time}",
        or_default(limits.pids, ""),
        or_default(limits.memory.map(|bytes| bytes >> 20), " MiB"),
        or_default(limits.open_files, "")
    )
}

fn row(plan: &Plan, intent: &Intent) -> String {
    let access = match intent.access {
        Access::Read => "read",
        Access::Write => "write",
        Access::Hidden => "hidden",
    };
    let origin = match &intent.origin {
        Origin::Table(name) => format!("table {name}"),
        Origin::Sandbox => "sandbox".into(),
        Origin::Project => "project".into(),
        Origin::Repository => "repository of the worktree".into(),
        Origin::Caller(option) => format!("option {option}"),
        Origin::Tool(what) => what.to_string(),
    };
    let path = intent.path.display().to_string();
    format!("{access:<7}{:<44} {} [{origin}]{}", path.escape_debug(), intent.reason, from(plan, intent))
}

/// Where a bind comes from, if that is not the same path.
fn from(plan: &Plan, intent: &Intent) -> String {
    let (What::Bind(id) | What::Device(id)) = &intent.what else {
        return String::new();
    };
    match plan.sources.get(id.0) {
        Some(source) if source.opener == Opener::Ours => " from our installation".into(),
        Some(source) if source.path != intent.path => format!(" from {}", shown(&source.path)),
        Some(source) if !source.required => " (if present)".into(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_aws_plan::{Grant, Wish, fixture, plan};
    use agent_aws_policy::Limits;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn the_plan_of_a_plain_session_reads_so() {
        let facts = vec![("source".into(), "system (workstation: profile file)".into())];
        let role = Some("arn:aws:iam::111122223333:role/agent-incident".into());
        let limits = Limits { memory: Some(4 << 30), ..Limits::default() };
        let grant = Grant { facts, role, limits, ..fixture::grant() };
        let wish = Wish {
            project: "/srv/work/p".into(),
            ro: vec![
                ("/srv/data".into(), Origin::Caller("--ro".into())),
                ("/home/jo/.cargo/bin".into(), Origin::Tool("toolchain".into())),
            ],
            command: vec![b"claude".to_vec(), b"-p".to_vec(), b"a\nb\x1b[31m".to_vec()],
            ..Wish::default()
        };
        let mut plan = plan(fixture::caller(), grant, &wish).unwrap();
        let given = [("TERM", "xterm"), ("PATH", ".:/usr/bin")];
        let given = given.map(|(name, value)| EnvVar { name: name.into(), value: value.into() });
        let ready = Prepared {
            environment: crate::inside::environment(&plan, &given, 100),
            directory: crate::inside::directory(&plan, "/srv/work/p/src".into()).into_os_string().into_vec(),
            files: ["/run/agent-aws/config", "/run/agent-aws/session.json"].map(|name| (name.into(), vec![])).into(),
            hide: vec![],
        };
        plan.complete(ready.files.clone(), vec![]).unwrap();
        insta::assert_snapshot!(explain(&plan, &ready));
    }
}
