use std::path::PathBuf;

use agent_aws_plan::{Grant, Wish, fixture, plan};

use super::*;

fn a_plan(network: Network) -> Plan {
    let grant = Grant { network, aliases: vec![], region: None, rw_paths: vec!["/".into()], ..fixture::grant() };
    let project = PathBuf::from("/home/jo/p");
    let wish = Wish { project, command: vec![b"true".to_vec()], ..Wish::default() };
    let mut plan = plan(fixture::caller(), grant, &wish).unwrap();
    plan.complete(
        vec![("/run/agent-aws/config".into(), vec![]), ("/run/agent-aws/session.json".into(), vec![])],
        vec![],
    )
    .unwrap();
    plan
}

/// A Debian host, with a repository as the project.
fn found(plan: &Plan) -> Vec<Kind> {
    let kind = |path: &Path| match path.to_str().unwrap() {
        "/bin" | "/sbin" | "/lib" | "/lib64" => {
            Kind::Link(path.strip_prefix("/").map(|p| Path::new("usr").join(p)).unwrap())
        }
        "/etc/shadow" | "/home/jo/p/.git/config" | "agent-aws-credentials" | "agent-aws-init" => Kind::File,
        p if p.starts_with("/dev/") => Kind::File,
        "/usr" | "/etc" | "/etc/agent-aws" | "/sys/devices/system/cpu" => Kind::Directory,
        "/home/jo/p" | "/home/jo/p/.git" | "/home/jo/p/.git/hooks" => Kind::Directory,
        p if p.contains("agent-aws/homes") => Kind::Directory,
        _ => Kind::Missing,
    };
    plan.sources.iter().map(|s| kind(&s.path)).collect()
}

const FACTS: KernelFacts = KernelFacts { landlock: 7, user_namespace: false };

#[test]
fn the_operations_of_a_plain_session_are_these() {
    let plan = a_plan(Network::None);
    let lowered = lower(&plan, &found(&plan), &FACTS).unwrap();
    let text: String = lowered.ops.iter().map(|op| format!("{}\n", short(op))).collect();
    let golden = include_str!("golden.txt");
    assert_eq!(text, golden, "if the change is meant, write this to golden.txt:\n{text}");
}

fn short(op: &Op) -> String {
    match op {
        Op::File { path, .. } => format!("File {}", path.display()),
        Op::Attach { source: _, path, read_only, devices } => {
            let access = if *read_only { "ro" } else { "rw" };
            format!("Attach {} {access}{}", path.display(), if *devices { " dev" } else { "" })
        }
        Op::Memory { path, mode, .. } => format!("Memory {} {mode:o}", path.display()),
        Op::Fifo { path, mode } => format!("Fifo {} {mode:o}", path.display()),
        op => format!("{op:?}"),
    }
}

#[test]
fn nothing_of_the_host_is_attached_writable_but_home_project_and_devices() {
    let plan = a_plan(Network::Shared);
    let lowered = lower(&plan, &found(&plan), &FACTS).unwrap();
    for op in &lowered.ops {
        if let Op::Attach { path, read_only: false, devices, .. } = op {
            let ours = path.starts_with("/home/jo") || (*devices && path.starts_with("/dev"));
            assert!(ours, "{}", path.display());
        }
    }
}

#[test]
fn a_kernel_without_landlock_is_refused_unless_policy_waives_it() {
    let mut plan = a_plan(Network::None);
    let none = KernelFacts { landlock: 0, ..FACTS };
    assert!(lower(&plan, &found(&plan), &none).unwrap_err().to_string().contains("waiver"));
    plan.grant.waived = vec!["landlock".into()];
    assert!(!lower(&plan, &found(&plan), &none).unwrap().fence.files);
}

#[test]
fn a_shared_network_needs_scopes_unless_policy_waives_them() {
    let mut plan = a_plan(Network::Shared);
    let old = KernelFacts { landlock: 3, ..FACTS };
    assert!(lower(&plan, &found(&plan), &old).is_err());
    assert!(lower(&a_plan(Network::None), &found(&plan), &old).is_ok());
    plan.grant.waived = vec!["landlock-scopes".into()];
    assert!(lower(&plan, &found(&plan), &old).is_ok());
}

#[test]
fn a_filtered_network_is_a_namespace_of_its_own_with_files_of_its_own_for_names() {
    let mut plan = a_plan(Network::Filtered);
    plan.complete(vec![(b"/etc/hosts".to_vec(), b"x".to_vec())], vec![]).unwrap();
    let lowered = lower(&plan, &found(&plan), &FACTS).unwrap();
    assert!(lowered.private_network && lowered.ops.iter().any(|op| matches!(op, Op::HttpDoor { .. })));
    let at = |wanted: &Op| lowered.ops.iter().position(|op| op == wanted).unwrap();
    let made = PathBuf::from("/run/agent-aws/etc/hosts");
    let file = at(&Op::File { path: made.clone(), content: b"x".to_vec() });
    assert!(file < at(&Op::Over { path: "/etc/hosts".into(), made }));
}

#[test]
fn nesting_leaves_scopes_but_no_file_rule() {
    let mut plan = a_plan(Network::None);
    plan.grant.nesting = true;
    let fence = lower(&plan, &found(&plan), &FACTS).unwrap().fence;
    assert!(!fence.files && fence.scopes && fence.nesting);
}

#[test]
fn nothing_is_mounted_below_proc_where_an_inner_sandbox_needs_one_unless_for_root() {
    let frozen = |uid, nesting| {
        let mut plan = a_plan(Network::None);
        (plan.caller.uid, plan.grant.nesting) = (uid, nesting);
        let lowered = lower(&plan, &found(&plan), &FACTS).unwrap();
        lowered.ops.iter().any(|op| matches!(op, Op::Freeze { .. }))
    };
    assert!(!frozen(1000, true) && frozen(1000, false) && frozen(0, true) && frozen(0, false));
}

#[test]
fn a_required_source_that_is_missing_names_its_path() {
    let plan = a_plan(Network::None);
    let mut found = found(&plan);
    let project = plan.sources.iter().position(|s| s.path == Path::new("/home/jo/p")).unwrap();
    found[project] = Kind::Missing;
    assert!(lower(&plan, &found, &FACTS).unwrap_err().to_string().contains("/home/jo/p"));
}
