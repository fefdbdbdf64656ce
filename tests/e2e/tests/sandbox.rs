//! What an agent sees of the machine's files, and what it can write.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use agent_aws_e2e::inside::{inside, memory_over, outside, root};
use agent_aws_harness::{Case, Mode, Scene, case, suite};

const CASES: &[Case] = &[
    case!(the_root_shows_little_and_homes_only_the_callers),
    case!(other_places_of_the_host_are_not_there).private(),
    case!(password_hashes_and_policy_are_hidden_even_from_their_group).private(),
    case!(the_callers_keys_are_out_of_reach_by_any_way),
    case!(temporary_directories_are_private_both_ways),
    case!(devices_are_few_and_terminals_the_sandboxes_own),
    case!(no_mount_has_setuid_programs_or_devices_of_the_host),
    case!(system_directories_are_read_only_with_all_that_is_mounted_there).private(),
    case!(a_setuid_program_gives_nothing).private(),
    case!(what_standard_input_leads_to_cannot_be_opened_again),
    case!(a_run_inside_a_run_is_refused_in_words),
];

fn main() -> ExitCode {
    suite(CASES)
}

fn the_root_shows_little_and_homes_only_the_callers(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let listing = inside(&scene, &[], "ls -A /; echo; ls -A /var /run /run/agent-aws /home | cat").run();
    let (root, below) = listing.stdout.split_once("\n\n").unwrap_or_else(|| panic!("{listing}"));
    let known = [
        "bin", "dev", "etc", "gnu", "home", "lib", "lib32", "lib64", "libx32", "nix", "opt", "proc", "run", "sbin",
        "sys", "tmp", "usr", "var",
    ];
    let home = alice.home.components().nth(1).map(|c| c.as_os_str().to_owned()).unwrap_or_default();
    let unknown: Vec<&str> = root.lines().filter(|l| !known.contains(l) && **l != *home).collect();
    assert!(unknown.is_empty(), "{unknown:?}\n{listing}");
    if scene.machine.is_private() {
        let wanted = "/home:\nalice\n\n/run:\nagent-aws\nuser\n\n/run/agent-aws:\nagent-aws-credentials\n\
                      agent-aws-init\nanswer\nconfig\ncredentials.sock\nrequest\nsession.json\n\n/var:\nrun\ntmp\n";
        assert_eq!(below, wanted, "{listing}");
    }
}

