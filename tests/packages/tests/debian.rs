//! The Debian package in a Debian in which nothing else was ever installed: install, use, upgrade, failure, purge.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::path::PathBuf;
use std::process::ExitCode;

use agent_aws_packages::use_of::{KEY, SECRET, configure, emulator, session};
use agent_aws_packages::{Case, Machine, ask, case, deb, scratch, suite};

const HELPER: &str = "/usr/libexec/agent-aws/agent-aws-helper";
const CASES: &[Case] = &[
    case!(an_ordinary_user_has_an_identity_whose_keys_they_cannot_read),
    case!(purging_leaves_no_file_and_no_user_and_homes_as_they_are),
    case!(removing_keeps_what_an_admin_wrote_and_nothing_that_is_executed),
    case!(an_upgrade_keeps_a_changed_policy_and_a_statoverride),
    case!(a_second_name_of_the_helper_loses_its_bit_with_it),
    case!(a_failed_postinst_leaves_no_setuid_file_of_a_wrong_owner_and_no_session),
    case!(the_users_are_made_by_sysusers_where_that_is_there),
    case!(the_users_are_made_where_sysusers_is_there_and_does_nothing),
];
const PROGRAMS: &[&str] = &["mmdebstrap", "unshare", "pivot_root", "dpkg-deb"];

fn main() -> ExitCode {
    suite(CASES, PROGRAMS)
}

fn installed(name: &str) -> Machine {
    let machine = Machine::fresh(name);
    let package = machine.give(&deb());
    machine.run(&format!("apt-get install -qq -y --no-install-recommends {package}")).ok();
    machine
}

fn an_ordinary_user_has_an_identity_whose_keys_they_cannot_read() {
    let (machine, sts) = (installed("use"), emulator());
    let users = machine.run("getent passwd _agent-aws _agent-aws-net; getent group _agent-aws _agent-aws-net");
    assert_eq!(users.ok().out.lines().count(), 4, "{users}");
    assert!(users.out.lines().take(2).all(|user| user.ends_with(":/:/usr/sbin/nologin")), "{users}");
    configure(&machine, &sts);
    let said = machine.run_as("alice", &session(&sts));
    assert!(said.ok().out.contains("assumed-role/agent-incident/"), "{said}");
    for (line, control) in [
        ("cat /etc/agent-aws/sources/workstation", true),
        ("cat /var/log/agent-aws/audit.jsonl", true),
        ("cat /usr/libexec/agent-aws/agent-aws-broker", true),
        ("agent-aws run --as incident -- cat /etc/agent-aws/sources/workstation", false),
    ] {
        let said = machine.run_as("alice", &format!("mkdir -p work && cd work && {line}"));
        assert!(!said.fails().to_string().contains(SECRET), "{said}");
        if control {
            machine.run(&format!("{line} >/dev/null")).ok();
        }
    }
    let inside =
        "cd work && agent-aws run --as incident -- sh -c 'env; cat ~/.aws/* /run/agent-aws/*config* 2>/dev/null; true'";
    let said = machine.run_as("alice", inside);
    assert!(said.ok().out.contains("AWS_") && !said.out.contains(SECRET) && !said.out.contains(KEY), "{said}");
    // Nobody but those of whom policy speaks.
    let said = machine.run_as("bob", &session(&sts));
    assert!(said.fails().err.contains("policy does not grant it to you"), "{said}");
    let trail = machine.run("cat /var/log/agent-aws/audit.jsonl");
    assert!(trail.out.contains("\"event\":\"start\"") && trail.out.contains("\"event\":\"deny\""), "{trail}");
    let doctor = machine.run_as("alice", "agent-aws doctor");
    assert!(doctor.out.contains("setuid"), "{doctor}");
}

