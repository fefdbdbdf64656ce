//! Names that try to be rules, and paths about which a rule would be dead.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use agent_aws_plan::{Wish, fixture, plan};
use agent_aws_policy::Home;
use proptest::prelude::*;

use super::scenario::{ALL, Scenario, found};
use crate::path::wrong;
use crate::{Object, Profile, Refusal, Tier, lower};

/// A session of a caller with this home and, below it, this project.
fn session(home: &Path, project: &str, of: Scenario) -> Result<Profile, Refusal> {
    let caller = agent_aws_plan::Caller { home: home.into(), ..fixture::caller() };
    let mut grant = of.grant();
    (grant.hide, grant.rw_paths) = (vec![], vec!["/".into()]);
    let wish = Wish { project: home.join(project), command: vec![b"true".to_vec()], ..Wish::default() };
    let plan = plan(caller, grant, &wish).unwrap();
    let mut found = found(&plan);
    (found.home, found.links) = (home.into(), vec![]);
    (found.session, found.temporary) = ("/private/var/agent-aws/s".into(), "/private/var/agent-aws/t".into());
    lower(&plan, &found, of.tier)
}

const EVIL: [&str; 8] = [
    r#"a")) (allow default) ((""#,
    r#"a" (subpath "/usr"))) (allow file* (subpath "/x"#,
    "a;b",
    "#\"^/\"",
    "(param \"HOME_9\")",
    "{store}",
    r"a\",
    "ü 漢 '`$(x)",
];

#[test]
fn a_home_and_a_project_that_try_to_be_rules_are_only_names() {
    for of in ALL {
        for evil in EVIL {
            let home = PathBuf::from(format!("/Users/{evil}"));
            let profile = session(&home, &format!("x/{evil}"), of).unwrap();
            let file = |path: &str| format!("/Users/{evil}/{path}");
            let may = |operation, path: &str| profile.may(operation, &Object::Path(path)).unwrap().allowed;
            assert!(!may("file-read-data", &file(".aws/credentials")), "{evil}");
            assert!(!may("file-write-data", &file(&format!("x/{evil}/.git/config"))), "{evil}");
            assert!(may("file-write-data", &file(&format!("x/{evil}/src"))), "{evil}");
            assert!(!may("file-write-data", "/Library/x"), "{evil}");
            assert!(!profile.text().contains(evil), "{evil}");
        }
    }
}

#[test]
fn a_path_that_the_kernel_would_call_otherwise_is_refused_and_it_is_said_why() {
    let of = |home: &[u8]| session(Path::new(OsStr::from_bytes(home)), "x", ALL[2]).unwrap_err().to_string();
    assert!(of(b"/Users/a\xff").contains("UTF-8"));
    assert!(of(b"/Users/a\nb").contains("control characters"));
    assert!(of(b"/Users/a\x1b[0m").contains(r"\u{1b}"), "a name does not reach the terminal as it is");
    let long = format!("/Users/{}", "a".repeat(1020));
    assert!(of(long.as_bytes()).contains("1023"));
    assert!(of(b"/Users//a").contains("empty parts"));
    assert!(of(b"/Users/a/").contains("empty parts"));
}

#[test]
fn what_is_found_must_be_the_kernels_own_spelling() {
    let plan = ALL[2].plan();
    let refusal = |change: &dyn Fn(&mut crate::Found)| {
        let mut found = found(&plan);
        change(&mut found);
        lower(&plan, &found, Tier::Guarded).unwrap_err().to_string()
    };
    for spelling in ["/tmp/s", "/var/folders/s", "/etc/s"] {
        assert!(refusal(&|f| f.session = spelling.into()).contains("/private"), "{spelling}");
        assert!(refusal(&|f| f.temporary = spelling.into()).contains("/private"), "{spelling}");
        assert!(refusal(&|f| f.per_user = vec![spelling.into()]).contains("/private"), "{spelling}");
        assert!(refusal(&|f| f.sockets = vec![spelling.into()]).contains("/private"), "{spelling}");
        assert!(refusal(&|f| f.home = spelling.into()).contains("/private"), "{spelling}");
    }
    assert!(refusal(&|f| f.session = "x".into()).contains("relative"));
    assert!(refusal(&|f| f.session = "/Users/alice/../bob".into()).contains("`..`"));
    assert!(refusal(&|f| f.links.push(("/Users/alice/.local".into(), "relative".into()))).contains("relative"));
    let through = refusal(&|f| f.links.push(("/Users/alice/src".into(), "/Volumes/work".into())));
    assert!(through.contains("symbolic link `/Users/alice/src`"), "{through}");
}

