//! What is in the packages: owners and modes, how the programs are linked, pages, completions, the bill of materials.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::LazyLock;

use agent_aws_packages::{Case, ask, case, changes, deb, rpm, scratch, suite, workspace};
use serde_json::Value;

const LIBEXEC: &str = "/usr/libexec/agent-aws/";
/// What is not 0644, or 0755 where it is a directory.
const MODES: &[(&str, &str)] = &[
    ("/usr/bin/agent-aws", "-rwxr-xr-x"),
    ("/usr/libexec/agent-aws/agent-aws-helper", "-rwsr-xr-x"),
    ("/usr/libexec/agent-aws/agent-aws-broker", "-rwx--x--x"),
    ("/usr/libexec/agent-aws/agent-aws-gateway", "-rwx--x--x"),
    ("/usr/libexec/agent-aws/agent-aws-plumber", "-rwx--x--x"),
    ("/usr/libexec/agent-aws/agent-aws-reader", "-rwx--x--x"),
    ("/usr/libexec/agent-aws/agent-aws-init", "-rwx--x--x"),
    ("/usr/libexec/agent-aws/agent-aws-credentials", "-rwxr-xr-x"),
    ("/etc/agent-aws/sources", "drwx------"),
    ("/var/log/agent-aws", "drwxr-x---"),
];
const DYNAMIC: [&str; 3] =
    ["/usr/bin/agent-aws", "/usr/libexec/agent-aws/agent-aws-helper", "/usr/libexec/agent-aws/agent-aws-broker"];
/// What a setuid program must not be able to call: other programs by way of a shell, other code by way of a library.
const FORBIDDEN: &[&str] =
    &["dlopen", "dlmopen", "dlsym", "system", "popen", "execlp", "execvp", "execvpe", "posix_spawnp", "wordexp"];

const CASES: &[Case] = &[
    case!(everything_is_roots_and_only_the_helper_is_setuid),
    case!(the_helper_is_linked_to_glibc_alone_hardened_and_calls_nothing_that_loads_or_starts),
    case!(every_program_is_position_independent_and_those_for_empty_roots_need_no_library),
    case!(no_program_names_a_directory_of_where_it_was_built),
    case!(every_command_has_a_manual_page),
    case!(each_shell_has_its_completion_where_it_looks_for_it),
    case!(the_bill_of_materials_is_of_what_is_linked_with_checksums_and_licences),
    case!(lintian_finds_nothing_that_is_not_explained),
    case!(logcheck_is_silent_about_sessions_and_not_about_denials),
    case!(the_profile_of_apparmor_is_one),
    case!(the_policy_that_is_shipped_is_right),
    case!(packaging_it_again_gives_the_same_bytes),
];
const PROGRAMS: &[&str] = &["dpkg-deb", "readelf", "lintian", "rpm"];

fn main() -> ExitCode {
    suite(CASES, PROGRAMS)
}

/// The Debian package, unpacked once.
static UNPACKED: LazyLock<PathBuf> = LazyLock::new(|| {
    let place = scratch("content");
    ask("dpkg-deb", &["-x", &deb().display().to_string(), &place.display().to_string()]);
    place
});

fn at(path: &str) -> PathBuf {
    UNPACKED.join(path.trim_start_matches('/'))
}

fn programs() -> Vec<PathBuf> {
    let modes = MODES.iter().filter(|(_, mode)| mode.starts_with('-'));
    modes.map(|(path, _)| at(path)).collect()
}

fn readelf(what: &str, program: &Path) -> String {
    ask("readelf", &["-W", what, &program.display().to_string()])
}

/// Mode and owner of each path in a listing of `dpkg-deb -c` or `rpm -qplv`.
fn listing(text: &str) -> BTreeMap<String, (String, bool)> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let path = words.iter().find(|word| word.starts_with("./") || word.starts_with('/'))?;
        let roots = words[1] == "root/root" || words[2..4] == ["root", "root"];
        Some((format!("/{}", path.trim_start_matches("./").trim_matches('/')), (words[0].to_owned(), roots)))
    };
    text.lines().filter_map(line).collect()
}

