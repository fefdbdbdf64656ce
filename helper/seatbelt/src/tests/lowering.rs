//! What becomes of a plan and of what was found.

use super::scenario::*;
use crate::template::{MOST, Slot};
use crate::{Found, Object, Profile, Tier, lower};
use agent_aws_policy::Network;

fn profile(of: Scenario, change: impl Fn(&mut Found)) -> Profile {
    let plan = of.plan();
    let mut found = found(&plan);
    change(&mut found);
    lower(&plan, &found, of.tier).unwrap()
}

fn may(profile: &Profile, operation: &str, path: &str) -> bool {
    profile.may(operation, &Object::Path(path)).unwrap().allowed
}

#[test]
fn the_same_plan_and_findings_give_the_same_profile() {
    for of in ALL {
        assert_eq!(of.profile(), of.profile());
    }
}

#[test]
fn a_store_that_is_a_link_is_closed_by_both_names_and_one_that_is_none_by_its_own() {
    let linked = profile(ALL[2], |_| {});
    let plain = profile(ALL[2], |found| found.links.clear());
    for operation in ["file-read-data", "file-write-unlink", "file-link"] {
        assert!(!may(&linked, operation, "/Users/alice/.aws/credentials"));
        assert!(!may(&linked, operation, "/Users/alice/dotfiles/aws/credentials"));
        assert!(!may(&plain, operation, "/Users/alice/.aws/credentials"));
        assert!(may(&plain, operation, "/Users/alice/dotfiles/aws/credentials"));
    }
    assert!(!may(&linked, "file-write-unlink", "/Users/alice/dotfiles"), "what leads to it is pinned");
}

#[test]
fn a_link_in_a_store_and_a_chain_of_links_are_followed_to_the_end() {
    let chained = profile(ALL[2], |found| {
        found.links.push(("/Users/alice/dotfiles/aws".into(), "/Volumes/stick/aws".into()));
    });
    assert!(!may(&chained, "file-read-data", "/Volumes/stick/aws/credentials"));
    assert!(!may(&chained, "file-read-data", "/Users/alice/data/kube"), "~/.kube/config leads there");
}

#[test]
fn a_home_that_the_user_database_calls_otherwise_is_closed_by_both_names() {
    let of = ALL[0];
    let mut plan = of.plan();
    plan.grant.rw_paths.push("/Volumes/homes/alice".into());
    let mut found = found(&plan);
    found.home = "/Volumes/homes/alice".into();
    let moved = |path: &std::path::Path| match path.strip_prefix(HOME) {
        Ok(rest) => found.home.join(rest),
        Err(_) => path.to_path_buf(),
    };
    let sources = found.sources.iter().map(|s| s.clone().map(|s| crate::Place { real: moved(&s.real), ..s })).collect();
    let (session, temporary) = (moved(&found.session), moved(&found.temporary));
    let found = Found { sources, session, temporary, ..found.clone() };
    let profile = lower(&plan, &found, of.tier).unwrap();
    for home in [HOME, "/Volumes/homes/alice"] {
        assert!(!may(&profile, "file-read-data", &format!("{home}/.ssh/id_ed25519")));
        assert!(!may(&profile, "file-read-data", &format!("{home}/papers/x")));
    }
    assert!(may(&profile, "file-write-data", "/Volumes/homes/alice/src/app/x"));
}

#[test]
fn what_the_plan_needs_and_is_not_there_ends_it() {
    let plan = ALL[0].plan();
    let mut found = found(&plan);
    let project = plan.sources.iter().position(|s| s.path == std::path::Path::new(PROJECT)).unwrap();
    found.sources[project] = None;
    let text = lower(&plan, &found, Tier::Guarded).unwrap_err().to_string();
    assert!(text.contains(PROJECT) && text.contains("not there"), "{text}");
}

#[test]
fn a_filtered_network_without_a_gateway_is_no_session() {
    let plan = Scenario { network: Network::Filtered, ..ALL[0] }.plan();
    let text = lower(&plan, &Found { proxy: None, ..found(&plan) }, Tier::Guarded).unwrap_err().to_string();
    assert!(text.contains("gateway"), "{text}");
}

#[test]
fn what_seatbelt_cannot_give_is_refused_and_not_left_out() {
    let refusal = |change: &dyn Fn(&mut agent_aws_plan::Grant)| {
        let mut plan = ALL[0].plan();
        change(&mut plan.grant);
        lower(&plan, &found(&plan), Tier::Guarded).unwrap_err().to_string()
    };
    assert!(refusal(&|grant| grant.nesting = true).contains("does not nest"));
    assert!(refusal(&|grant| grant.limits.memory = Some(1)).contains("control groups"));
    assert!(refusal(&|grant| grant.limits.pids = Some(1)).contains("control groups"));
    let shared = refusal(&|grant| grant.reach.unguarded = false);
    assert!(shared.contains("metadata services") && shared.contains("`filtered`"), "{shared}");
}

