//! Boots other kernels and has the guest's tests run there. A boot that cannot be tried here is said, and counted as
//! ignored.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use agent_aws_harness::Stage;

/// A guest by emulation takes about a minute; on a busy machine it takes several times as long.
const LIMIT: Duration = Duration::from_secs(600);
/// What the guest's tests, the harness and its users need, from this machine.
const PROGRAMS: &str = "bash sh env setpriv unshare sleep true false cat grep cut tr id ls seq setsid nohup head mkdir rm \
                        touch readlink chmod echo mount git";
/// Where programs are looked for.
const PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// A kernel, how it is started, and which of the guest's tests are for it.
struct Boot {
    name: &'static str,
    /// A package that depends on the newest kernel package of its line.
    package: &'static str,
    line: &'static str,
    cases: &'static str,
}

static BOOTS: [Boot; 3] = [
    Boot { name: "6.12", package: "linux-image-6.12-cloud-amd64", line: "", cases: "with_control_groups_" },
    Boot {
        name: "6.12 without Landlock",
        package: "linux-image-6.12-cloud-amd64",
        line: "lsm=yama",
        cases: "without_landlock_",
    },
    Boot { name: "6.1", package: "linux-image-cloud-amd64", line: "", cases: "on_an_old_kernel_" },
];

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let began = Instant::now();
    let (sender, lines) = mpsc::channel();
    // The name of a boot as argument leaves the others out.
    let wanted = std::env::args().nth(1);
    let boots: Vec<&'static Boot> =
        BOOTS.iter().filter(|boot| wanted.as_ref().is_none_or(|w| w == boot.name)).collect();
    let threads: Vec<_> = boots
        .iter()
        .map(|&boot| {
            let say = sender.clone();
            std::thread::spawn(move || run(boot, &|line| drop(say.send(format!("{}: {line}", boot.name)))))
        })
        .collect();
    drop(sender);
    lines.iter().for_each(|line| println!("{line}"));
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    for (boot, thread) in boots.iter().zip(threads) {
        match thread.join().expect("a boot") {
            Ok(Ended::With(good, bad)) => (passed, failed) = (passed + good, failed + bad),
            Ok(Ended::Not(why)) => {
                println!("ignored: {}: {why}", boot.name);
                ignored += 1;
            }
            Err(why) => {
                println!("{}: {why}", boot.name);
                failed += 1;
            }
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let seconds = began.elapsed().as_secs();
    println!("test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; finished in {seconds} s");
    ExitCode::from(u8::from(failed != 0))
}

/// How a boot came out.
enum Ended {
    /// So many tests passed, so many failed.
    With(u64, u64),
    /// It could not be tried here.
    Not(String),
}

fn run(boot: &Boot, say: &dyn Fn(&str)) -> Result<Ended> {
    let kernel = match obstacle().map_or_else(|| kernel(boot.package), Err) {
        Ok(kernel) => kernel,
        Err(why) => return Ok(Ended::Not(why)),
    };
    let scratch = place().join(format!("boot-{}", boot.cases));
    let image = image(&scratch, &kernel)?;
    let ended = start(boot, &kernel, &image, say);
    fs::remove_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    ended
}

/// What keeps guests from being tried here.
fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("root is needed: a setuid program of root's goes into the image".into());
    }
    if std::env::consts::ARCH != "x86_64" {
        return Some("the kernels are for x86_64".into());
    }
    let absent = ["qemu-system-x86_64", "busybox", "apt-get", "dpkg-deb", "xz"].into_iter().find(|p| find(p).is_none());
    absent.map(|program| format!("{program} is not here")).or_else(|| Stage::find().err())
}

fn find(program: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(program)).find(|path| path.is_file())
}

/// Where kernels are kept and images are made: beside the other things that tests depend on.
fn place() -> PathBuf {
    let stage = PathBuf::from(std::env::var_os("AGENT_AWS_STAGE").expect("the stage was found"));
    stage.parent().expect("the build directory").join("test-deps/vm")
}