#[test]
fn a_session_whose_sockets_would_have_too_long_names_is_refused() {
    let plan = ALL[2].plan();
    let mut found = found(&plan);
    found.session = format!("/Users/alice/{}", "s".repeat(80)).into();
    let text = lower(&plan, &found, Tier::Guarded).unwrap_err().to_string();
    assert!(text.contains("103 bytes"), "{text}");
}

/// Names of directories, with everything that means something to a reader of Scheme.
fn name() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        Just("\"".to_owned()),
        Just("(".to_owned()),
        Just(")".to_owned()),
        Just("\\".to_owned()),
        Just(";".to_owned()),
        Just("#".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just(" ".to_owned()),
        Just("'".to_owned()),
        Just("(allow default)".to_owned()),
        Just("(param".to_owned()),
        "[a-z.]{1,3}",
        "\\PC",
    ];
    prop::collection::vec(one, 1..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// The text depends on how many values there are, and on no value.
    #[test]
    fn the_text_is_the_same_whatever_the_names_are(user in name(), project in name(), which in 0..ALL.len()) {
        let of = ALL[which];
        let (home, inner) = (format!("/Users/{user}"), format!("src/{project}"));
        prop_assume!(wrong(&format!("{home}/{inner}")).is_none() && !inner.contains("agent-aws"));
        let profile = session(Path::new(&home), &inner, of).unwrap();
        let plain = session(Path::new("/Users/alice"), &"src/p/p".replace("/p/p", &"/p".repeat(inner.matches('/').count())), of);
        let plain = plain.unwrap();
        prop_assert_eq!(profile.text(), plain.text());
        let names = |p: &Profile| p.parameters().iter().map(|p| p.name.clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(&profile), names(&plain));
    }

    /// Whatever the home is called, its stores are closed and the project's rows are not written.
    #[test]
    fn stores_are_closed_in_any_home(user in name(), which in 0..ALL.len()) {
        let home = format!("/Users/{user}");
        prop_assume!(wrong(&home).is_none());
        let profile = session(Path::new(&home), "src/p", ALL[which]).unwrap();
        for (operation, path) in [
            ("file-read-data", ".aws/credentials"), ("file-write-unlink", ".aws"), ("file-clone", ".ssh/id_ed25519"),
            ("file-read-data", "Library/Keychains/login.keychain-db"), ("file-write-create", "src/p/.git/hooks/pre-commit"),
        ] {
            let verdict = profile.may(operation, &Object::Path(&format!("{home}/{path}"))).unwrap();
            prop_assert!(!verdict.allowed, "{}: {}", path, verdict);
        }
    }

    /// A path is taken as it is or refused, never changed.
    #[test]
    fn a_value_is_the_path_that_it_was_made_of(user in name()) {
        let home = format!("/Users/{user}");
        match session(Path::new(&home), "src/p", ALL[0]) {
            Ok(profile) => prop_assert!(profile.parameters().iter().any(|p| p.value == home)),
            Err(_) => prop_assert!(wrong(&home).is_some()),
        }
    }

    /// The reader and the rules answer any text with rules or an error.
    #[test]
    fn no_text_makes_the_evaluator_fall_over(text in "(\\PC|[()\"#;\\\\ ]){0,60}") {
        let _ = crate::Rules::read(&text, std::iter::empty());
        let _ = crate::Rules::read(&format!("(version 1)(allow default)(deny file* {text})"), std::iter::empty());
    }
}

#[test]
fn a_home_of_the_agents_is_made_of_names_too() {
    let of = Scenario { home: Home::Agent, ..ALL[0] };
    let profile = session(Path::new("/Users/a\"b"), "x", of).unwrap();
    let own = "/Users/a\"b/.local/share/agent-aws/homes/standard/incident/default/.zshrc";
    assert!(profile.may("file-write-data", &Object::Path(own)).unwrap().allowed);
    assert!(!profile.may("file-write-data", &Object::Path("/Users/a\"b/.zshrc")).unwrap().allowed);
}
