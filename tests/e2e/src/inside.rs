//! The same look from inside a sandbox and from outside: what is refused inside must be possible outside, or the test
//! shows nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent_aws_harness::{Call, Output, Scene};

/// A line of shell in the sandbox. What it shows does not depend on credentials, so it does not wait for them.
pub fn inside(scene: &Scene, options: &[&str], script: &str) -> Call {
    let options: Vec<&str> = ["--no-wait"].iter().chain(options).copied().collect();
    scene.run(&options, &["bash", "-c", script])
}

/// The same line without a sandbox, as the same user.
pub fn outside(scene: &Scene, script: &str) -> Call {
    scene.machine.call("alice", "/bin/bash").args(&["-c", script])
}

/// A command of root's, in a private world; its standard output.
#[track_caller]
pub fn root(words: &[&str]) -> String {
    let (program, arguments) = words.split_first().expect("a command");
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An empty file system in memory over a directory of the machine, in a private world.
pub fn memory_over(directory: &str, mode: u32) {
    fs::create_dir_all(directory).unwrap_or_else(|e| panic!("{directory}: {e}"));
    let options = format!("mode={mode:o}");
    root(&["mount", "-t", "tmpfs", "-o", &options, "agent-aws-test", directory]);
}

/// Puts a program of ours where every sandbox shows it.
pub fn placed(scene: &Scene, program: &str) -> String {
    let name = Path::new(program).file_name().expect("a program");
    let directory = match scene.machine.is_private() {
        true => PathBuf::from("/opt/agent-aws-test"),
        false => scene.machine.project(&scene.machine.user("alice")),
    };
    let place = directory.join(name);
    fs::copy(program, &place).unwrap_or_else(|e| panic!("{}: {e}", place.display()));
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("its mode");
    place.display().to_string()
}

/// A file of Alice's in her project, and its path.
pub fn file(scene: &Scene, name: &str, content: &str) -> PathBuf {
    let alice = scene.machine.user("alice");
    let path = scene.machine.project(&alice).join(name);
    scene.machine.file(&alice, &path, 0o644, content);
    path
}

/// Where the agent's home of the scene's identity lies on the host.
pub fn agents_home(scene: &Scene, sandbox: &str) -> PathBuf {
    let [option, name] = scene.identity();
    let name = if option == "--profile" { format!("own%3a{name}") } else { name.to_owned() };
    let homes = scene.machine.user("alice").home.join(".local/share/agent-aws/homes");
    homes.join(sandbox).join(name).join("default")
}

/// The lines `NAME RESULT` of an output, one by one: those that differ from what is expected, in words.
pub fn differences(output: &Output, expected: &[(&str, &str)]) -> Vec<String> {
    let said = |name: &str| {
        let mut lines = output.stdout.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(n, _)| *n == name).map_or("nothing", |(_, result)| result).to_owned()
    };
    let differs = |(name, wanted): &&(&str, &str)| said(name) != *wanted;
    let word = |(name, wanted): &(&str, &str)| format!("{name}: {} instead of {wanted}", said(name));
    expected.iter().filter(differs).map(word).collect()
}
