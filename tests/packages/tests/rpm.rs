//! The RPM, as far as a Debian can show it: what rpmlint says, and installing, using and erasing it where rpm is all there
//! is. What it needs are names of Fedora's, so rpm is told not to look for them.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::process::ExitCode;

use agent_aws_packages::use_of::{SECRET, configure, emulator, session};
use agent_aws_packages::{Case, Machine, ask, case, rpm, suite, workspace};

const HELPER: &str = "/usr/libexec/agent-aws/agent-aws-helper";

const CASES: &[Case] = &[
    case!(rpmlint_finds_nothing_that_is_not_explained),
    case!(an_ordinary_user_has_an_identity_after_rpm_has_installed_it),
    case!(erasing_leaves_what_an_admin_wrote_and_nothing_else),
    case!(a_second_name_of_the_helper_loses_its_bit_with_it),
    case!(a_pre_script_that_fails_installs_no_file),
];
const PROGRAMS: &[&str] = &["mmdebstrap", "unshare", "pivot_root", "rpm", "rpmlint"];

fn main() -> ExitCode {
    suite(CASES, PROGRAMS)
}

fn rpmlint_finds_nothing_that_is_not_explained() {
    let explained = workspace().join("packaging/rpm/agent-aws.rpmlintrc");
    let package = rpm().display().to_string();
    let said = ask("rpmlint", &["--rpmlintrc", &explained.display().to_string(), &package]);
    assert!(said.contains("0 errors, 0 warnings"), "{said}");
}

const INSTALL: &str = "rpm -i --nodeps";

fn installed(name: &str) -> Machine {
    let machine = Machine::with(name, "rpm");
    let package = machine.give(&rpm());
    machine.run(&format!("{INSTALL} {package}")).ok();
    machine
}

fn an_ordinary_user_has_an_identity_after_rpm_has_installed_it() {
    let (machine, sts) = (installed("rpm-use"), emulator());
    assert_eq!(machine.run("rpm -V --nodeps agent-aws").ok().out, "");
    assert_eq!(machine.run(&format!("stat -c '%a %U:%G' {HELPER}")).out, "4755 root:root");
    configure(&machine, &sts);
    let said = machine.run_as("alice", &session(&sts));
    assert!(said.ok().out.contains("assumed-role/agent-incident/"), "{said}");
    let said = machine.run_as("alice", "cat /etc/agent-aws/sources/workstation");
    assert!(!said.fails().to_string().contains(SECRET), "{said}");
    // A policy that was changed stays, and the one of the package does not come in its place.
    machine.run("echo '# ours' >> /etc/agent-aws/policy.toml").ok();
    let package = machine.give(&rpm());
    machine.run(&format!("rpm -U --nodeps --replacepkgs {package}")).ok();
    assert!(machine.run("cat /etc/agent-aws/policy.toml").out.contains("# ours"));
}

fn erasing_leaves_what_an_admin_wrote_and_nothing_else() {
    let (machine, sts) = (Machine::with("rpm-erase", "rpm"), emulator());
    machine.run("mkdir -p /home/alice/work; chown alice:alice /home/alice/work").ok();
    let before = machine.files();
    let package = machine.give(&rpm());
    machine.run(&format!("{INSTALL} {package}")).ok();
    configure(&machine, &sts);
    machine.run_as("alice", &session(&sts)).ok();
    machine.run("rm /usr/local/bin/sts-whoami; rpm -e --nodeps agent-aws").ok();
    let after = machine.files();
    let new: Vec<&str> = after.iter().filter(|f| !before.contains(f)).map(|f| f.split(' ').next().unwrap()).collect();
    let left = ["/home/alice", "/etc/agent-aws", "/var/log/agent-aws", "/run/agent-aws", "/root/.rpmdb"];
    // Directories that other packages of Fedora own, and no other package has here.
    let others = ["/usr/lib/sysusers.d", "/usr/share/fish", "/usr/share/zsh", "/usr/share/licenses"];
    let is_of = |path: &str, places: &[&str]| places.iter().any(|place| path.starts_with(place));
    let unexpected: Vec<&str> = after
        .iter()
        .filter(|f| !before.contains(f))
        .filter_map(|f| f.split_once(' '))
        .filter(|(path, kind)| !(is_of(path, &left) || kind.starts_with('d') && is_of(path, &others)))
        .map(|(path, _)| path)
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    assert!(new.contains(&"/etc/agent-aws/sources/workstation"), "{new:?}");
}

fn a_second_name_of_the_helper_loses_its_bit_with_it() {
    let machine = installed("rpm-second-name");
    let mode = || machine.run("stat -c '%a' /home/alice/second").out;
    machine.run(&format!("ln {HELPER} /home/alice/second")).ok();
    assert_eq!(mode(), "4755", "the control");
    machine.run("rpm -e --nodeps agent-aws").ok();
    assert!(!mode().starts_with('4'), "{}", mode());
}

fn a_pre_script_that_fails_installs_no_file() {
    let machine = Machine::with("rpm-failed", "rpm");
    machine.run("ln -sf /bin/false /usr/sbin/useradd").ok();
    let package = machine.give(&rpm());
    machine.run(&format!("{INSTALL} {package}")).fails();
    assert_eq!(
        machine.run("find / -xdev -path /proc -prune -o -name 'agent-aws*' -type f -print | grep -v ^/tmp/given").out,
        ""
    );
}