fn ask(program: &str, arguments: &[&str], directory: &Path) -> Result<String> {
    let output = Command::new(program).args(arguments).current_dir(directory).stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("{program}: {e}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// The unpacked package of a kernel: fetched once.
fn kernel(package: &str) -> Result<PathBuf> {
    // Two boots may want the same one.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock();
    fs::create_dir_all(place()).map_err(|e| format!("{}: {e}", place().display()))?;
    let kept = place().join(package);
    if !kept.join("complete").exists() {
        let _ = fs::remove_dir_all(&kept);
        let said = ask("apt-cache", &["depends", "--important", package], &place())?;
        let real =
            said.lines().find_map(|l| l.trim().strip_prefix("Depends: ")).filter(|p| p.starts_with("linux-image"));
        let real = real.ok_or_else(|| format!("no package {package} is known to apt here"))?;
        fs::create_dir_all(&kept).map_err(|e| format!("{}: {e}", kept.display()))?;
        ask("apt-get", &["download", "-q", "-o", "APT::Sandbox::User=root", real], &kept)?;
        let archive =
            one_below(&kept, |name| name.ends_with(".deb")).ok_or_else(|| format!("{real} was not fetched"))?;
        ask("dpkg-deb", &["-x", &archive.display().to_string(), "."], &kept)?;
        fs::remove_file(archive).and_then(|()| fs::write(kept.join("complete"), "")).map_err(|e| e.to_string())?;
    }
    Ok(kept)
}

fn one_below(directory: &Path, fits: impl Fn(&str) -> bool) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|e| e.path()).find(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(&fits))
}

/// The root file system as the kernel takes it: programs of this machine with their libraries, the stage, the tests.
fn image(scratch: &Path, kernel: &Path) -> Result<PathBuf> {
    let _ = fs::remove_dir_all(scratch);
    let root = scratch.join("root");
    let fail = |e: std::io::Error| format!("{}: {e}", root.display());
    for directory in [
        "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/local", "etc", "proc", "sys", "dev", "tmp", "run", "home",
        "opt", "root", "var/log", "var/tmp", "stage",
    ] {
        fs::create_dir_all(root.join(directory)).map_err(fail)?;
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name)).map_err(fail)?;
    }
    let guest = PathBuf::from(env!("CARGO_BIN_EXE_guest"));
    let stage = PathBuf::from(std::env::var_os("AGENT_AWS_STAGE").expect("the stage was found"));
    let mut files = vec![guest.clone(), stage.join("setuid/usr/local/bin/agent-aws"), stage.join("tools/glutton")];
    files.push(stage.join("setuid/usr/local/libexec/agent-aws/agent-aws-broker"));
    for program in PROGRAMS.split_whitespace().chain(["busybox"]) {
        let path = find(program).ok_or_else(|| format!("{program} is not here"))?;
        copy(&path, &root.join("usr/bin").join(program))?;
        files.push(path);
    }
    for library in files.iter().flat_map(|file| libraries(file)) {
        let below = library.strip_prefix("/usr").unwrap_or(library.strip_prefix("/").unwrap_or(&library)).to_owned();
        copy(&library, &root.join("usr").join(below))?;
    }
    copy(&guest, &root.join("guest"))?;
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("init"), &root.join("init"))?;
    let staged = ["setuid", "user", "tools", "world"].map(|part| stage.join(part).display().to_string());
    let target = root.join("stage").display().to_string();
    let words: Vec<&str> =
        std::iter::once("-a").chain(staged.iter().map(String::as_str)).chain([target.as_str()]).collect();
    ask("cp", &words, scratch)?;
    for (path, content) in [
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/nsswitch.conf", "passwd: files\ngroup: files\n"),
    ] {
        fs::write(root.join(path), content).map_err(fail)?;
    }
    overlay(kernel, &root)?;
    ask("strip", &[&root.join("guest").display().to_string()], scratch)?;
    let pack = "cd root && busybox find . | busybox cpio -o -H newc > ../image";
    ask("busybox", &["sh", "-c", pack], scratch)?;
    Ok(scratch.join("image"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().expect("a directory")).map_err(|e| e.to_string())?;
    fs::copy(from, to).map(drop).map_err(|e| format!("{}: {e}", from.display()))
}