fn purging_leaves_no_file_and_no_user_and_homes_as_they_are() {
    let (machine, sts) = (Machine::fresh("purge"), emulator());
    // What the first installation of anything leaves.
    machine.run("mkdir -p /home/alice/work; chown alice:alice /home/alice/work; touch /var/log/dpkg.log /var/log/alternatives.log").ok();
    let before = machine.files();
    let package = machine.give(&deb());
    machine.run(&format!("apt-get install -qq -y --no-install-recommends {package}")).ok();
    configure(&machine, &sts);
    machine.run_as("alice", &session(&sts)).ok();
    machine.run_as("alice", "echo mine > .local/share/agent-aws/mine; echo mine > work/mine").ok();
    let homes = |files: &[String]| files.iter().filter(|f| f.starts_with("/home/")).cloned().collect::<Vec<_>>();
    let during = machine.files();
    assert!(during.len() > before.len() + 50, "the control: it was there");
    machine.run("rm /usr/local/bin/sts-whoami; apt-get purge -qq -y agent-aws").ok();
    let after = machine.files();
    assert_eq!(homes(&during), homes(&after));
    assert_eq!(machine.run("cat /home/alice/.local/share/agent-aws/mine /home/alice/work/mine").ok().out, "mine\nmine");
    let new: Vec<&String> = after.iter().filter(|f| !before.contains(f) && !f.starts_with("/home/")).collect();
    let gone: Vec<&String> = before.iter().filter(|f| !after.contains(f) && !f.starts_with("/home/")).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:?}\ngone: {gone:?}");
    let users = machine.run("getent passwd _agent-aws _agent-aws-net; getent group _agent-aws _agent-aws-net");
    assert_eq!(users.out, "", "{users}");
    assert_eq!(machine.run("dpkg -l agent-aws 2>/dev/null | grep -c ^.c").out, "0");
}

fn removing_keeps_what_an_admin_wrote_and_nothing_that_is_executed() {
    let (machine, sts) = (installed("remove"), emulator());
    configure(&machine, &sts);
    let executed = "find /usr /etc -name 'agent-aws*' -perm /111 -type f -print";
    assert_eq!(machine.run(executed).out.lines().count(), 8, "the control");
    machine.run("echo '# ours' >> /etc/agent-aws/policy.toml; apt-get remove -qq -y agent-aws").ok();
    let kept =
        "cat /etc/agent-aws/policy.toml /etc/agent-aws/policy.d/incident.toml /etc/agent-aws/sources/workstation";
    let kept = machine.run(kept);
    assert!(kept.ok().out.contains("# ours") && kept.out.contains(SECRET), "{kept}");
    assert_eq!(machine.run(executed).out, "");
    // And a new installation finds it.
    let package = machine.give(&deb());
    machine.run(&format!("apt-get install -qq -y --no-install-recommends {package}")).ok();
    let said = machine.run_as("alice", &session(&sts));
    assert!(said.ok().out.contains("agent-incident"), "{said}");
}

/// The package as a later version, whose shipped policy is another.
fn later(name: &str) -> PathBuf {
    let place = scratch(&format!("later-{name}"));
    let tree = place.join("tree");
    let at = |path: &str| tree.join(path).display().to_string();
    ask("dpkg-deb", &["-R", &deb().display().to_string(), &at("")]);
    ask("sed", &["-i", "s/^Version: .*/Version: 9.0-1/", &at("DEBIAN/control")]);
    ask("sed", &["-i", "1i # of the later version", &at("etc/agent-aws/policy.toml")]);
    let package = place.join("agent-aws_9.0-1_amd64.deb");
    ask("dpkg-deb", &["--root-owner-group", "-b", &at(""), &package.display().to_string()]);
    package
}

