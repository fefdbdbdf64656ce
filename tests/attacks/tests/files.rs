//! What an agent reaches of the host's files, and what of that it can change.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use agent_aws_attacks::promised;
use agent_aws_e2e::inside::{inside, memory_over, outside, root};
use agent_aws_harness::{Case, Mode, Output, Scene, case, suite};

const CASES: &[Case] = &[
    case!(magic_links_show_nothing).private(),
    case!(what_is_mounted_later_does_not_come_in_and_nothing_goes_out).private(),
    case!(what_is_mounted_below_a_shown_path_is_read_only_too).private(),
    case!(programs_of_ours_cannot_be_written_through_their_processes).private(),
    case!(the_way_up_ends_at_the_root).private(),
    case!(a_directory_that_is_moved_away_does_not_open_its_new_neighbours).private(),
    case!(memory_of_temporary_directories_is_bounded).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// One line of what was said.
fn line(output: &Output) -> String {
    output.stdout.trim_end().replace('\n', ", ")
}

/// Case 74 (CVE-2024-21626): a name in /proc means something else in each process that uses it.
fn magic_links_show_nothing(mode: Mode) {
    let scene = Scene::new(mode);
    let secret = scene.machine.scratch().join("elsewhere");
    scene.machine.file(&scene.machine.user("alice"), &secret.join("file"), 0o644, "taken\n");
    let look = |call: agent_aws_harness::Call, link: &str| {
        let call = call.args(&[link]);
        let mut command = call.command();
        let directory = fs::File::open(&secret).unwrap();
        let output = command.stdin(directory).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    };
    let mut seen = Vec::new();
    for link in ["/proc/self/fd/0", "/dev/fd/0", "/proc/thread-self/fd/0"] {
        // The control: bubblewrap mounts what such a path leads to.
        let bwrap = "bwrap --ro-bind / / --dev /dev --proc /proc --ro-bind \"$1\" /mnt -- cat /mnt/file";
        let control = scene.machine.call("alice", "/bin/bash").args(&["-c", bwrap, "bash"]);
        assert_eq!(look(control, link), "taken", "the control");
        let ours = "\"$0\" run --no-wait $2 --ro \"$1\" -- sh -c 'cat \"$1\"/file' sh \"$1\" || echo status $?";
        let identity = scene.identity().join(" ");
        let program = scene.machine.program();
        let call = scene.agent_aws(&[]).instead("/bin/bash").args(&["-c", &ours.replace("$2", &identity)]).arg(program);
        seen.push(look(call, link));
    }
    seen.dedup();
    assert_eq!(seen.join(", "), promised!(mode));
}

/// Case 76: propagation of mounts, both ways. A private world has private mounts; here they are shared first, as
/// systemd has them.
fn what_is_mounted_later_does_not_come_in_and_nothing_goes_out(mode: Mode) {
    let scene = Scene::new(mode);
    root(&["mount", "--make-rshared", "/"]);
    fs::create_dir_all("/opt/later").unwrap();
    let look = "echo begun; read line; grep -c ' /opt/later ' /proc/self/mountinfo; ls /opt/later";
    let before = scene.machine.mounts();
    let watch = |mut command: std::process::Command| {
        use std::io::{BufRead, BufReader, Write};
        let pipe = std::process::Stdio::piped;
        let mut child = command.stdin(pipe()).stdout(pipe()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(said.next().unwrap().unwrap(), "begun");
        let leaked: Vec<String> = scene.machine.mounts().into_iter().filter(|place| !before.contains(place)).collect();
        memory_over("/opt/later", 0o755);
        fs::write("/opt/later/file", "").unwrap();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let seen: Vec<String> = said.map(Result::unwrap).collect();
        let _ = child.wait();
        root(&["umount", "/opt/later"]);
        (seen.join(" "), leaked)
    };
    let mut control = std::process::Command::new("unshare");
    control.args(["--mount", "--propagation", "slave", "bash", "-c", look]);
    assert_eq!(watch(control), ("1 file".into(), vec![]), "the control");
    let (seen, leaked) = watch(inside(&scene, &[], look).command());
    assert_eq!(format!("sees {seen}; {} leaked", leaked.len()), promised!(mode), "{leaked:?}");
}

/// Case 77: a read-only bind leaves what is mounted below as it was, unless it is told recursively.
fn what_is_mounted_below_a_shown_path_is_read_only_too(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let shown = alice.home.join("shown");
    scene.machine.directory(&alice, &shown.join("below"));
    let below = shown.join("below").display().to_string();
    memory_over(&below, 0o777);
    fs::copy("/usr/bin/id", format!("{below}/id")).unwrap();
    fs::set_permissions(format!("{below}/id"), fs::Permissions::from_mode(0o4755)).unwrap();
    root(&["mknod", "-m", "666", &format!("{below}/null"), "c", "1", "3"]);
    let attack = "touch $1/new && echo written; $1/id -u; echo x > $1/null && echo device; true";
    // The control: the same tree bound read-only as mount(8) does it.
    memory_over("/mnt", 0o755);
    root(&["mkdir", "/mnt/control"]);
    root(&["mount", "--rbind", &shown.display().to_string(), "/mnt/control"]);
    root(&["mount", "-o", "remount,bind,ro", "/mnt/control"]);
    let control = outside(&scene, &format!("touch /mnt/control/new; set -- /mnt/control/below; {attack}")).run();
    assert_eq!(line(&control), "written, 0, device", "the control: {control}");
    assert!(control.stderr.contains("Read-only"), "{control}");
    let output = inside(&scene, &["--ro", &shown.display().to_string()], &format!("set -- {below}; {attack}")).run();
    assert_eq!(line(&output), promised!(mode), "{output}");
}

/// Case 82 (CVE-2019-5736): through /proc/PID/exe a process of the host could be given another program.
fn programs_of_ours_cannot_be_written_through_their_processes(mode: Mode) {
    let scene = Scene::new(mode);
    let libexec = scene.machine.libexec().display().to_string();
    let sum = || root(&["sh", "-c", &format!("cat {libexec}/* | sha256sum")]);
    let before = sum();
    let attack = "for f in \"$@\"; do (exec 3>>$f) 2>/dev/null && echo opened $f; done; true";
    let places =
        format!("/proc/1/exe /run/agent-aws/agent-aws-init {libexec}/agent-aws-init {libexec}/agent-aws-helper");
    let output = inside(&scene, &[], &format!("set -- {places}; {attack}; ls -l /run/agent-aws | grep -c rw")).run();
    // The control: a program of the caller's own, through the process that ran it.
    let own = scene.machine.scratch().join("own");
    scene.machine.directory(&scene.machine.user("alice"), &own);
    let copy = format!(
        "cp /bin/sleep {0}/p; {0}/p 100 & sleep 0.5; exec 4</proc/$!/exe; kill $!; wait; (exec 3>>/proc/self/fd/4) && echo opened",
        own.display()
    );
    let control = outside(&scene, &copy).run();
    assert_eq!(line(&control), "opened", "the control: {control}");
    let opened = output.stdout.lines().filter(|l| l.starts_with("opened")).count();
    assert_eq!(format!("{opened} opened"), promised!(mode), "{output}");
    assert_eq!(sum(), before);
}

/// Case 83: `..` from anywhere, and every directory that a descriptor holds.
fn the_way_up_ends_at_the_root(mode: Mode) {
    let scene = Scene::new(mode);
    memory_over("/mnt", 0o755);
    fs::write("/mnt/taken", "").unwrap();
    let up = "for d in $(seq 200); do cd -P ..; done; ls mnt/taken /mnt/taken; \
              for f in /proc/self/fd/*; do [ -d $f ] && ls $f/../../../../../../../mnt/taken; done; \
              [ $(stat -c %d:%i /..) = $(stat -c %d:%i /) ] && echo same root";
    let output = inside(&scene, &[], up).run();
    // The control: a plain change of root, with the old one held open.
    let control = "exec 9</; unshare -Ur python3 -c 'import os; os.chroot(\".\"); os.fchdir(9); \
                   print(os.path.exists(\"mnt/taken\"))'";
    assert_eq!(line(&outside(&scene, control).run()), "True", "the control");
    assert_eq!(line(&output), promised!(mode), "{output}");
}

/// Case 93 (Landlock's erratum 3): a directory of the project is moved out of it by a process outside while the agent
/// stands in it.
fn a_directory_that_is_moved_away_does_not_open_its_new_neighbours(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let project = scene.machine.project(&alice);
    let elsewhere = alice.home.join("elsewhere");
    scene.machine.file(&alice, &elsewhere.join("secret"), 0o600, "taken\n");
    let attack = "echo begun; read line; cat ../secret; echo x > ../planted; ls .. | head -1; ls ../../.aws; echo done";
    let moved = |mut command: std::process::Command| {
        use std::io::{BufRead, BufReader, Write};
        scene.machine.file(&alice, &project.join("moved/file"), 0o644, "");
        let pipe = std::process::Stdio::piped;
        command.stdin(pipe()).stdout(pipe()).stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(said.next().unwrap().unwrap(), "begun");
        fs::rename(project.join("moved"), elsewhere.join("moved")).unwrap();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let seen: Vec<String> = said.map(Result::unwrap).collect();
        let _ = child.wait();
        let planted = fs::remove_file(elsewhere.join("planted")).is_ok();
        fs::remove_dir_all(elsewhere.join("moved")).unwrap();
        format!("{}; planted {planted}", seen.join(", "))
    };
    let script = format!("cd moved; {attack}");
    let control = moved(outside(&scene, &script).command());
    assert!(control.starts_with("taken") && control.ends_with("planted true"), "the control: {control}");
    assert_eq!(moved(inside(&scene, &[], &script).command()), promised!(mode));
}

/// What a sandbox keeps in memory is bounded: filling it does not take the machine's.
fn memory_of_temporary_directories_is_bounded(mode: Mode) {
    let scene = Scene::new(mode);
    let places = ["/tmp", "/var/tmp", "/dev/shm", "/run/user/4242"];
    let sizes = "for d in \"$@\"; do df --output=fstype,size -k $d | tail -1; done";
    let output = inside(&scene, &[], &format!("set -- {}; {sizes}", places.join(" "))).run().ends(0);
    let total: u64 = fs::read_to_string("/proc/meminfo").unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    for (place, line) in places.iter().zip(output.stdout.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let size: u64 = words[1].parse().unwrap();
        assert!(words[0] == "tmpfs" && size > 0 && size < total, "{place}: {line}\n{output}");
    }
    let fill = "f=$(mktemp -p $XDG_RUNTIME_DIR); head -c 20G /dev/zero > $f; echo status $?; stat -c %s $f";
    let filled = inside(&scene, &[], fill).run();
    let words: Vec<&str> = filled.stdout.lines().collect();
    assert!(words[1].parse::<u64>().unwrap() < 1 << 31, "{filled}");
    assert!(filled.stderr.contains("No space left"), "{filled}");
    // The control: where nothing bounds it, what the file could become is as large as the disk.
    let room = outside(&scene, "df --output=avail -k /var/tmp | tail -1").run().says();
    assert!(room.trim().parse::<u64>().unwrap() > 1 << 21, "{room}");
    assert_eq!(words[0], promised!(mode));
    assert!(Path::new("/proc/self").exists());
}
