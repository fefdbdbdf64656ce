//! The agent's home in the hands of agents that wish its owner ill, of four agents at once, and of `agent-aws home`.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode};
use std::time::{Duration, Instant};

use agent_aws_e2e::inside::{agents_home, outside};
use agent_aws_harness::{Call, Case, Mode, Output, SOON, Scene, case, suite, until};

const CASES: &[Case] = &[
    case!(what_an_agent_put_in_the_way_is_named_and_leads_nowhere).private(),
    case!(another_user_cannot_look_in_even_if_the_agent_wants_it).private(),
    case!(four_agents_at_once_share_a_home_and_a_project).private().limit(120),
    case!(an_agent_that_plants_in_a_loop_leads_no_other_session_astray).private().limit(180),
    case!(agents_of_two_names_do_not_meet).private(),
    case!(a_fresh_home_is_empty_and_what_was_in_it_is_gone).private(),
    case!(a_home_in_use_is_neither_made_fresh_nor_deleted).private(),
    case!(a_home_that_somebody_else_makes_ready_is_waited_for_and_then_refused).private(),
    case!(homes_are_listed_with_size_use_and_time).private(),
    case!(the_path_of_a_home_is_that_of_a_run_with_the_same_options).private(),
    case!(a_shell_in_a_home_is_where_its_agent_would_be).private(),
    case!(a_deleted_home_is_gone_whatever_was_planted_and_nothing_else_is).private(),
    case!(deleting_a_home_needs_a_yes).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// A session in the usual home, with a line of shell.
fn run(scene: &Scene, options: &[&str], script: &str) -> Call {
    let options = [&["--no-wait"], options].concat();
    scene.run(&options, &["sh", "-c", script])
}

/// `agent-aws home` as Alice.
fn home(scene: &Scene, words: &[&str]) -> Call {
    scene.agent_aws(&[&["home"], words].concat())
}

/// A directory of Alice's outside of everything.
fn place(scene: &Scene, name: &str) -> PathBuf {
    let alice = scene.machine.user("alice");
    let place = alice.home.join(name);
    scene.machine.directory(&alice, &place);
    place
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

/// Waits for a file that an agent makes when it is where the test wants it.
#[track_caller]
fn wait_for(path: &Path) {
    assert!(until(SOON, || path.exists().then_some(())).is_some(), "{} did not come", path.display());
}

/// What a started call said at its end.
fn end(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

fn what_an_agent_put_in_the_way_is_named_and_leads_nowhere(mode: Mode) {
    let scene = Scene::new(mode);
    let (victim, elsewhere) = (place(&scene, "victim"), place(&scene, "elsewhere"));
    for planted in [
        format!("ln -s {} ~/src", victim.display()),
        "ln -s /nowhere ~/src".into(),
        "mkfifo ~/src".into(),
        "python3 -c 'import socket, os; socket.socket(socket.AF_UNIX).bind(os.path.expanduser(\"~/src\"))'".into(),
        "echo something > ~/src".into(),
        "mkdir ~/src; chmod 000 ~/src".into(),
    ] {
        run(&scene, &[], &planted).cwd(&elsewhere).run().ends(0);
        // The project is ~/src/project.
        let output = run(&scene, &[], "echo it-ran").run();
        assert_eq!(output.stdout, "", "{planted}\n{output}");
        let obstacle = agents_home(&scene, "standard").join("src");
        let output = output.refused(&obstacle.display().to_string());
        assert!(output.stderr.contains("agent-aws home reset"), "{planted}\n{output}");
        assert!(is_empty(&victim), "{planted}");
        // The control: another home has nothing in the way, and neither has this one once it was reset.
        assert_eq!(run(&scene, &["--home", "other"], "echo it-ran").run().says(), "it-ran");
        home(&scene, &["reset", "--home", "default", "--yes"]).run().ends(0);
        assert_eq!(run(&scene, &[], "echo it-ran").run().says(), "it-ran", "{planted}");
        run(&scene, &[], "rmdir ~/src/project ~/src").cwd(&elsewhere).run().ends(0);
    }
}

fn another_user_cannot_look_in_even_if_the_agent_wants_it(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    for above in [".", ".local", ".local/share"] {
        scene.machine.directory(&alice, &alice.home.join(above));
        open(&alice.home.join(above));
    }
    let script = "echo secret > ~/diary; chmod 777 ~ ~/diary; touch ~/src/project/ready; sleep 60";
    let session = run(&scene, &[], script).spawn();
    wait_for(&scene.machine.project(&alice).join("ready"));
    let diary = agents_home(&scene, "standard").join("diary");
    assert_eq!(fs::metadata(diary.parent().unwrap()).unwrap().mode() & 0o777, 0o777);
    let look = |path: &Path| scene.machine.call("bob", "/bin/cat").arg(path).cwd("/").run();
    assert!(look(&diary).ends(1).stderr.contains("Permission denied"));
    // The control: it is the directory around the home that keeps him out.
    let mut around = diary.parent();
    while let Some(directory) = around.filter(|d| d.starts_with(alice.home.join(".local"))) {
        open(directory);
        around = directory.parent();
    }
    assert_eq!(look(&diary).says(), "secret");
    drop(session);
    scene.machine.call("alice", "/usr/bin/pkill").args(&["-x", "sleep"]).run();
    // The next session closes both again.
    run(&scene, &[], "true").run().ends(0);
    let modes = [diary.parent().unwrap(), diary.parent().unwrap().parent().unwrap()];
    assert_eq!(modes.map(|d| fs::metadata(d).unwrap().mode() & 0o777), [0o700; 2]);
}

fn four_agents_at_once_share_a_home_and_a_project(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let project = scene.machine.project(&alice);
    scene.machine.directory(&alice, &alice.home.join(".cargo/bin"));
    scene.machine.file(&alice, &alice.home.join(".gitconfig"), 0o644, "[user]\n\tname = Alice\n");
    for round in 0..5 {
        // From nothing, so that all four want to make it.
        let _ = fs::remove_dir_all(alice.home.join(".local"));
        let script = format!(
            "touch ~/at-home-$0 at-project-$0; test $(git config user.name) = Alice || exit 3
             n=0; while [ $(ls ~ . | grep -c 'at-') -lt 8 ]; do n=$((n+1)); [ $n -gt 400 ] && exit 4; sleep 0.05; done
             echo round-{round}-of-$0 >> ~/log; ls ~/.cargo/bin"
        );
        let agents: Vec<Child> =
            (0..4).map(|nth| scene.run(&["--no-wait"], &["sh", "-c", &script, &nth.to_string()]).spawn()).collect();
        for agent in agents {
            let (code, said) = end(agent);
            assert_eq!(code, 0, "{said}");
        }
        let log = fs::read_to_string(agents_home(&scene, "standard").join("log")).unwrap();
        assert_eq!(log.lines().count(), 4, "{log}");
        for nth in 0..4 {
            fs::remove_file(project.join(format!("at-project-{nth}"))).unwrap();
        }
    }
}

/// What the planting agent does: everything that could stand where a mount point is needed, as fast as it can.
const PLANTER: &str = r#"
import os, shutil, sys, time
src, victim = os.path.expanduser("~/src"), sys.argv[1]
def away():
    for remove in (os.unlink, os.rmdir, lambda p: os.rmdir(p + "/project"), os.rmdir):
        try: remove(src)
        except OSError: pass
plants = [lambda: os.symlink(victim, src), lambda: os.mkdir(src), lambda: os.mkfifo(src),
          lambda: os.close(os.open(src, os.O_CREAT | os.O_WRONLY)),
          lambda: (os.mkdir(src), os.symlink(victim, src + "/project")), lambda: (os.mkdir(src), os.mkdir(src + "/project"))]
open("ready", "w").close()
end, n = time.time() + float(sys.argv[2]), 0
while time.time() < end:
    away()
    try: plants[n % len(plants)]()
    except OSError: pass
    if n % 7 == 0: time.sleep(0.002)
    try: os.unlink(src + "/project")
    except OSError: pass
    n += 1
away()
print(n)
"#;

fn an_agent_that_plants_in_a_loop_leads_no_other_session_astray(mode: Mode) {
    let scene = Scene::new(mode);
    let (victim, elsewhere) = (place(&scene, "victim"), place(&scene, "elsewhere"));
    let project = scene.machine.project(&scene.machine.user("alice"));
    let target = victim.display().to_string();
    let planter = scene.run(&["--no-wait"], &["python3", "-c", PLANTER, &target, "15"]).cwd(&elsewhere).spawn();
    wait_for(&elsewhere.join("ready"));
    let (start, mut ran, mut refused, mut ended) = (Instant::now(), 0, 0, 0);
    while start.elapsed() < Duration::from_secs(14) {
        let output = run(&scene, &[], "pwd; touch here; ls -A . | grep -c here").run();
        let there = project.join("here").exists();
        match (output.code(), there) {
            (0, true) => ran += 1,
            (125, false) if output.stderr.contains("/src") => refused += 1,
            // A mount point that is taken away while it is mounted on takes the mount with it: the agent finds itself in
            // a directory of its own home, and the session is ended.
            _ => ended += 1,
        }
        let _ = fs::remove_file(project.join("here"));
        assert!(is_empty(&victim), "something was made through a link\n{output}");
    }
    let (code, said) = end(planter);
    assert_eq!(code, 0, "{said}");
    let rounds: u64 = said.lines().next().unwrap().parse().unwrap();
    // The control: the planter was in the way, again and again.
    assert!(refused > 0 && rounds > 1000, "ran {ran}, refused {refused}, ended {ended}, planted {rounds}");
    assert_eq!(run(&scene, &[], "echo it-ran").run().says(), "it-ran");
}

fn agents_of_two_names_do_not_meet(mode: Mode) {
    let scene = Scene::new(mode);
    run(&scene, &["--home", "one"], "echo planted > ~/.bashrc").run().ends(0);
    assert_eq!(run(&scene, &["--home", "two"], "ls -A ~").run().says(), "src");
    assert_eq!(run(&scene, &["--home", "one"], "cat ~/.bashrc").run().says(), "planted");
    for bad in ["../one", ".one", "", "a/b", "-x"] {
        let output = run(&scene, &[&format!("--home={bad}")], "true").run().ends(125);
        assert!(output.stderr.contains("1 to 64 letters"), "{bad}: {output}");
    }
}

fn a_fresh_home_is_empty_and_what_was_in_it_is_gone(mode: Mode) {
    let scene = Scene::new(mode);
    let victim = place(&scene, "victim");
    scene.machine.file(&scene.machine.user("alice"), &victim.join("kept"), 0o644, "x");
    let plant =
        format!("ln -s {} ~/link; mkdir -p ~/closed/d; chmod 000 ~/closed; echo x > ~/.bashrc", victim.display());
    run(&scene, &[], &plant).run().ends(0);
    assert_eq!(run(&scene, &[], "ls -A ~ | tr '\\n' ' '").run().says(), ".bashrc closed link src ");
    assert_eq!(run(&scene, &["--fresh-home"], "ls -A ~; echo new > ~/new").run().says(), "src");
    assert_eq!(run(&scene, &[], "cat ~/new").run().says(), "new");
    assert!(victim.join("kept").exists());
    let around = agents_home(&scene, "standard").parent().unwrap().to_owned();
    let left = || fs::read_dir(&around).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(!left().any(|name| name.starts_with(".gone")), "{:?}", left().collect::<Vec<_>>());
}

fn a_home_in_use_is_neither_made_fresh_nor_deleted(mode: Mode) {
    let scene = Scene::new(mode);
    let project = scene.machine.project(&scene.machine.user("alice"));
    let session =
        run(&scene, &[], "echo mine > ~/mine; touch ready; while [ ! -e stop ]; do sleep 0.05; done; cat ~/mine");
    let session = session.spawn();
    wait_for(&project.join("ready"));
    run(&scene, &["--fresh-home"], "true").run().refused("another session uses the home");
    home(&scene, &["reset", "--yes"]).run().refused("a session uses the home");
    assert!(agents_home(&scene, "standard").join("mine").exists());
    fs::write(project.join("stop"), "").unwrap();
    assert_eq!(end(session), (0, "mine\n".into()));
    // The control: it is the session that kept it.
    home(&scene, &["reset", "--yes"]).run().ends(0);
    assert!(!agents_home(&scene, "standard").exists());
}

fn a_home_that_somebody_else_makes_ready_is_waited_for_and_then_refused(mode: Mode) {
    let scene = Scene::new(mode);
    run(&scene, &[], "true").run().ends(0);
    let lock = agents_home(&scene, "standard").with_file_name(".default.setup");
    let hold = |seconds: &str| {
        let held = scene.machine.call("alice", "/usr/bin/flock").arg(&lock).args(&["sleep", seconds]).spawn();
        std::thread::sleep(Duration::from_millis(200));
        held
    };
    let start = Instant::now();
    let holder = hold("3");
    assert_eq!(run(&scene, &[], "echo it-ran").run().says(), "it-ran");
    assert!(start.elapsed() > Duration::from_secs(2));
    end(holder);
    let holder = hold("20");
    run(&scene, &[], "true").run().refused("another agent-aws has been making this home ready");
    assert_eq!(run(&scene, &["--home", "other"], "echo it-ran").run().says(), "it-ran");
    drop(holder);
}

fn listed(scene: &Scene) -> Vec<serde_json::Value> {
    let said = home(scene, &["list", "--json"]).run().says();
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
}

fn homes_are_listed_with_size_use_and_time(mode: Mode) {
    let scene = Scene::new(mode);
    let project = scene.machine.project(&scene.machine.user("alice"));
    assert_eq!(listed(&scene), Vec::<serde_json::Value>::new());
    run(&scene, &["--home", "old"], "head -c 3000000 /dev/urandom > ~/large").run().ends(0);
    let session = run(&scene, &[], "touch ready; while [ ! -e stop ]; do sleep 0.05; done").spawn();
    wait_for(&project.join("ready"));
    let all = listed(&scene);
    let [_, name] = scene.identity();
    let identity = if mode == Mode::Setuid { name.to_owned() } else { format!("own:{name}") };
    let facts = |home: &serde_json::Value| {
        ["sandbox", "identity", "name", "in_use"].map(|key| home[key].to_string().replace('"', ""))
    };
    let expected = |name: &str, in_use: &str| ["standard", &identity, name, in_use].map(str::to_owned);
    assert_eq!(all.iter().map(facts).collect::<Vec<_>>(), [expected("default", "true"), expected("old", "false")]);
    assert!((3_000_000..4_000_000).contains(&all[1]["size"].as_u64().unwrap()), "{all:?}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(all.iter().all(|home| now - home["last_use"].as_u64().unwrap() < 60), "{all:?}");
    let table = home(&scene, &["list"]).run().says();
    let row =
        |name: &str| table.lines().find(|l| l.contains(&format!(" {name} "))).unwrap_or_else(|| panic!("{table}"));
    assert!(row("default").ends_with("yes") && row("old").ends_with("no") && row("old").contains("2.8 MiB"), "{table}");
    fs::write(project.join("stop"), "").unwrap();
    assert_eq!(end(session).0, 0);
    assert!(listed(&scene).iter().all(|home| home["in_use"] == false));
}

fn the_path_of_a_home_is_that_of_a_run_with_the_same_options(mode: Mode) {
    let scene = Scene::new(mode);
    let identity = scene.identity();
    let path = |more: &[&str]| home(&scene, &[&["path"], identity.as_slice(), more].concat()).cwd("/").run().says();
    assert_eq!(Path::new(&path(&[])), agents_home(&scene, "standard"));
    assert_eq!(Path::new(&path(&["--home", "x"])), agents_home(&scene, "standard").with_file_name("x"));
    // It is said, not made.
    assert!(!agents_home(&scene, "standard").exists());
    run(&scene, &["--home", "x"], "touch ~/there").run().ends(0);
    assert!(Path::new(&path(&["--home", "x"])).join("there").exists());
    home(&scene, &["path", "--as", "nobodys"]).run().ends(125);
}

fn a_shell_in_a_home_is_where_its_agent_would_be(mode: Mode) {
    let scene = Scene::new(mode);
    run(&scene, &["--home", "x"], "echo kept > ~/kept").run().ends(0);
    let identity = scene.identity();
    let shell = |shell: &str| {
        let call = home(&scene, &[&["shell", "--home", "x"], identity.as_slice()].concat()).env("SHELL", shell);
        call.stdin("cat kept; pwd; echo $AGENT_AWS_SESSION | wc -c; ls ~/.aws ~/src; readlink /proc/$$/exe; exit 7\n")
            .run()
            .ends(7)
    };
    let said = shell("/bin/bash").stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..3], ["kept", "/home/alice", "17"], "{said}");
    assert!(said.ends_with("/bash\n"), "{said}");
    // A shell that the sandbox does not show is replaced.
    assert!(!shell("/home/alice/own-shell").stdout.contains("own-shell"));
}

fn a_deleted_home_is_gone_whatever_was_planted_and_nothing_else_is(mode: Mode) {
    let scene = Scene::new(mode);
    let alice = scene.machine.user("alice");
    let victim = place(&scene, "victim");
    scene.machine.file(&alice, &victim.join("kept"), 0o644, "x");
    let plant = format!(
        "ln -s {0} ~/link; ln -s .. ~/up; mkfifo ~/fifo; mkdir -p ~/closed/below; ln -s {0} ~/closed/link
         chmod 500 ~/closed/below; chmod 000 ~/closed
         python3 -c 'import os\nos.chdir(os.path.expanduser(\"~\"))\nfor n in range(2500): os.mkdir(\"deep-directory\"); os.chdir(\"deep-directory\")'",
        victim.display()
    );
    run(&scene, &[], &plant).run().ends(0);
    run(&scene, &["--home", "other"], "true").run().ends(0);
    home(&scene, &["reset", "--yes"]).run().refused("2 homes are meant");
    home(&scene, &["reset", "--yes", "--home", "third"]).run().refused("no such home");
    home(&scene, &["reset", "--yes", "--home", "default"]).run().ends(0);
    let around = agents_home(&scene, "standard").parent().unwrap().to_owned();
    let mut left: Vec<String> =
        fs::read_dir(&around).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, [".default.session", ".default.setup", ".other.session", ".other.setup", "other"]);
    assert!(victim.join("kept").exists());
    assert_eq!(run(&scene, &[], "ls -A ~").run().says(), "src");
}

fn deleting_a_home_needs_a_yes(mode: Mode) {
    let scene = Scene::new(mode);
    run(&scene, &[], "true").run().ends(0);
    let there = || agents_home(&scene, "standard").exists();
    home(&scene, &["reset"]).stdin("y\n").run().refused("would be deleted");
    assert!(there());
    let on_terminal = |answer: &str| -> Output {
        let line = format!("{} home reset", scene.machine.program().display());
        let script = scene.agent_aws(&[]).instead("/usr/bin/script");
        script.args(&["-qefc", &line, "/dev/null"]).stdin(answer).run()
    };
    let said = on_terminal("n\n");
    assert!(said.stdout.contains("delete the home default of") && there(), "{said}");
    on_terminal("y\n").ends(0);
    assert!(!there());
    // The control for both: it is what a run would make again.
    run(&scene, &[], "true").run().ends(0);
    assert!(there() && outside(&scene, "true").run().code() == 0);
}