fn an_upgrade_keeps_a_changed_policy_and_a_statoverride() {
    let (machine, sts) = (installed("upgrade"), emulator());
    configure(&machine, &sts);
    machine.run("groupadd agents && usermod -aG agents alice").ok();
    machine.run(&format!("dpkg-statoverride --update --add root agents 4750 {HELPER}")).ok();
    machine.run("echo '# ours' >> /etc/agent-aws/policy.toml").ok();
    let package = machine.give(&later("upgrade"));
    let upgraded = machine.run(&format!("dpkg --force-confdef --force-confold -i {package}"));
    assert_eq!(machine.run("dpkg-query -W -f '${Version}' agent-aws").out, "9.0-1", "{upgraded}");
    let policy = machine.run("cat /etc/agent-aws/policy.toml").out;
    assert!(policy.contains("# ours") && !policy.contains("# of the later version"), "{policy}");
    let beside = machine.run("cat /etc/agent-aws/policy.toml.dpkg-dist").out;
    assert!(beside.contains("# of the later version"), "the control: the package has another");
    assert_eq!(machine.run(&format!("stat -c '%a %U:%G' {HELPER}")).out, "4750 root:agents");
    let said = machine.run_as("alice", &session(&sts));
    assert!(said.ok().out.contains("agent-incident"), "{said}");
    machine.run_as("bob", HELPER).fails();
    // Without the override the package's own mode is back.
    machine.run(&format!("dpkg-statoverride --remove {HELPER} && dpkg --force-confold -i {package}")).ok();
    assert_eq!(machine.run(&format!("stat -c '%a %U:%G' {HELPER}")).out, "4755 root:root");
}

/// A user who keeps a second name for a setuid program would keep its mistakes too, after they are mended.
fn a_second_name_of_the_helper_loses_its_bit_with_it() {
    let machine = installed("second-name");
    let of = |name: &str| machine.run(&format!("stat -c '%a' /home/alice/{name}")).out;
    for name in ["upgraded", "removed"] {
        machine.run(&format!("ln {HELPER} /home/alice/{name}")).ok();
        assert_eq!(of(name), "4755", "the control");
        match name {
            "upgraded" => {
                machine.run(&format!("dpkg --force-confold -i {}", machine.give(&later("second")))).ok().status
            }
            _ => machine.run("dpkg --purge agent-aws").ok().status,
        };
        assert_eq!(of(name), "600", "{name}");
    }
}

fn a_failed_postinst_leaves_no_setuid_file_of_a_wrong_owner_and_no_session() {
    let (machine, sts) = (Machine::fresh("failed"), emulator());
    machine.run("mv /usr/sbin/useradd /usr/sbin/useradd.real && ln -s /bin/false /usr/sbin/useradd").ok();
    let package = machine.give(&deb());
    let failed = machine.run(&format!("apt-get install -qq -y --no-install-recommends {package}"));
    assert!(failed.fails().to_string().contains("post-installation"), "{failed}");
    let setuid = "find / -xdev -path /proc -prune -o -perm /6000 -type f -printf '%u %p\\n'";
    let found = machine.run(setuid).out;
    let ours: Vec<&str> = found.lines().filter(|line| line.contains("agent-aws")).collect();
    assert_eq!(ours, [format!("root {HELPER}")], "{found}");
    assert_eq!(machine.run("getent passwd _agent-aws").out, "", "the control: there is no such user");
    configure(&machine, &sts);
    let said = machine.run_as("alice", &session(&sts));
    assert!(said.fails().err.contains("_agent-aws"), "{said}");
    assert!(sts.requests().is_empty(), "nothing was minted");
    machine.run("mv -f /usr/sbin/useradd.real /usr/sbin/useradd && dpkg --configure -a").ok();
    let said = machine.run_as("alice", &session(&sts));
    assert!(said.ok().out.contains("agent-incident"), "{said}");
}

/// The users by sysusers itself: it refuses a whole line for one character that it does not like.
fn the_users_are_made_by_sysusers_where_that_is_there() {
    let machine = Machine::with("sysusers", "systemd-standalone-sysusers");
    machine.run("rm /usr/sbin/useradd").ok();
    let package = machine.give(&deb());
    machine.run(&format!("apt-get install -qq -y --no-install-recommends {package}")).ok();
    let users = machine.run("getent passwd _agent-aws && getent passwd _agent-aws-net");
    assert!(users.ok().out.contains(":agent-aws credential broker:/:/usr/sbin/nologin"), "{users}");
}

fn the_users_are_made_where_sysusers_is_there_and_does_nothing() {
    let machine = Machine::fresh("no-sysusers");
    machine.run("ln -s /bin/true /usr/bin/systemd-sysusers").ok();
    let package = machine.give(&deb());
    machine.run(&format!("apt-get install -qq -y --no-install-recommends {package}")).ok();
    machine.run("getent passwd _agent-aws && getent passwd _agent-aws-net").ok();
}
