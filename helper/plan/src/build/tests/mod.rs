use super::*;

fn caller() -> Caller {
    Caller { uid: 1000, gid: 1000, login: "jo".into(), home: "/home/jo".into(), shell: "/bin/sh".into() }
}

fn grant() -> Grant {
    Grant {
        session: "0011223344556677".into(),
        identity: "incident".into(),
        facts: vec![],
        aliases: vec!["prod-readonly".into()],
        access: "read".into(),
        region: Some("eu-west-1".into()),
        sandbox: "standard".into(),
        network: Network::None,
        nesting: false,
        waived: vec![],
        rw_paths: vec!["/home/jo".into(), "/srv/work".into()],
    }
}

fn wish(project: &str) -> Wish {
    Wish {
        project: project.into(),
        directory: project.into(),
        command: vec![b"true".to_vec()],
        door: 100,
        ..Wish::default()
    }
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
fn one_home_for_each_identity_and_sandbox() {
    let home = |s, i| home_of(&caller(), s, i);
    assert_ne!(home("standard", "a"), home("standard", "b"));
    assert_ne!(home("a", "b"), home("b", "a"));
    assert_ne!(home("s", "own:dev"), home("s", "own%3adev"));
    assert!(home("s", "own:../../x").ends_with("own%3a%2e%2e%2f%2e%2e%2fx"));
}

#[test]
fn what_is_mounted_below_the_home_gets_a_mount_point_there() {
    let p = plan(caller(), grant(), &wish("/home/jo/src/p")).unwrap();
    let below: Vec<_> = p.mount_points.iter().map(|m| m.below.clone()).collect();
    assert_eq!(below, [PathBuf::from("src/p")]);
    assert!(plan(caller(), grant(), &wish("/srv/work/p")).unwrap().mount_points.is_empty());
}

#[test]
fn every_profile_name_of_the_generated_configuration_leads_to_the_one_client() {
    let text = generated::aws_config(&grant(), Path::new("/run/agent-aws/agent-aws-credentials"));
    assert!(text.contains("[default]") && text.contains("[profile prod-readonly]"));
    assert_eq!(text.matches("credential_process = /run/agent-aws/agent-aws-credentials").count(), 3);
    assert!(!text.contains("aws_secret_access_key"));
}

#[test]
fn the_private_door_is_announced_only_where_it_exists() {
    let name = b"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI".to_vec();
    let has = |g: &Grant| {
        let p = plan(caller(), g.clone(), &wish("/srv/work/p")).unwrap();
        p.environment.iter().any(|(n, _)| *n == name)
    };
    assert!(has(&grant()));
    assert!(!has(&Grant { network: Network::Shared, ..grant() }));
}

#[test]
fn no_credential_variable_reaches_the_environment_even_if_asked_for() {
    let mut w = wish("/srv/work/p");
    w.environment = vec![(b"AWS_SESSION_TOKEN".to_vec(), b"x".to_vec())];
    let refused = plan(caller(), grant(), &w).unwrap_err();
    assert!(matches!(refused, PlanError::Variable(EnvError::Refused(..))), "{refused}");
}

#[test]
fn the_plan_of_a_plain_session_reads_so() {
    let mut w = wish("/srv/work/p");
    w.ro = vec!["/srv/data".into()];
    w.environment = vec![(b"TERM".to_vec(), b"xterm".to_vec()), (b"PATH".to_vec(), b".:/usr/bin".to_vec())];
    w.command = vec![b"claude".to_vec(), b"-p".to_vec(), b"a\nb\x1b[31m".to_vec()];
    let g = Grant { facts: vec![("role".into(), "arn:aws:iam::111122223333:role/agent-incident".into())], ..grant() };
    insta::assert_snapshot!(crate::explain(&plan(caller(), g, &w).unwrap()));
}