fn everything_is_roots_and_only_the_helper_is_setuid() {
    let deb = ask("dpkg-deb", &["-c", &deb().display().to_string()]);
    let rpm = ask("rpm", &["-qplv", &rpm().display().to_string()]);
    for listed in [listing(&deb), listing(&rpm)] {
        assert!(listed.len() > 80, "{listed:?}");
        for (path, mode) in MODES {
            assert_eq!(listed[*path].0, *mode, "{path}");
        }
        for (path, (mode, roots)) in &listed {
            assert!(*roots, "{path} is not root's");
            let usual = if mode.starts_with('d') { "drwxr-xr-x" } else { "-rw-r--r--" };
            let link = mode.starts_with('l') || path == "/var/log/agent-aws/audit.jsonl";
            assert!(link || mode == usual || MODES.iter().any(|(known, _)| known == path), "{mode} {path}");
        }
    }
}

fn the_helper_is_linked_to_glibc_alone_hardened_and_calls_nothing_that_loads_or_starts() {
    let helper = at("/usr/libexec/agent-aws/agent-aws-helper");
    let dynamic = readelf("-d", &helper);
    let needed: Vec<&str> = dynamic.lines().filter(|line| line.contains("(NEEDED)")).collect();
    // The other one is the loader, by which glibc says where its own variables of threads are.
    let known = |line: &&&str| line.contains("[libc.so.6]") || line.contains("[ld-linux");
    assert!(!needed.is_empty() && needed.iter().all(|line| known(&line)), "{dynamic}");
    let absent = |word: &str| assert!(!dynamic.contains(word), "{word}: {dynamic}");
    ["RPATH", "RUNPATH", "TEXTREL"].into_iter().for_each(absent);
    let symbols = readelf("--dyn-syms", &helper);
    let names: BTreeSet<&str> =
        symbols.lines().filter_map(|l| l.split_whitespace().nth(7)?.split('@').next()).collect();
    assert!(names.contains("setresuid") || names.contains("getgrouplist"), "the control: {names:?}");
    for name in FORBIDDEN {
        assert!(!names.contains(name), "{name}");
    }
}

fn every_program_is_position_independent_and_those_for_empty_roots_need_no_library() {
    for program in programs() {
        let name = program.display();
        let (header, segments, dynamic) = (readelf("-h", &program), readelf("-l", &program), readelf("-d", &program));
        assert!(header.contains("DYN ("), "{name} is not position independent: {header}");
        assert!(segments.contains("GNU_RELRO") && dynamic.contains("NOW"), "{name}: {segments}{dynamic}");
        let stack = segments.lines().find(|line| line.contains("GNU_STACK")).unwrap_or("GNU_STACK RWE");
        assert!(!stack.contains("RWE"), "{name}: {stack}");
        let dynamically = DYNAMIC.iter().any(|path| at(path) == program);
        assert_eq!(segments.contains("INTERP"), dynamically, "{name}: {segments}");
        assert_eq!(dynamic.contains("(NEEDED)"), dynamically, "{name}: {dynamic}");
    }
}

fn no_program_names_a_directory_of_where_it_was_built() {
    let home = |name: &str, below: &str| {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(below);
        std::env::var_os(name).map_or_else(home, PathBuf::from)
    };
    let places = [workspace(), home("CARGO_HOME", ".cargo"), home("RUSTUP_HOME", ".rustup")];
    for program in programs() {
        let bytes = fs::read(&program).unwrap();
        for place in places.iter().map(|place| place.as_os_str().as_encoded_bytes()) {
            let found = bytes.windows(place.len()).any(|window| window == place);
            assert!(!found, "{} names {}", program.display(), String::from_utf8_lossy(place));
        }
    }
    // The control: what stands in their place is there.
    let cli = fs::read(at("/usr/bin/agent-aws")).unwrap();
    assert!(cli.windows(8).any(|window| window == b"/crates/"), "no path of a crate at all");
}

