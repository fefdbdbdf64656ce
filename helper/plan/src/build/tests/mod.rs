use super::*;
use crate::fixture::{caller, grant};

fn wish(project: &str) -> Wish {
    Wish { project: project.into(), command: vec![b"true".to_vec()], ..Wish::default() }
}

fn refusal(project: &str) -> String {
    plan(caller(), grant(), &wish(project)).unwrap_err().to_string()
}

#[test]
fn a_home_a_parent_of_one_and_the_root_are_no_projects() {
    assert!(refusal("/home/jo").contains("home directory"));
    assert!(refusal("/home").contains("all homes"));
    assert!(refusal("/").contains("whole host"));
}

#[test]
fn a_secret_store_its_parent_and_its_inside_are_no_projects() {
    assert!(refusal("/home/jo/.aws").contains("secret store"));
    assert!(refusal("/home/jo/.aws/sso").contains("secret store"));
    assert!(refusal("/home/jo/.config").contains("secret store"));
    assert!(refusal("/home/jo/.local/share/agent-aws/homes/x").contains("secret store"));
}

#[test]
fn system_directories_and_what_lies_in_them_are_no_projects() {
    for path in ["/etc", "/etc/x", "/usr/share", "/run/agent-aws/x", "/proc/1/root"] {
        assert!(refusal(path).contains("refused"), "{path}");
    }
}

#[test]
fn a_project_outside_the_bounds_of_the_sandbox_names_them() {
    let text = refusal("/srv/other");
    assert!(text.contains("/srv/work"), "{text}");
}

#[test]
fn a_path_with_dots_is_refused_before_it_is_compared() {
    assert!(refusal("/srv/work/../../etc").contains("no absolute path"));
    assert!(refusal("work").contains("no absolute path"));
}

#[test]
fn a_link_that_leads_out_of_the_bounds_is_refused_by_its_real_path() {
    let g = grant();
    let p = plan(caller(), g.clone(), &wish("/srv/work/link")).unwrap();
    let id = p.sources.iter().position(|s| s.path == Path::new("/srv/work/link")).map(SourceId).unwrap();
    assert!(p.check_real(id, Path::new("/srv/other")).is_err());
    assert!(p.check_real(id, Path::new("/home/jo/.ssh")).is_err());
    assert!(p.check_real(id, Path::new("/srv/work/real")).is_ok());
}

#[test]
fn every_ancestor_of_a_trusted_row_is_pinned_before_the_row() {
    let p = plan(caller(), grant(), &wish("/srv/work/p")).unwrap();
    let at = |path: &str| p.intents.iter().position(|i| i.path == Path::new(path)).unwrap();
    assert!(at("/srv/work/p") < at("/srv/work/p/.git"));
    assert!(at("/srv/work/p/.git") < at("/srv/work/p/.git/hooks"));
    let git = &p.intents[at("/srv/work/p/.git")];
    assert_eq!(git.access, Access::Write);
    assert_eq!(p.intents[at("/srv/work/p/.git/hooks")].access, Access::Read);
}

#[test]
fn one_home_for_each_identity_sandbox_and_name() {
    let home = |sandbox: &str, identity: &str, name| {
        let g = Grant { sandbox: sandbox.into(), identity: identity.into(), ..grant() };
        home_of(&caller(), &g, name).unwrap()
    };
    assert_ne!(home("standard", "a", None), home("standard", "b", None));
    assert_ne!(home("a", "b", None), home("b", "a", None));
    assert_ne!(home("s", "own:dev", None), home("s", "own%3adev", None));
    assert_ne!(home("s", "a", None), home("s", "a", Some("second")));
    assert!(home("s", "own:../../x", None).ends_with("own%3a%2e%2e%2f%2e%2e%2fx/default"));
    for name in ["", "..", ".hidden", "a/b", "a b", "\u{fc}"] {
        assert!(home_of(&caller(), &grant(), Some(name)).is_err(), "{name}");
    }
}

#[test]
fn homes_are_shared_between_identities_only_where_policy_says_so() {
    let shared = |identity: &str, share_homes| {
        home_of(&caller(), &Grant { identity: identity.into(), share_homes, ..grant() }, None).unwrap()
    };
    assert_eq!(shared("a", true), shared("b", true));
    assert_ne!(shared("a", true), shared("@shared", false));
}

#[test]
fn a_real_home_shows_no_secret_store_and_nothing_that_is_to_be_hidden() {
    let g = Grant { home: Home::RealReadOnly, ..grant() };
    let mut p = plan(caller(), g.clone(), &wish("/home/jo/src/p")).unwrap();
    let access = |p: &Plan, path: &str| p.intents.iter().find(|i| i.path == Path::new(path)).map(|i| i.access);
    assert_eq!(access(&p, "/home/jo"), Some(Access::Read));
    assert_eq!(access(&p, "/home/jo/src/p"), Some(Access::Write));
    assert!(p.mount_points.is_empty());
    let hide = ["/home/jo/.aws", "/home/jo/.cache/x/socket", "/home/jo/.aws/inside", "/etc/elsewhere"];
    let hide = hide.map(Vec::from).to_vec();
    p.complete(vec![], hide.clone()).unwrap();
    assert_eq!((access(&p, "/home/jo/.aws"), access(&p, "/home/jo/.cache")), (Some(Access::Hidden), None));
    assert_eq!(access(&p, "/home/jo/.cache/x/socket"), Some(Access::Hidden));
    assert_eq!((access(&p, "/home/jo/.aws/inside"), access(&p, "/etc/elsewhere")), (None, None));
    assert!(p.complete(vec![], vec![b"/home/jo/../../etc".to_vec()]).is_err());
    let mut writable = plan(caller(), Grant { home: Home::Real, ..grant() }, &wish("/srv/work/p")).unwrap();
    writable.complete(vec![], hide).unwrap();
    // What leads to something hidden cannot be renamed away.
    assert_eq!([".cache", ".cache/x"].map(|p| access(&writable, &format!("/home/jo/{p}"))), [Some(Access::Write); 2]);
    assert_eq!(access(&writable, "/home/jo"), Some(Access::Write));
    let odd = Caller { home: "/usr/games".into(), ..caller() };
    assert!(plan(odd, g, &wish("/srv/work/p")).is_err());
}

