//! Protected rows under attack for as long as it takes to hit: from inside by renaming what is around them, from outside by
//! replacing them while a session begins and runs.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use agent_aws_e2e::inside::{file, inside, outside};
use agent_aws_harness::{Case, Mode, Scene, case, suite, until};

const CASES: &[Case] = &[
    case!(renaming_in_a_loop_moves_no_row_away).limit(240),
    case!(replacing_a_row_outside_while_sessions_begin_leaves_no_row_writable).limit(240),
    case!(renaming_git_outside_while_sessions_begin_leaves_no_row_writable).limit(240),
];

/// Each race goes on for so long.
const LONG: Duration = Duration::from_secs(12);

const ROWS: [&str; 4] = [".git/config", ".git/hooks/pre-commit", ".envrc", ".vscode/tasks.json"];

fn main() -> ExitCode {
    suite(CASES)
}

fn repository(scene: &Scene, below: &str) -> PathBuf {
    for name in ROWS.iter().chain(&[".git/info/attributes"]) {
        file(scene, &format!("{below}{name}"), "original\n");
    }
    scene.machine.project(&scene.machine.user("alice"))
}

/// Renames, exchanges and replaces in loops, several at once, and writes through every name that may have come loose.
const ATTACK: &str = r#"
import ctypes, itertools, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, EXCHANGE, RENAMEAT2 = -100, 2, 316
end = time.time() + float(sys.argv[1])
rows = [".git", ".git/hooks", ".git/config", ".git/info", ".envrc", ".vscode"]
who = sys.argv[2]
tries = hits = 0
def attempt(what, *arguments):
    global tries, hits
    tries += 1
    try:
        what(*arguments)
        hits += 1
    except OSError:
        pass
def exchange(a, b):
    if libc.syscall(RENAMEAT2, AT_FDCWD, a.encode(), AT_FDCWD, b.encode(), EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")
def write(path):
    with open(path, "w") as f:
        f.write("evil\n")
for n in itertools.count():
    if time.time() > end:
        break
    for row in rows:
        decoy = f"decoy-{who}-{n % 7}"
        attempt(os.rename, row, f"moved-{who}")
        attempt(os.rename, f"moved-{who}", row)
        try:
            os.makedirs(f"{decoy}/hooks", exist_ok=True)
        except OSError:
            pass # what was exchanged for a file, where nothing protects it
        attempt(exchange, decoy, row)
        attempt(os.rename, decoy, row)
        attempt(os.rmdir, row)
        attempt(os.unlink, row)
        attempt(os.symlink, decoy, row)
        attempt(os.link, row, f"link-{who}-{n}")
    for path in [".git/config", ".git/hooks/pre-commit", ".envrc", ".vscode/tasks.json", ".vscode/more"]:
        for prefix in ["", f"moved-{who}/", "/proc/self/cwd/"]:
            attempt(write, prefix + path)
print(tries, hits)
"#;

/// The script, and `seconds` of four of it at once in the working directory.
fn attack(scene: &Scene, seconds: u64) -> String {
    file(scene, "attack.py", ATTACK);
    let attack = scene.machine.project(&scene.machine.user("alice")).join("attack.py");
    format!(
        "for w in 1 2 3 4; do /usr/bin/python3 {} {seconds} $w & done; wait; for r in .git .envrc .vscode; do ls -d $r; done",
        attack.display()
    )
}

/// The sum of what the attackers said: tries and hits.
fn sums(stdout: &str) -> (u64, u64) {
    let numbers = stdout.lines().filter_map(|line| {
        let (tries, hits) = line.split_once(' ')?;
        Some((tries.parse::<u64>().ok()?, hits.parse::<u64>().ok()?))
    });
    numbers.fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
}

fn renaming_in_a_loop_moves_no_row_away(mode: Mode) {
    let scene = Scene::new(mode);
    let project = repository(&scene, "");
    let before: Vec<_> = ROWS.map(|row| fs::metadata(project.join(row)).unwrap()).into();
    let output = inside(&scene, &[], &attack(&scene, LONG.as_secs())).run_within(LONG * 6).ends(0);
    let (tries, hits) = sums(&output.stdout);
    assert!(tries > 1000, "{output}");
    assert_eq!(hits, 0, "{output}");
    for (row, before) in ROWS.iter().zip(before) {
        use std::os::unix::fs::MetadataExt;
        let path = project.join(row);
        assert_eq!(fs::read_to_string(&path).unwrap(), "original\n", "{row}");
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.ino(), after.ctime_nsec(), after.mode()), (before.ino(), before.ctime_nsec(), before.mode()));
    }
    for row in [".git", ".envrc", ".vscode"] {
        assert!(!output.stderr.contains(&format!("agent-aws: {row} ")), "{output}");
    }
    // The control: where nothing protects them the same works at once.
    let copy = repository(&scene, "copy/").join("copy");
    let output = outside(&scene, &format!("cd {}; {}", copy.display(), attack(&scene, 1))).run();
    assert!(sums(&output.stdout).1 > 10, "{output}");
}

/// While somebody outside replaces things, sessions begin, write to a row all the time, and end. A row that a session's
/// agent could write to without the session's end and a report is a failure.
fn race(mode: Mode, ends: bool, replace: impl Fn(&Path)) {
    let scene = Scene::new(mode);
    let project = repository(&scene, "");
    let (end, mut ended, mut whole) = (Instant::now() + LONG, 0u32, 0u32);
    let mut n = 0u64;
    while Instant::now() < end || (ends && ended == 0) {
        assert!(n < 2000 && Instant::now() < end + LONG * 3, "no session was ever hit: {whole} of {n} went on");
        n += 1;
        file(&scene, ".git/config", "original\n");
        let script = "for n in $(seq 20); do echo evil > .git/config; sleep 0.01; done 2> /dev/null; true";
        let mut command = inside(&scene, &[], script).command();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // At another moment each time: before, while and after the mounts are made.
        std::thread::sleep(Duration::from_millis(n * 7 % 97));
        replace(&project);
        let finished = until(Duration::from_secs(30), || child.try_wait().unwrap());
        if finished.is_none() {
            let _ = child.kill();
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let content = fs::read_to_string(project.join(".git/config")).unwrap_or_default();
        match output.status.code() {
            Some(0) => {
                whole += 1;
                assert_ne!(content, "evil\n", "the agent wrote to a row and nothing ended it: {said}");
            }
            Some(125) => {
                ended += u32::from(said.contains("a mount of the sandbox vanished"));
                let is_evil = content == "evil\n";
                assert!(!is_evil || said.contains("during the session"), "nobody says that it was written to: {said}");
            }
            other => panic!("{other:?}: {said}"),
        }
    }
    eprintln!("{n} sessions, {ended} ended by the replacement, {whole} went on protected");
}

fn replacing_a_row_outside_while_sessions_begin_leaves_no_row_writable(mode: Mode) {
    race(mode, true, |project| {
        let lock = project.join(".git/config.lock");
        fs::write(&lock, "replaced\n").unwrap();
        fs::rename(&lock, project.join(".git/config")).unwrap();
    });
}

fn renaming_git_outside_while_sessions_begin_leaves_no_row_writable(mode: Mode) {
    // What is renamed takes the mounts on it along: no session need end.
    race(mode, false, |project| {
        let (git, away) = (project.join(".git"), project.with_file_name("away"));
        for _ in 0..20 {
            fs::rename(&git, &away).unwrap();
            fs::rename(&away, &git).unwrap();
        }
    });
}