/// Names of the commands that `agent-aws WORDS --help` lists.
fn commands(words: &[&str]) -> Vec<String> {
    let help = ask(&at("/usr/bin/agent-aws").display().to_string(), &[words, &["--help"]].concat());
    let (_, list) = help.split_once("Commands:\n").unwrap_or_default();
    let names = list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

fn every_command_has_a_manual_page() {
    let page = |path: String| assert!(at(&path).is_file(), "{path} is not there");
    for path in ["man1/agent-aws.1", "man5/policy.toml.5", "man8/agent-aws-helper.8"] {
        page(format!("/usr/share/man/{path}.gz"));
    }
    let first = commands(&[]);
    assert!(first.len() > 8, "{first:?}");
    for command in first {
        page(format!("/usr/share/man/man1/agent-aws-{command}.1.gz"));
        for below in commands(&[&command]) {
            page(format!("/usr/share/man/man1/agent-aws-{command}-{below}.1.gz"));
        }
    }
    let policy = ask("zcat", &[&at("/usr/share/man/man5/policy.toml.5.gz").display().to_string()]);
    for key in ["deny\\-actions", "rw\\-paths", "sts\\-endpoint"] {
        assert!(policy.contains(key), "{key}");
    }
}

fn each_shell_has_its_completion_where_it_looks_for_it() {
    for (shell, path) in [
        ("bash", "/usr/share/bash-completion/completions/agent-aws"),
        ("zsh", "/usr/share/zsh/vendor-completions/_agent-aws"),
        ("fish", "/usr/share/fish/vendor_completions.d/agent-aws.fish"),
    ] {
        let said = ask(&at("/usr/bin/agent-aws").display().to_string(), &["completion", shell]);
        assert_eq!(fs::read_to_string(at(path)).unwrap().trim_end(), said.trim_end(), "{path}");
    }
}

fn the_bill_of_materials_is_of_what_is_linked_with_checksums_and_licences() {
    let text = ask("zcat", &[&at("/usr/share/doc/agent-aws/agent-aws.cdx.json.gz").display().to_string()]);
    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let parts = bill["components"].as_array().unwrap();
    let named = |name: &str| parts.iter().find(|part| part["name"] == name);
    for program in programs() {
        let name = program.file_name().unwrap().to_string_lossy();
        assert_eq!(named(&name).unwrap()["type"], "application", "{name}");
    }
    for linked in ["clap", "aws-sdk-sts", "landlock", "hyper"] {
        assert!(named(linked).is_some(), "{linked}");
    }
    for not_linked in ["clap_mangen", "libtest-mimic", "clap_derive", "agent-aws-harness"] {
        assert!(named(not_linked).is_none(), "{not_linked}");
    }
    for part in parts.iter().filter(|part| !part["name"].as_str().unwrap().starts_with("agent-aws")) {
        assert!(part["hashes"][0]["content"].as_str().is_some_and(|sum| sum.len() == 64), "{part}");
        assert!(part["licenses"][0]["expression"].is_string(), "{part}");
    }
    let known: BTreeSet<&str> = parts.iter().filter_map(|part| part["bom-ref"].as_str()).collect();
    let needs = bill["dependencies"].as_array().unwrap();
    assert!(
        needs
            .iter()
            .flat_map(|n| n["dependsOn"].as_array().unwrap())
            .all(|need| known.contains(need.as_str().unwrap()))
    );
}

fn lintian_finds_nothing_that_is_not_explained() {
    let lintian = |more: &[&str]| {
        let words = [&["--allow-root", "--display-info", "--pedantic"], more].concat();
        ask("lintian", &[&words[..], &[&changes().display().to_string()]].concat())
    };
    assert_eq!(lintian(&[]), "");
    assert!(lintian(&["--no-override"]).contains("elevated-privileges"), "the control");
}

fn logcheck_is_silent_about_sessions_and_not_about_denials() {
    let rule = at("/etc/logcheck/ignore.d.server/agent-aws").display().to_string();
    let line = |event: &str| {
        format!(
            "Nov 22 03:05:29 host agent-aws-helper[12]: {{\"time\":\"2026-11-22T03:05:29Z\",\"event\":\"{event}\",\"uid\":\"1000\"}}"
        )
    };
    let reported = |line: &str| {
        let mut grep = Command::new("grep");
        let mut child = grep.args(["-E", "-v", "-q", "-f", &rule]).stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{line}\n").as_bytes()).unwrap();
        child.wait().unwrap().success()
    };
    for (event, reports) in [
        ("start", false),
        ("issue", false),
        ("refresh", false),
        ("end", false),
        ("deny", true),
        ("issue-failure", true),
        ("refresh-failure", true),
        ("revoked", true),
        ("blocked", true),
    ] {
        assert_eq!(reported(&line(event)), reports, "{event}");
    }
    let modern = line("start").replace("Nov 22 03:05:29", "2026-11-22T03:05:29.123456+00:00");
    assert!(!reported(&modern), "{modern}");
    // Somebody else's line, and a denial that speaks of a start.
    assert!(reported(&line("start").replace("agent-aws-helper", "other")));
    assert!(reported(&line("deny").replace("1000", "\\\"event\\\":\\\"start\\\",")));
}

fn the_profile_of_apparmor_is_one() {
    let profile = at("/etc/apparmor.d/agent-aws-helper");
    let text = fs::read_to_string(&profile).unwrap();
    assert!(text.contains(&format!("/{{usr,usr/local}}{}", &LIBEXEC[4..])), "{text}");
    if Path::new("/usr/sbin/apparmor_parser").is_file() {
        ask("apparmor_parser", &["--skip-kernel-load", "--skip-cache", "--quiet", &profile.display().to_string()]);
    }
    let userns = fs::read_to_string(workspace().join("packaging/apparmor/agent-aws-helper.userns")).unwrap();
    let head = |text: &str| text.lines().find(|line| line.starts_with("profile ")).unwrap().to_owned();
    assert_eq!(head(&text), head(&userns));
}

fn the_policy_that_is_shipped_is_right() {
    let program = at("/usr/bin/agent-aws").display().to_string();
    for policy in ["/etc/agent-aws/policy.toml", "/usr/share/doc/agent-aws/examples/deny-list.toml"] {
        let _ = ask(&program, &["policy", "check", &at(policy).display().to_string()]);
    }
}

/// What building does is shown by `xtask reproducible`; this is the part of the package's own rules.
fn packaging_it_again_gives_the_same_bytes() {
    let sum = |path: &Path| ask("sha256sum", &[&path.display().to_string()])[..64].to_owned();
    let (debs, rpms) = (sum(&deb()), sum(&rpm()));
    let place = scratch("again/in-a-directory-of-another-name");
    for (kind, ending, first) in [("deb", ".deb", debs), ("rpm", ".rpm", rpms)] {
        let at = place.join(kind).display().to_string();
        let xtask = PathBuf::from(std::env::var_os("AGENT_AWS_STAGE").unwrap()).with_file_name("debug/xtask");
        let xtask = xtask.display().to_string();
        // Nor by whom: the files of an ordinary user, as far as they can tell.
        ask("unshare", &["--user", "--map-user=1000", "--map-group=1000", &xtask, kind, "--to", &at]);
        let mut entries = fs::read_dir(&at).unwrap().flatten().map(|entry| entry.path());
        let again = entries.find(|path| path.display().to_string().ends_with(ending)).unwrap();
        assert_eq!(sum(&again), first, "{kind}");
    }
}