#[test]
fn what_policy_hides_is_masked_where_it_would_be_seen_and_no_project() {
    let g = Grant { hide: vec!["/opt/secret".into(), "/srv/work/p/keys".into(), "/mnt/x".into()], ..grant() };
    let p = plan(caller(), g.clone(), &wish("/srv/work/p")).unwrap();
    let masked = |path: &str| p.intents.iter().any(|i| i.path == Path::new(path) && i.access == Access::Hidden);
    assert!(masked("/opt/secret") && masked("/srv/work/p/keys") && !masked("/mnt/x"));
    assert!(plan(caller(), g.clone(), &wish("/srv/work/p/keys/sub")).unwrap_err().to_string().contains("policy hides"));
    let ro = Wish { ro: vec![("/opt/secret".into(), Origin::Caller("--ro".into()))], ..wish("/srv/work/p") };
    assert!(plan(caller(), g, &ro).is_err());
}

#[test]
fn a_row_is_lifted_only_where_policy_allows_it() {
    let lifted = |may: &[&str], row: &str| {
        let g = Grant { may_lift: may.iter().map(ToString::to_string).collect(), ..grant() };
        plan(caller(), g, &Wish { lift: vec![row.into()], ..wish("/srv/work/p") })
    };
    let shows = |p: &Plan, path: &str| p.intents.iter().any(|i| i.path == Path::new(path));
    let p = lifted(&[".git/config"], ".git/config").unwrap();
    assert!(!shows(&p, "/srv/work/p/.git/config") && shows(&p, "/srv/work/p/.git/hooks"));
    assert!(lifted(&["*"], ".envrc").is_ok());
    assert!(lifted(&[".envrc"], ".git/config").unwrap_err().to_string().contains("may-lift"));
    assert!(lifted(&["*"], "src").unwrap_err().to_string().contains("no protected row"));
}

#[test]
fn the_repository_of_a_worktree_is_protected_alike() {
    let w = Wish { repository: "/srv/work/main/.git".into(), ..wish("/srv/work/tree") };
    let p = plan(caller(), grant(), &w).unwrap();
    let access = |path: &str| p.intents.iter().find(|i| i.path == Path::new(path)).map(|i| i.access);
    assert_eq!(access("/srv/work/main/.git"), Some(Access::Write));
    assert_eq!(access("/srv/work/main/.git/hooks"), Some(Access::Read));
    assert_eq!(access("/srv/work/main/.git/config"), Some(Access::Read));
    assert_eq!(access("/srv/work/main/.git/.envrc"), None);
    let outside = Wish { repository: "/srv/other/.git".into(), ..w };
    assert!(plan(caller(), grant(), &outside).unwrap_err().to_string().contains("repository of this worktree"));
}

#[test]
fn toolchains_are_shown_in_the_agents_home_and_never_a_secret_store() {
    let tool = |path: &str| (PathBuf::from(path), Origin::Tool("toolchain".into()));
    let w = Wish { ro: vec![tool("/home/jo/.cargo/bin"), tool("/home/jo/.cargo/bin")], ..wish("/srv/work/p") };
    let p = plan(caller(), grant(), &w).unwrap();
    assert_eq!(p.mount_points.iter().map(|m| m.below.clone()).collect::<Vec<_>>(), [PathBuf::from(".cargo/bin")]);
    // Nobody asked for it by name, so it is left out and no reason to refuse a run.
    let hidden = Grant { hide: vec!["/home/jo/.nvm".into()], ..grant() };
    let odd = Wish { ro: ["/home/jo/.ssh", "/home/jo/.nvm", "/home/jo"].map(tool).to_vec(), ..w.clone() };
    assert!(!plan(caller(), hidden, &odd).unwrap().intents.iter().any(|i| matches!(i.origin, Origin::Tool(_))));
    let real = plan(caller(), Grant { home: Home::Real, ..grant() }, &w).unwrap();
    assert!(!real.intents.iter().any(|i| i.path == Path::new("/home/jo/.cargo/bin")));
}

#[test]
fn what_is_mounted_below_the_home_gets_a_mount_point_there() {
    let p = plan(caller(), grant(), &wish("/home/jo/src/p")).unwrap();
    let below: Vec<_> = p.mount_points.iter().map(|m| m.below.clone()).collect();
    assert_eq!(below, [PathBuf::from("src/p")]);
    assert!(plan(caller(), grant(), &wish("/srv/work/p")).unwrap().mount_points.is_empty());
}

#[test]
fn files_for_the_agent_lie_in_the_sandboxs_own_run_or_say_how_names_are_looked_up() {
    let complete = |path: &str| {
        let mut p = plan(caller(), grant(), &wish("/srv/work/p")).unwrap();
        p.complete(vec![(path.into(), b"x".to_vec())], vec![])
    };
    for names in ["/run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf", "/etc/hosts"] {
        assert!(complete(names).is_ok(), "{names}");
    }
    for other in ["/etc/passwd", "/etc/hosts/x", "/run/../etc/passwd", "run/x", "/srv/work/p/.git/hooks/x"] {
        assert!(complete(other).is_err(), "{other}");
    }
}
