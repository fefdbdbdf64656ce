//! What is hidden stays hidden, and what is read-only stays read-only, for a process that made itself root of a user
//! and a mount namespace of its own inside a sandbox with `nesting`.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_e2e::inside::{file, root};
use agent_aws_harness::{Call, Case, Mode, Output, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(no_mount_in_a_nested_namespace_shows_what_is_hidden).private().limit(240),
    case!(no_mount_in_a_nested_namespace_shows_a_secret_store_of_the_real_home).private().limit(240),
    case!(nothing_read_only_becomes_writable_in_a_nested_namespace).private().limit(240),
    case!(the_inner_sandboxes_of_others_show_nothing_more).private(),
    case!(a_nested_root_finds_no_process_and_no_mount_of_the_host).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

/// What is in every file that is hidden.
const SECRET: &str = "hidden-words-of-somebody";

/// Trials that try everything.
const LONG: Duration = Duration::from_secs(200);

/// A sandbox that admits sandboxes, and hides two places of the project; and one with the real home.
const NESTING: &str = r#"
[sandbox.nesting]
home = "agent"
network = "shared"
rw-paths = ["/"]
hide = ["~/src/project/place", "~/src/project/file"]
nesting = true

[sandbox.real]
home = "real-read-only"
network = "shared"
rw-paths = ["/"]
hide = ["~/src/project/place", "~/src/project/file"]
nesting = true

[[allow]]
users = ["alice"]
identities = ["incident", "own:*"]
sandbox = "nesting"

[[allow]]
users = ["alice"]
identities = ["incident", "own:*"]
sandbox = "real"
"#;

struct Masked {
    scene: Scene,
    project: PathBuf,
}

impl Masked {
    /// A repository of Alice's with something hidden in it, and a secret in a directory that every sandbox hides.
    fn new(mode: Mode) -> Self {
        let scene = Scene::with(mode, &Setup { policy: NESTING.into(), ..Setup::default() });
        let project = scene.machine.project(&scene.machine.user("alice"));
        let git = scene.machine.call("alice", "/usr/bin/git").args(&["init", "-q"]).cwd(&project);
        git.run().ends(0);
        for name in ["place/inner", "file"] {
            file(&scene, name, &format!("{SECRET}\n"));
        }
        root(&["sh", "-c", &format!("echo '# {SECRET}' >> /etc/agent-aws/policy.toml")]);
        Self { scene, project }
    }

    /// Lines of shell inside, as the session's user.
    fn inside(&self, script: &str) -> Call {
        self.inside_of("nesting", script)
    }

    fn inside_of(&self, sandbox: &str, script: &str) -> Call {
        self.scene.run(&["--no-wait", "--sandbox", sandbox], &["bash", "-c", &format!("{SHELL}{script}")])
    }

    /// The same outside, in a mount namespace whose owner is Alice: there, what she mounted she may undo.
    fn outside(&self, script: &str) -> Output {
        let script = format!("{SHELL}{script}");
        self.scene.machine.call("alice", "/bin/bash").args(&["-c", &script]).run()
    }
}

/// `nested LINE`: the line as root of a user, mount and pid namespace of its own, under bash, with an empty directory
/// `$T`, the project being `$P`. `look DIR`: every word that hidden files hold, wherever they are below `DIR`.
const SHELL: &str = r#"
export PATH=$PATH:/usr/sbin P=$PWD T=/tmp/t SECRET=hidden-words-of-somebody; mkdir -p $T
look() { timeout 20 grep -rsI --devices=skip -l -- "$SECRET" "$@" 2>/dev/null | sed 's/^/SHOWN /'; cat "$@" 2>/dev/null | grep -a "$SECRET" | sed 's/^/SHOWN /'; }
export -f look
nested() { unshare --user --map-root-user --mount --pid --fork --propagation unchanged bash -c "$1" 2>&1; }
"#;

/// Ways to get at what is under a mount, with `$M` for what is mounted and `$D` for the directory it is in. Each is
/// tried on its own and followed by a look everywhere.
const UNCOVER: &[(&str, &str)] = &[
    ("umount", "umount $M"),
    ("lazy umount", "umount -l $M"),
    ("umount of all", "umount -R -l $D; umount -a -l"),
    ("bind of the directory around it", "mount --bind $D $T"),
    (
        "recursive bind, then umount in it",
        "mount --rbind $D $T && { umount $T/${M##*/}; umount -l $T/${M##*/}; true; }",
    ),
    ("private, then umount", "mount --make-rprivate /; umount -l $M"),
    ("slave, then umount", "mount --make-rslave /; umount -l $M"),
    ("move away", "mount --move $M $T"),
    ("move of the directory around it", "mount --move $D $T"),
    (
        "overlay of the directory around it",
        "mkdir -p /tmp/u /tmp/w; mount -t overlay overlay -o lowerdir=$D,upperdir=/tmp/u,workdir=/tmp/w $T",
    ),
    ("overlay to read", "mkdir -p /tmp/e; mount -t overlay overlay -o lowerdir=$D:/tmp/e $T"),
    ("rename of the covered", "mv $M $D/renamed; rmdir $M; rm -rf $M"),
    ("mount over, then umount twice", "mount -t tmpfs none $M; umount $M; umount $M"),
    ("bind over it", "mount --bind /tmp $M; umount -l $M; umount -l $M"),
    (
        "a new root",
        "mount --rbind / $T && cd $T && mkdir -p tmp/old && pivot_root . tmp/old && umount -l /tmp/old; umount -l $M",
    ),
    (
        "namespaces in namespaces",
        "unshare --user --map-root-user --mount bash -c 'umount $M; umount -l $M; mount --bind $D $T; look $D $T'",
    ),
    ("remount of the mask", "mount -o remount,bind,rw,suid,dev $M; mount -o remount,dev,rw $M"),
    ("through /proc", "look /proc/1/root$D /proc/self/root$D /proc/1/cwd /proc/*/root$D"),
    ("a new proc", "mount -t proc proc $T && look $T/1/root$D $T/self/root$D"),
];

fn no_mount_in_a_nested_namespace_shows_what_is_hidden(mode: Mode) {
    let masked = Masked::new(mode);
    let project = masked.project.display();
    let masks = [format!("{project}/place"), format!("{project}/file"), "/etc/agent-aws".into()];
    nothing_is_uncovered(&masked, "nesting", &masks);
    the_control(&masked);
}

fn no_mount_in_a_nested_namespace_shows_a_secret_store_of_the_real_home(mode: Mode) {
    let masked = Masked::new(mode);
    let alice = masked.scene.machine.user("alice");
    let stores = [".aws", ".ssh"].map(|name| alice.home.join(name));
    for store in &stores {
        masked.scene.machine.file(&alice, &store.join("inner"), 0o644, format!("{SECRET}\n"));
    }
    nothing_is_uncovered(&masked, "real", &stores.map(|store| store.display().to_string()));
}

/// Each way is tried at each mask, by a root of a nested namespace, in a session with this sandbox.
#[track_caller]
fn nothing_is_uncovered(masked: &Masked, sandbox: &str, masks: &[String]) {
    // Without any sandbox each of them is there to be read.
    let plain = masked.outside(&format!("look {}", masks.join(" "))).says();
    assert!(masks.iter().all(|mask| plain.contains(&format!("SHOWN {mask}"))), "{plain}");
    let mut script = String::new();
    for mask in masks {
        let directory = mask.rsplit_once('/').map_or("/", |(directory, _)| directory);
        for (name, line) in UNCOVER {
            let line = line.replace('\'', r"'\''");
            script.push_str(&format!(
                "export M={mask} D={directory}; echo '-- {name}: {mask}'; nested '{line}; look $D $T $M'; rm -rf /tmp/u /tmp/w /tmp/e\n"
            ));
        }
    }
    let said = masked.inside_of(sandbox, &script).run_within(LONG);
    assert_eq!(said.stdout.matches("-- ").count(), masks.len() * UNCOVER.len(), "{said}");
    assert!(!said.stdout.contains("SHOWN") && !said.stdout.contains(SECRET), "{said}");
    // It was not for want of power or of a program.
    let for_want = ["must be superuser", "command not found"].iter().any(|words| said.stdout.contains(words));
    assert!(!for_want, "{said}");
}

/// The same lines, without our sandbox, on a mask that was made in the same namespace.
fn the_control(masked: &Masked) {
    let works = ["umount", "lazy umount", "bind of the directory around it", "move away", "overlay to read"];
    for (name, line) in UNCOVER.iter().filter(|(name, _)| works.contains(name)) {
        let line = line.replace('\'', r"'\''");
        let script =
            format!("export M=$P/place D=$P; nested 'mount -t tmpfs none $M; look $M; {line}; look $M $T/place'");
        let said = masked.outside(&script);
        assert!(said.stdout.contains("SHOWN"), "{name}: {said}");
    }
}

/// Ways to write to what is read-only, with `$M` for it.
const LOOSEN: &[(&str, &str)] = &[
    ("nothing", "true"),
    ("remount", "mount -o remount,bind,rw $M"),
    ("remount of the file system", "mount -o remount,rw $M"),
    ("remount of all", "mount -o remount,bind,rw /; mount -o remount,rw /"),
    ("bind, then remount", "mount --bind $M $T && mount -o remount,bind,rw $T; echo written > $T/written"),
    ("recursive bind, then remount", "mount --rbind $M $T && mount -o remount,bind,rw $T; echo written > $T/written"),
    ("umount of the bind", "umount $M; umount -l $M"),
    ("rename of what is around it", "mv ${M%/*} ${M%/*}.away"),
    (
        "in a namespace of its own",
        "unshare --user --map-root-user --mount bash -c 'mount -o remount,bind,rw $M; echo written > $M/written'",
    ),
    (
        "overlay that is written through",
        "mkdir -p /tmp/u /tmp/w; mount -t overlay overlay -o lowerdir=$M,upperdir=/tmp/u,workdir=/tmp/w $M; rm -rf /tmp/u /tmp/w",
    ),
];

fn nothing_read_only_becomes_writable_in_a_nested_namespace(mode: Mode) {
    let masked = Masked::new(mode);
    // Where Alice may write outside: otherwise it would be the file system that refuses.
    let hooks = masked.project.join(".git/hooks");
    let shown = masked.project.parent().expect("a directory above").join("shown");
    let alice = masked.scene.machine.user("alice");
    masked.scene.machine.directory(&alice, &shown);
    let rows = [hooks.display().to_string(), shown.display().to_string()];
    let mut script = String::new();
    for row in &rows {
        for (name, line) in LOOSEN {
            let line = line.replace('\'', r"'\''");
            script.push_str(&format!(
                "echo '-- {name}: {row}'; M={row} nested '{line}; echo written > $M/written && echo WRITTEN'; rm -rf /tmp/u /tmp/w\n"
            ));
        }
    }
    script.push_str("for f in /usr/written /etc/written /run/written /run/agent-aws/written /written /dev/written /proc/sys/kernel/hostname; do nested \"mount -o remount,bind,rw ${f%/*}; mount -o remount,rw ${f%/*}; echo written > $f && echo WRITTEN $f\"; done\n");
    let shown_option = shown.display().to_string();
    let options = ["--no-wait", "--sandbox", "nesting", "--ro", &shown_option];
    let said = masked.scene.run(&options, &["bash", "-c", &format!("{SHELL}{script}")]).run_within(LONG);
    // The overlay hides the row for the one who mounted it; on the host nothing is written.
    let real: Vec<&str> = said.stdout.split("-- ").filter(|part| !part.starts_with("overlay")).collect();
    assert_eq!(said.stdout.matches("-- ").count(), rows.len() * LOOSEN.len(), "{said}");
    assert!(!real.concat().contains("WRITTEN"), "{said}");
    for directory in [&hooks, &shown] {
        assert!(!directory.join("written").exists(), "{}: {said}", directory.display());
    }
    assert!(masked.project.join(".git").is_dir(), "{said}");
    // The controls: the same without our sandbox, on what was made read-only in the same namespace; and the project can
    // be written to from a nested namespace.
    let mut control = String::from(
        "export M=$P/.git/hooks; nested 'mount --bind $M $M; mount -o remount,bind,ro $M; echo no > $M/written; ",
    );
    control.push_str("mount -o remount,bind,rw $M; echo written > $M/written && echo WRITTEN; rm $M/written'");
    let outside = masked.outside(&control);
    assert!(outside.stdout.contains("Read-only file system") && outside.stdout.contains("WRITTEN"), "{outside}");
    let inside = masked.inside("nested 'echo written > $P/written && echo WRITTEN'").run().says();
    assert_eq!(inside, "WRITTEN");
}

/// bubblewrap with everything it can give to its inside.
fn the_inner_sandboxes_of_others_show_nothing_more(mode: Mode) {
    let masked = Masked::new(mode);
    let bwrap = "bwrap --unshare-user --uid 0 --gid 0 --cap-add ALL --bind / / --dev /dev --proc /proc --unshare-pid";
    let script = format!(
        "{bwrap} bash -c 'export T=/tmp/t; umount $P/place; umount -l /etc/agent-aws; mount --bind $P $T; mount --bind /etc $T; \
         mount -o remount,bind,rw $P/.git/hooks; echo x > $P/.git/hooks/written; look $P /etc/agent-aws $T; id -u'"
    );
    let said = masked.inside(&script).run().ends(0);
    assert_eq!(said.stdout, "0\n", "{said}");
    assert!(!masked.project.join(".git/hooks/written").exists(), "{said}");
    for name in ["place/inner", "file"] {
        let whole = std::fs::read_to_string(masked.project.join(name)).expect("what Alice hid");
        assert_eq!(whole.trim(), SECRET);
    }
}

fn a_nested_root_finds_no_process_and_no_mount_of_the_host(mode: Mode) {
    let masked = Masked::new(mode);
    let script = r#"nested 'mount -t proc proc $T && ls -d $T/[0-9]* | wc -l; wc -l < $T/1/mountinfo; nsenter --target 1 --mount true; nsenter --user --mount --target 1 true && echo ENTERED'
ls -d /proc/[0-9]* | wc -l; nsenter --user --target 1 true && echo ENTERED; true"#;
    let said = masked.inside(script).run().ends(0);
    assert!(!said.stdout.contains("ENTERED"), "{said}");
    let numbers: Vec<usize> = said.stdout.lines().filter_map(|line| line.trim().parse().ok()).collect();
    // Its own processes; the sandbox's mounts, not the machine's; the session's processes.
    assert!(matches!(numbers.as_slice(), [1..=5, _, 1..=6]), "{said}");
}