/// What ldd(1) lists; nothing for a static program.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let said = ask("ldd", &[&program.display().to_string()], Path::new("/")).unwrap_or_default();
    let paths = said.lines().filter_map(|l| l.split_whitespace().find(|w| w.starts_with('/')));
    paths.map(PathBuf::from).collect()
}

/// Private worlds need overlayfs, which Debian builds as a module.
fn overlay(kernel: &Path, root: &Path) -> Result<()> {
    let modules = kernel.join("lib/modules");
    let release = one_below(&modules, |_| true).ok_or_else(|| format!("{} is empty", modules.display()))?;
    let found = one_below(&release.join("kernel/fs/overlayfs"), |name| name.starts_with("overlay.ko"));
    let Some(found) = found else { return Ok(()) };
    let to = root.join(found.file_name().expect("a file"));
    copy(&found, &to)?;
    match to.extension().is_some_and(|e| e == "xz") {
        true => ask("xz", &["-d", &to.display().to_string()], root).map(drop),
        false => Ok(()),
    }
}

/// Boots and reads what the guest's tests say, line by line.
fn start(boot: &Boot, kernel: &Path, image: &Path, say: &dyn Fn(&str)) -> Result<Ended> {
    let vmlinuz =
        one_below(&kernel.join("boot"), |name| name.starts_with("vmlinuz")).ok_or("no kernel in its package")?;
    let console = image.with_file_name("console");
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-machine", "q35", "-accel", "tcg,tb-size=256", "-cpu", "Nehalem,+rdrand", "-smp", "1", "-m", "1024",
        "-display", "none",
    ]);
    qemu.args(["-no-reboot", "-nodefaults", "-monitor", "none", "-serial"]).arg(format!("file:{}", console.display()));
    qemu.args(["-serial", "stdio", "-kernel"]).arg(vmlinuz).arg("-initrd").arg(image).arg("-append");
    let quiet = "console=ttyS0 panic=-1 quiet loglevel=4 mitigations=off";
    qemu.arg(format!("{quiet} cases={} {}", boot.cases, boot.line));
    let mut qemu = qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|e| format!("qemu: {e}"))?;
    let output = qemu.stdout.take().expect("a pipe");
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(output).split(b'\n').map_while(std::io::Result::ok).try_for_each(|l| sender.send(l))
    });
    let until = Instant::now() + LIMIT;
    let mut ended = Err("it said nothing of how its tests ended".to_owned());
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                match line.strip_prefix("test result: ") {
                    Some(counts) => ended = counted(counts),
                    None => say(&line),
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                ended = Err(format!("not within {} s", LIMIT.as_secs()));
                break;
            }
        }
    }
    let _ = qemu.kill();
    let _ = qemu.wait();
    if ended.is_err() {
        let text = fs::read(&console).unwrap_or_default();
        String::from_utf8_lossy(&text).lines().rev().take(30).collect::<Vec<_>>().iter().rev().for_each(|l| say(l));
    }
    ended
}

/// `ok. 3 passed; 0 failed; 0 ignored; ...`. A boot in which nothing was run shows nothing.
fn counted(counts: &str) -> Result<Ended> {
    let number = |what: &str| {
        let part = counts.split([';', '.']).find_map(|part| part.trim().strip_suffix(what));
        part.and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    match (number(" passed"), number(" failed"), number(" ignored")) {
        (0, 0, _) => Err("no test was run there".into()),
        (_, _, 1..) => Err("tests were left out there".into()),
        (passed, failed, 0) => Ok(Ended::With(passed, failed)),
    }
}
