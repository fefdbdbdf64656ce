//! Entry conditions 29, 30 and 36: an installation that is not as it must be.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::fs::{Permissions, copy, hard_link, set_permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_e2e::start::{Answer, Start, nothing_is_left, request};
use agent_aws_harness::{Case, Mode, Scene, case, suite};
use agent_aws_protocol::HelperToCli;
use nix::mount::{MsFlags, mount};

const CASES: &[Case] = &[
    case!(a_nosuid_mount_is_named_as_the_cause).setuid(),
    case!(a_lost_setuid_bit_is_named_and_gives_no_system_source).setuid(),
    case!(a_helper_of_somebody_elses_is_refused).setuid(),
    case!(a_helper_that_others_may_write_is_refused).setuid(),
    case!(a_directory_that_others_may_write_is_refused).setuid(),
    case!(a_program_beside_the_helper_must_be_roots).setuid(),
    case!(a_hard_link_elsewhere_is_refused).setuid(),
    case!(a_copy_elsewhere_has_no_power).setuid(),
    case!(a_setuid_copy_in_a_callers_directory_is_refused).setuid(),
    case!(a_link_to_the_helper_leads_to_its_own_directory).setuid(),
    case!(a_setgid_bit_is_refused).setuid(),
    case!(an_effective_group_of_the_callers_own_is_refused).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// The helper of the installation that is to be broken; it works before.
fn helper(scene: &Scene) -> PathBuf {
    assert_eq!(Start::helper(scene, &["echo", "ran"]).ask(request(scene)).says(), "ran\n", "the control");
    scene.sts.clear_requests();
    scene.machine.libexec().join("agent-aws-helper")
}

fn ask(scene: &Scene, program: &Path) -> Answer {
    Start::helper(scene, &["echo", "ran"]).instead(program).ask(request(scene))
}

/// Refused with these words, directly and through the CLI; nobody was asked for credentials and nothing is left.
#[track_caller]
fn refused(scene: &Scene, words: &str) {
    ask(scene, &scene.machine.libexec().join("agent-aws-helper")).refused(words);
    Start::run_of(scene, &["true"]).run().refused(words);
    assert!(scene.sts.requests().is_empty(), "somebody asked the STS: {:?}", scene.sts.requests());
    nothing_is_left(scene);
}

fn mode_of(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Case 29: what `mount -o nosuid` does to every setuid program.
fn a_nosuid_mount_is_named_as_the_cause(mode: Mode) {
    let scene = Scene::new(mode);
    helper(&scene);
    let (directory, none) = (scene.machine.libexec(), None::<&str>);
    mount(Some(&directory), &directory, none, MsFlags::MS_BIND, none).unwrap();
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID;
    mount(none, &directory, none, flags, none).unwrap();
    refused(&scene, "nosuid");
}

/// Case 29, sudo-rs `misc.rs`: `cp`, `chown` and a careless package lose the bit. It is an installation without power
/// then, and says so.
fn a_lost_setuid_bit_is_named_and_gives_no_system_source(mode: Mode) {
    let scene = Scene::new(mode);
    mode_of(&helper(&scene), 0o755);
    refused(&scene, "needs the setuid helper");
    let own =
        agent_aws_protocol::RunRequest { identity: agent_aws_protocol::Ask::Own("dev".into()), ..request(&scene) };
    let answer = Start::helper(&scene, &["true"]).ask(agent_aws_protocol::RunRequest { wait: false, ..own });
    let said =
        answer.messages.iter().any(|m| matches!(m, HelperToCli::Notice(text) if text.contains("without the setuid")));
    assert!(said, "{answer}");
    nothing_is_left(&scene);
}

/// Case 29: a setuid program of Alice's (who calls it) or of Bob's (who does not).
fn a_helper_of_somebody_elses_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let helper = helper(&scene);
    for owner in ["alice", "bob"] {
        chown(&helper, Some(scene.machine.user(owner).uid), None).unwrap();
        mode_of(&helper, 0o4755);
        refused(&scene, "not root's own");
    }
}

/// Case 29: whoever writes to the file decides what root runs. (A write clears the bit; a mapping or a mode that was
/// set afterwards does not.)
fn a_helper_that_others_may_write_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let helper = helper(&scene);
    for wrong in [0o4775, 0o4757] {
        mode_of(&helper, wrong);
        refused(&scene, "others may write to it");
    }
}

/// Case 29: so does whoever can replace the file, at any height.
fn a_directory_that_others_may_write_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    helper(&scene);
    let directory = scene.machine.libexec();
    for place in [&directory, &scene.machine.prefix().join("libexec"), &scene.machine.prefix()] {
        mode_of(place, 0o777);
        refused(&scene, "others may write to it");
        mode_of(place, 0o755);
        chown(place, Some(scene.machine.user("bob").uid), None).unwrap();
        refused(&scene, "not root's own");
        chown(place, Some(0), None).unwrap();
    }
    assert_eq!(ask(&scene, &directory.join("agent-aws-helper")).says(), "ran\n");
}