#[test]
fn what_is_the_sessions_own_cannot_open_what_is_closed() {
    let plan = ALL[2].plan();
    let refusal = |change: &dyn Fn(&mut Found)| {
        let mut found = found(&plan);
        change(&mut found);
        lower(&plan, &found, Tier::Guarded).unwrap_err().to_string()
    };
    for around in ["/", "/Users", HOME, "/Users/alice/.ssh", "/Users/alice/.ssh/x", "/Users/alice/dotfiles"] {
        let text = refusal(&|found| found.temporary = around.into());
        assert!(text.contains("secret store"), "{text}");
        assert!(refusal(&|found| found.per_user = vec![around.into()]).contains("secret store"));
        assert!(refusal(&|found| found.session = around.into()).contains("secret store"));
    }
    for other in ["/Users/alice/.aws/credentials", "/dev/ttys", "/dev/ttys1/x", "/dev/disk0"] {
        assert!(refusal(&|found| found.terminal = Some(other.into())).contains("/dev/ttys"), "{other}");
    }
    let null = plan.sources.iter().position(|s| s.path == std::path::Path::new("/dev/null")).unwrap();
    let place = crate::Place { real: "/Users/alice/papers/x".into(), directory: false };
    assert!(refusal(&|found| found.sources[null] = Some(place.clone())).contains("not in /dev"));
}

#[test]
fn what_a_link_leads_to_is_held_against_the_bounds_of_the_plan_and_of_macos() {
    let mut plan = ALL[0].plan();
    let project = plan.sources.iter().position(|s| s.path == std::path::Path::new(PROJECT)).unwrap();
    let refusal = |plan: &agent_aws_plan::Plan, real: &str| {
        let mut found = found(plan);
        found.sources[project] = Some(crate::Place { real: real.into(), directory: true });
        lower(plan, &found, Tier::Guarded).unwrap_err().to_string()
    };
    assert!(refusal(&plan, "/Users/bob/src").contains("outside"), "what policy lets one write");
    assert!(refusal(&plan, "/Users/alice/.ssh/x").contains("secret store"));
    assert!(refusal(&plan, "/Users/alice/dotfiles/aws/x").contains("secret store `/Users/alice/dotfiles/aws`"));
    plan.grant.rw_paths = vec!["/".into()];
    assert!(refusal(&plan, "/usr/local/x").contains("programs"));
    for real in ["/private/etc/x", "/Library/x", "/System", "/private/var", "/private/tmp", "/Volumes", "/opt/x"] {
        assert!(refusal(&plan, real).contains("may not be written"), "{real}");
    }
}

#[test]
fn the_pointer_of_a_worktree_is_not_written() {
    let of = ALL[2];
    let plan = of.plan();
    let mut found = found(&plan);
    let git = format!("{PROJECT}/.git");
    let ids = plan.sources.iter().enumerate().filter(|(_, s)| s.path == std::path::Path::new(&git));
    for (id, _) in ids {
        found.sources[id] = Some(crate::Place { real: git.clone().into(), directory: false });
    }
    let profile = lower(&plan, &found, of.tier).unwrap();
    assert!(!may(&profile, "file-write-data", &git));
    assert!(may(&of.profile(), "file-write-data", &format!("{git}/index")));
}

/// One writable place moved into another would take its rows away from their names.
#[test]
fn a_project_cannot_be_moved_into_another_writable_place() {
    for of in ALL {
        let profile = of.profile();
        for tree in [PROJECT, MORE, "/Users/alice/src"] {
            assert!(!may(&profile, "file-write-unlink", tree), "{of:?} {tree}");
        }
        assert!(may(&profile, "file-write-unlink", &format!("{PROJECT}/target")), "{of:?}");
    }
}

#[test]
fn a_form_without_values_is_left_out_and_never_left_without_a_filter() {
    for of in ALL {
        let profile = profile(of, |found| (found.terminal, found.sockets) = (None, vec![]));
        for form in &profile.forms {
            let text = form.expression.to_string();
            let wanted = form.template.contains('{') && form.template.matches('(').count() > 1;
            assert!(!wanted || text.matches('(').count() > 1, "{} became {text}", form.template);
            assert!(form.slots.len() <= MOST, "{text}");
        }
        assert!(!profile.text().contains("TERMINAL") && !profile.text().contains("ADMITTED"));
    }
}

#[test]
fn every_parameter_is_given_once_and_has_a_row_and_a_reason() {
    for of in ALL {
        let profile = of.profile();
        assert!(profile.text().len() < 65_536, "{}", profile.text().len());
        for parameter in profile.parameters() {
            assert_eq!(profile.text().matches(&format!("\"{}\"", parameter.name)).count(), 1, "{parameter:?}");
            let why = &parameter.why;
            assert!(!why.table.is_empty() && !why.row.is_empty() && !why.reason.is_empty(), "{parameter:?}");
        }
        let values = profile.forms.iter().flat_map(|f| &f.slots).filter(|s| matches!(s, Slot::Value(..))).count();
        assert_eq!(values, profile.parameters().len());
    }
}

#[test]
fn no_profile_has_a_form_that_lets_a_program_out_of_the_sandbox() {
    for of in ALL {
        let text = of.profile().text().to_owned();
        for word in ["no-sandbox", "import", "regex-quote", "debug", "string-append"] {
            assert!(!text.contains(word), "{word}");
        }
    }
}