fn other_places_of_the_host_are_not_there(mode: Mode) {
    let scene = Scene::new(mode);
    let bob = scene.machine.user("bob");
    for directory in ["/srv", "/mnt", "/media", "/var/lib", "/var/spool"] {
        memory_over(directory, 0o755);
    }
    fs::set_permissions(&bob.home, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let places = ["/srv", "/mnt", "/media", "/var/lib", "/var/spool", "/var/log", "/run", "/home/bob"];
    let planted: Vec<String> = places.iter().map(|p| format!("{p}/planted")).collect();
    for path in &planted {
        fs::write(path, "planted\n").unwrap_or_else(|e| panic!("{path}: {e}"));
    }
    let own = scene.machine.user("alice").home.join("planted");
    scene.machine.file(&scene.machine.user("alice"), &own, 0o644, "planted\n");
    let script = format!("cat {} {} | grep -c planted", planted.join(" "), own.display());
    assert_eq!(outside(&scene, &script).run().says(), "9");
    let output = inside(&scene, &[], &script).run();
    assert_eq!(output.stdout, "0\n", "{output}");
}

fn password_hashes_and_policy_are_hidden_even_from_their_group(mode: Mode) {
    let scene = Scene::new(mode);
    let database = fs::read_to_string("/etc/group").unwrap();
    let member = |l: &str| if l.starts_with("shadow:") { format!("{l}alice\n") } else { format!("{l}\n") };
    scene.machine.root_file(Path::new("/etc/group"), 0o644, database.lines().map(member).collect::<String>());
    for file in ["/etc/shadow", "/etc/gshadow"] {
        scene.machine.root_file(Path::new(file), 0o640, "root:hash\n");
        root(&["chgrp", "shadow", file]);
    }
    let script = "cat /etc/shadow /etc/gshadow; ls -A /etc/agent-aws; cat /etc/agent-aws/policy.toml";
    let control = outside(&scene, script).run();
    assert!(control.stdout.contains("hash\nroot:hash\n") && control.stdout.contains("[sandbox"), "{control}");
    let output = inside(&scene, &[], script).run();
    assert_eq!(output.stdout, "", "{output}");
    inside(&scene, &[], "[ $(id -G | wc -w) -gt 1 ]").run().ends(0);
}

fn the_callers_keys_are_out_of_reach_by_any_way(mode: Mode) {
    let scene = Scene::new(mode);
    let keys = scene.aws("credentials").display().to_string();
    assert!(outside(&scene, &format!("cat {keys}")).run().says().contains("aws_secret_access_key"));
    let script = format!(
        "for way in '' /proc/1/root /proc/self/root /proc/self/cwd/../../../../../../.. /dev/fd/../root; do \
         cat $way{keys}; done; find / -name credentials -not -path '/proc/*' -not -path '/sys/*'; \
         grep -rl aws_secret_access_key /home /tmp /run /etc /var; true"
    );
    let output = inside(&scene, &[], &script).run().ends(0);
    let found: Vec<&str> =
        output.stdout.lines().filter(|l| !l.starts_with("/usr/") && !l.starts_with("/opt/")).collect();
    assert_eq!(found, [""; 0], "{output}");
}

fn temporary_directories_are_private_both_ways(mode: Mode) {
    let scene = Scene::new(mode);
    let name = format!("agent-aws-test-{}-{mode}", std::process::id());
    let planted = scene.machine.scratch().join("planted");
    fs::write(&planted, "outside\n").unwrap();
    let script = format!(
        "cat {} && echo seen; for d in /tmp /var/tmp /dev/shm $XDG_RUNTIME_DIR; do echo x > $d/{name} && echo wrote; done",
        planted.display()
    );
    outside(&scene, &format!("cat {}", planted.display())).run().ends(0);
    let output = inside(&scene, &[], &script).run().ends(0);
    assert_eq!(output.stdout, "wrote\n".repeat(4), "{output}");
    for directory in ["/tmp", "/var/tmp", "/dev/shm"] {
        assert!(!Path::new(directory).join(&name).exists(), "{directory}");
    }
    let again = inside(&scene, &[], &format!("ls /tmp/{name} /var/tmp/{name} /dev/shm/{name}")).run();
    assert_eq!(again.stdout, "", "gone at the end\n{again}");
}

fn devices_are_few_and_terminals_the_sandboxes_own(mode: Mode) {
    let scene = Scene::new(mode);
    let terminal = nix::pty::openpty(None, None).expect("a terminal of the host");
    let named = nix::unistd::ttyname(&terminal.slave).unwrap().display().to_string();
    assert!(outside(&scene, "ls /dev/pts/*").run().says().contains(&named));
    let script = "ls -A /dev | tr '\\n' ' '; echo; ls -A /dev/pts; mknod /tmp/d c 1 3 || echo refused";
    let output = inside(&scene, &[], script).run().ends(0);
    let devices = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ";
    assert_eq!(output.stdout, format!("{devices}\nptmx\nrefused\n"), "{output}");
}

/// Mount points of a mount table, each with its options.
fn mounts(table: &str) -> BTreeMap<String, Vec<String>> {
    let one = |line: &str| {
        let mut fields = line.split(' ');
        let place = fields.nth(4)?.to_owned();
        Some((place, fields.next()?.split(',').map(str::to_owned).collect()))
    };
    table.lines().filter_map(one).collect()
}

fn no_mount_has_setuid_programs_or_devices_of_the_host(mode: Mode) {
    let scene = Scene::new(mode);
    let host = mounts(&fs::read_to_string("/proc/self/mountinfo").unwrap());
    let lacks = |options: &Vec<String>, word: &str| !options.iter().any(|o| o == word);
    assert!(host.values().any(|o| lacks(o, "nosuid")) && host.values().any(|o| lacks(o, "nodev")));
    let output = inside(&scene, &[], "cat /proc/self/mountinfo").run().ends(0);
    let seen = mounts(&output.stdout);
    assert!(seen.len() > 10, "{output}");
    let devices = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/pts"];
    for (place, options) in &seen {
        assert!(!lacks(options, "nosuid"), "{place}\n{output}");
        assert!(!lacks(options, "nodev") || devices.contains(&place.as_str()), "{place}\n{output}");
        let system = ["/usr", "/etc", "/opt", "/bin", "/lib", "/sys"].iter().any(|s| Path::new(place).starts_with(s));
        assert!(!(system && lacks(options, "ro")), "{place}\n{output}");
    }
    assert!(!lacks(&seen["/"], "ro") && !lacks(&seen["/dev"], "ro") && !lacks(&seen["/run"], "ro"), "{output}");
}

fn system_directories_are_read_only_with_all_that_is_mounted_there(mode: Mode) {
    let scene = Scene::new(mode);
    for directory in ["/opt/mounted", "/usr/local/share/mounted", "/etc/mounted"] {
        memory_over(directory, 0o777);
    }
    fs::create_dir("/etc/everybodys").unwrap();
    fs::set_permissions("/etc/everybodys", std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let script = "for d in /opt/mounted /usr/local/share/mounted /etc/mounted /etc/everybodys; do \
                  ls -d $d && echo x > $d/file && echo wrote; done; true";
    assert_eq!(outside(&scene, script).run().says().matches("wrote").count(), 4);
    let output = inside(&scene, &[], script).run().ends(0);
    assert!(!output.stdout.contains("wrote") && output.stdout.lines().count() == 4, "{output}");
    assert_eq!(output.stderr.matches("Read-only file system").count(), 4, "{output}");
    let remount = "mount -o remount,rw /opt/mounted || umount /etc/shadow || echo refused";
    assert_eq!(inside(&scene, &[], remount).run().says(), "refused");
}

fn a_setuid_program_gives_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let id = Path::new("/opt/agent-aws-test/setuid-id");
    fs::copy("/usr/bin/id", id).unwrap();
    fs::set_permissions(id, std::os::unix::fs::PermissionsExt::from_mode(0o6755)).unwrap();
    let script = "/opt/agent-aws-test/setuid-id -u; /opt/agent-aws-test/setuid-id -g";
    assert_eq!(outside(&scene, script).run().says(), "0\n0");
    assert_eq!(inside(&scene, &[], script).run().says(), "4242\n4242");
    scene.machine.root_file(Path::new("/etc/shadow"), 0o640, "root::20000:0:99999:7:::\nalice::20000:0:99999:7:::\n");
    let output = inside(&scene, &[], "su root -c id; su -c id; true").stdin("\n\n").run();
    assert!(!output.stdout.contains("uid=0"), "{output}");
}

fn what_standard_input_leads_to_cannot_be_opened_again(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let elsewhere = scene.machine.scratch().join("elsewhere");
    scene.machine.file(&alice, &elsewhere.join("file"), 0o644, "untouched\n");
    scene.machine.file(&alice, &elsewhere.join("secret"), 0o600, "secret\n");
    let write = "echo written > /proc/self/fd/0";
    let read = "cat /proc/self/fd/0/secret";
    let status = |call: agent_aws_harness::Call, input: &Path| {
        let input = fs::File::open(input).unwrap();
        let output = call.command().stdin(input).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (file, content) = (elsewhere.join("file"), || fs::read_to_string(elsewhere.join("file")).unwrap());
    assert!(!status(inside(&scene, &[], write), &file).0);
    assert_eq!(content(), "untouched\n");
    assert_eq!(status(inside(&scene, &[], read), &elsewhere).1, "");
    assert_eq!(status(inside(&scene, &[], "cat"), &file), (true, "untouched\n".into()), "what was given works");
    assert!(status(outside(&scene, write), &file).0);
    assert_eq!(content(), "written\n");
    assert_eq!(status(outside(&scene, read), &elsewhere).1, "secret\n");
}

fn a_run_inside_a_run_is_refused_in_words(mode: Mode) {
    let scene = Scene::new(mode);
    let [option, name] = scene.identity();
    let program = scene.machine.program().display().to_string();
    let prefix = scene.machine.prefix().display().to_string();
    // An ordinary user's installation may lie where no sandbox shows it.
    let shown: &[&str] = if scene.machine.is_private() { &[] } else { &["--ro", &prefix] };
    let script = format!("{program} run {option} {name} -- echo it-ran; echo status $?");
    let output = inside(&scene, shown, &script).run();
    assert_eq!(output.stdout, "status 125\n", "{output}");
    assert!(output.stderr.contains("agent-aws: ") && output.stderr.contains("sandbox"), "no clear words\n{output}");
}