/// Case 29: what root executes besides itself.
fn a_program_beside_the_helper_must_be_roots(mode: Mode) {
    let scene = Scene::new(mode);
    helper(&scene);
    for (name, usual) in [("agent-aws-broker", 0o711), ("agent-aws-init", 0o711), ("agent-aws-credentials", 0o755)] {
        let path = scene.machine.libexec().join(name);
        mode_of(&path, 0o777);
        ask(&scene, &scene.machine.libexec().join("agent-aws-helper")).refused(name);
        mode_of(&path, usual);
        chown(&path, Some(scene.machine.user("bob").uid), None).unwrap();
        ask(&scene, &scene.machine.libexec().join("agent-aws-helper")).refused(name);
        chown(&path, Some(0), None).unwrap();
        nothing_is_left(&scene);
    }
}

/// Case 30, CVE-2021-44730 (snap-confine): a link keeps an old version, with its holes, through an upgrade.
fn a_hard_link_elsewhere_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let helper = helper(&scene);
    // Made by root: where protected_hardlinks is off, a caller can.
    let kept = Path::new("/usr/local/kept-helper");
    hard_link(&helper, kept).unwrap();
    ask(&scene, kept).refused("hard-linked");
    refused(&scene, "hard-linked");
}

/// Case 30: a caller's copy is a program like any other, and starts nothing that root's installation has.
fn a_copy_elsewhere_has_no_power(mode: Mode) {
    let scene = Scene::new(mode);
    let (helper, alice) = (helper(&scene), scene.machine.user("alice"));
    let theirs = scene.machine.project(&alice).join("agent-aws-helper");
    copy(&helper, &theirs).unwrap();
    chown(&theirs, Some(alice.uid), Some(alice.gid)).unwrap();
    mode_of(&theirs, 0o755);
    ask(&scene, &theirs).refused("agent-aws-reader: No such file");
    // With what it takes to decide beside it, too.
    let reader = theirs.with_file_name("agent-aws-reader");
    copy(helper.with_file_name("agent-aws-reader"), &reader).unwrap();
    mode_of(&reader, 0o755);
    ask(&scene, &theirs).refused("needs the setuid helper");
    mode_of(&theirs, 0o4755);
    ask(&scene, &theirs).refused("");
    assert!(scene.sts.requests().is_empty());
    nothing_is_left(&scene);
}

/// Case 30: root's file in a directory of the caller's, where the caller decides what lies beside it.
fn a_setuid_copy_in_a_callers_directory_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let (helper, alice) = (helper(&scene), scene.machine.user("alice"));
    let theirs = scene.machine.project(&alice).join("agent-aws-helper");
    copy(&helper, &theirs).unwrap();
    mode_of(&theirs, 0o4755);
    let broker = theirs.with_file_name("agent-aws-broker");
    scene.machine.file(&alice, &broker, 0o755, "#!/bin/sh\nid -u >it-ran-as\n");
    ask(&scene, &theirs).refused("not root's own");
    assert!(!theirs.with_file_name("it-ran-as").exists());
    nothing_is_left(&scene);
}

/// Case 30: a symbolic link is no other place: what is executed lies beside the file itself.
fn a_link_to_the_helper_leads_to_its_own_directory(mode: Mode) {
    let scene = Scene::new(mode);
    let (helper, alice) = (helper(&scene), scene.machine.user("alice"));
    let link = scene.machine.project(&alice).join("agent-aws-helper");
    std::os::unix::fs::symlink(helper, &link).unwrap();
    scene.machine.file(&alice, &link.with_file_name("agent-aws-broker"), 0o755, "#!/bin/sh\nid -u >it-ran-as\n");
    assert_eq!(ask(&scene, &link).says(), "ran\n");
    assert!(!link.with_file_name("it-ran-as").exists());
    nothing_is_left(&scene);
}

/// Case 36, unix_chkpwd: a group that the caller does not have must not stay, nor reach the agent.
fn a_setgid_bit_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let helper = helper(&scene);
    let bob = scene.machine.user("bob").gid;
    for (gid, bits) in [(bob, 0o6755), (0, 0o6755), (bob, 0o2755)] {
        chown(&helper, Some(0), Some(gid)).unwrap();
        mode_of(&helper, bits);
        refused(&scene, "setgid bit");
    }
}

/// Case 36: the same from the caller's side: started by a program with another effective group.
fn an_effective_group_of_the_callers_own_is_refused(mode: Mode) {
    let scene = Scene::new(mode);
    let (alice, bob) = (scene.machine.user("alice"), scene.machine.user("bob"));
    let mut start = Start::helper(&scene, &["true"]);
    start.ids = None;
    let start = start.as_root(move || {
        nix::unistd::setgroups(&[])?;
        nix::unistd::setresgid(alice.gid.into(), bob.gid.into(), bob.gid.into())?;
        nix::unistd::setresuid(alice.uid.into(), alice.uid.into(), alice.uid.into()).map_err(Into::into)
    });
    start.ask(request(&scene)).refused("effective group");
    nothing_is_left(&scene);
}
