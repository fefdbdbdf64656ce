//! `home = "real-read-only"` and `home = "real"`: the caller's own home without its secrets, sockets and FIFOs.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_e2e::inside::{inside, outside, root};
use agent_aws_harness::{Call, Case, Mode, Scene, Setup, case, suite};

const CASES: &[Case] = &[
    case!(every_secret_store_is_hidden_in_both_kinds_of_home).private().limit(180),
    case!(a_real_home_is_there_read_only_and_the_project_is_not).private(),
    case!(a_real_home_is_writable_where_policy_says_so).private(),
    case!(what_leads_to_a_secret_cannot_be_renamed_away).private(),
    case!(a_socket_in_a_real_home_cannot_be_connected_to).private(),
    case!(a_fifo_in_a_real_home_leads_to_nobody).private(),
    case!(links_that_stand_for_stores_are_hidden_where_they_lead).private(),
    case!(what_variables_name_is_hidden_wherever_it_lies).private(),
    case!(secrets_by_name_are_hidden_wherever_they_lie).private(),
    case!(a_variable_that_would_hide_the_project_is_refused_by_name).private(),
    case!(a_home_with_too_many_sockets_is_refused_and_the_other_home_is_named).private(),
];

fn main() -> ExitCode {
    suite(CASES)
}

const KINDS: [&str; 2] = ["reading", "writing"];
const STORES: &str = include_str!("../../../helper/plan/tables/secret-stores.tsv");

/// A sandbox of each kind, beside the usual one.
fn scene(mode: Mode) -> Scene {
    let allow = |sandbox: &str| {
        format!("[[allow]]\nusers = [\"*\"]\nidentities = [\"incident\", \"own:*\"]\nsandbox = \"{sandbox}\"\n")
    };
    let sandbox = |name: &str, home: &str| {
        format!("[sandbox.{name}]\nhome = \"{home}\"\nnetwork = \"shared\"\nrw-paths = [\"/\"]\n{}", allow(name))
    };
    let policy = sandbox("reading", "real-read-only") + &sandbox("writing", "real");
    Scene::with(mode, &Setup { policy, ..Setup::default() })
}

fn within(scene: &Scene, kind: &str, script: &str) -> Call {
    let options = if kind == "standard" { vec!["--sandbox", "standard"] } else { vec!["--sandbox", kind] };
    inside(scene, &options, script)
}

fn write(scene: &Scene, below: &str, content: &str) -> PathBuf {
    let alice = scene.machine.user("alice");
    let path = alice.home.join(below);
    scene.machine.file(&alice, &path, 0o600, content);
    path
}

fn rows() -> Vec<&'static str> {
    STORES.lines().filter(|l| !l.starts_with('#')).map(|l| l.split('\t').next().unwrap()).collect()
}

/// Paths of files below the home in which the marker is found.
fn found(call: &Call) -> BTreeSet<String> {
    let output = call.run_within(std::time::Duration::from_secs(60));
    assert!(output.status.success(), "{output}");
    output.stdout.lines().map(|l| l.trim_start_matches("/home/alice/").to_owned()).collect()
}

const SEARCH: &str = "grep -rls --devices=skip secret-marker ~; true";

fn every_secret_store_is_hidden_in_both_kinds_of_home(mode: Mode) {
    let scene = scene(mode);
    assert!(rows().len() >= 60);
    // Once as files and once as directories: a tool may keep either.
    for directories in [false, true] {
        let mut made = BTreeSet::new();
        for row in rows() {
            // What the scene itself and agent-aws keep are directories.
            let directory = directories || [".aws", ".local/share/agent-aws", ".config/agent-aws"].contains(&row);
            let below = if directory { format!("{row}/inner/file") } else { row.to_owned() };
            write(&scene, &below, "secret-marker");
            made.insert(below);
        }
        write(&scene, "notes.txt", "secret-marker: but these are notes");
        for kind in KINDS {
            let seen = found(&within(&scene, kind, SEARCH));
            assert_eq!(seen, BTreeSet::from(["notes.txt".to_owned()]), "{kind}");
        }
        // The control: outside, and so in a view that hides nothing, all of them are there.
        made.insert("notes.txt".into());
        assert_eq!(found(&outside(&scene, SEARCH)), made);
        for row in rows().into_iter().filter(|row| !row.ends_with("/agent-aws") && *row != ".aws") {
            let path = Path::new("/home/alice").join(row);
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
        for ours in [".aws/inner", ".local/share/agent-aws/inner", ".config/agent-aws/inner"] {
            fs::remove_dir_all(Path::new("/home/alice").join(ours)).unwrap();
        }
    }
}

fn a_real_home_is_there_read_only_and_the_project_is_not(mode: Mode) {
    let scene = scene(mode);
    write(&scene, "notes.txt", "notes\n");
    write(&scene, ".gitconfig", "[user]\n\tname = Alice\n");
    let script = "cat ~/notes.txt; git config user.name; pwd; touch here && echo written
                  for p in ~/x ~/notes.txt ~/.bashrc ~/.ssh ~/.local/x; do touch $p 2>&1 | grep -c -e Read-only; done
                  rm ~/notes.txt 2> /dev/null || echo kept";
    let said = within(&scene, "reading", script).run().says();
    assert_eq!(said, "notes\nAlice\n/home/alice/src/project\nwritten\n1\n1\n1\n1\n1\nkept", "{said}");
    assert!(Path::new("/home/alice/src/project/here").exists() && !Path::new("/home/alice/.bashrc").exists());
    // No home was made for it.
    assert!(!Path::new("/home/alice/.local/share/agent-aws/homes").exists());
}

fn a_real_home_is_writable_where_policy_says_so(mode: Mode) {
    let scene = scene(mode);
    write(&scene, ".ssh/id_ed25519", "key");
    write(&scene, ".netrc", "password");
    let script = "echo changed > ~/notes.txt; cat ~/.ssh/id_ed25519 ~/.netrc
                  echo x > ~/.ssh/authorized_keys; echo x > ~/.netrc; mv ~/.ssh ~/moved; ln -f ~/.netrc ~/other; rm -rf ~/.ssh; true";
    let output = within(&scene, "writing", script).run().ends(0);
    assert_eq!(output.stdout, "", "{output}");
    assert_eq!(fs::read_to_string("/home/alice/notes.txt").unwrap(), "changed\n");
    let names: Vec<_> = fs::read_dir("/home/alice/.ssh").unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["id_ed25519"]);
    assert_eq!(fs::read_to_string("/home/alice/.netrc").unwrap(), "password");
    assert!(!Path::new("/home/alice/other").exists() && !Path::new("/home/alice/moved").exists());
}

fn what_leads_to_a_secret_cannot_be_renamed_away(mode: Mode) {
    let scene = scene(mode);
    write(&scene, ".config/gh/hosts.yml", "secret-marker");
    write(&scene, "a/b/key.json", "secret-marker");
    let named = |script: &str| {
        within(&scene, "writing", script).env("GOOGLE_APPLICATION_CREDENTIALS", "/home/alice/a/b/key.json")
    };
    for renamed in [".config", "a", "a/b"] {
        let said = named(&format!(
            "mv ~/{renamed} ~/moved || echo kept; rm -rf ~/{renamed}; mkdir ~/.config/more ~/a/b/more; true"
        ));
        let said = said.run().says();
        assert!(said.contains("kept"), "{renamed}: {said}");
        assert_eq!(found(&named(SEARCH)), BTreeSet::new(), "{renamed}");
    }
    // The control: without the mounts it works, and the next session finds it.
    outside(&scene, "mv ~/.config ~/moved-outside").run().ends(0);
    assert_eq!(found(&named(SEARCH)), BTreeSet::from(["moved-outside/gh/hosts.yml".to_owned()]));
}

/// Tries to connect, and says what came of it.
fn connect(path: &str) -> String {
    format!(
        "python3 -c 'import socket\ns = socket.socket(socket.AF_UNIX)\ntry: s.connect(\"{path}\"); print(\"connected\")\n\
         except OSError as e: print(type(e).__name__)'"
    )
}

/// The home as a read-only bind mount alone would show it.
fn only_read_only() -> &'static str {
    fs::create_dir_all("/opt/only-read-only").unwrap();
    root(&["mount", "--bind", "/home/alice", "/opt/only-read-only"]);
    root(&["mount", "-o", "remount,bind,ro", "/opt/only-read-only"]);
    "/opt/only-read-only"
}

fn a_socket_in_a_real_home_cannot_be_connected_to(mode: Mode) {
    let scene = scene(mode);
    let places = ["deep/er/agent.sock", ".docker-desktop.sock", "src/project/.daemon.sock"];
    let listeners: Vec<UnixListener> = places
        .iter()
        .map(|place| {
            let path = Path::new("/home/alice").join(place);
            scene.machine.directory(&scene.machine.user("alice"), path.parent().unwrap());
            let listener = UnixListener::bind(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
            listener
        })
        .collect();
    let all = |home: &str| places.map(|place| connect(&format!("{home}/{place}"))).join("\n");
    for kind in KINDS {
        let said = within(&scene, kind, &all("/home/alice")).run().says();
        assert!(!said.contains("connected") && said.lines().count() == 3, "{kind}: {said}");
        // The masked name is no way to another: nothing can be put in its place or moved from there.
        let escape = format!("mv ~/{0} ~/x; ln ~/{0} ~/y; rm -f ~/{0}; true\n{1}", places[0], all("/home/alice"));
        assert!(!within(&scene, kind, &escape).run().says().contains("connected"), "{kind}");
    }
    let connected = ["connected"; 3].join("\n");
    assert_eq!(outside(&scene, &all("/home/alice")).run().says(), connected);
    // The control: a read-only mount alone stops nobody.
    assert_eq!(outside(&scene, &all(only_read_only())).run().says(), connected);
    drop(listeners);
}

fn a_fifo_in_a_real_home_leads_to_nobody(mode: Mode) {
    let scene = scene(mode);
    root(&["install", "-d", "-o", "alice", "-g", "alice", "/home/alice/pipes"]);
    root(&["mkfifo", "-m", "666", "/home/alice/pipes/commands"]);
    let path = Path::new("/home/alice/pipes/commands");
    let open = |path: &Path| fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap();
    let mut reader = open(path);
    let mut heard = || {
        let mut text = String::new();
        let _ = reader.read_to_string(&mut text);
        text
    };
    let say = |home: &str| format!("timeout 2 sh -c 'echo run-this > {home}/pipes/commands'; true");
    for kind in KINDS {
        within(&scene, kind, &say("/home/alice")).run().ends(0);
        assert_eq!(heard(), "", "{kind}");
    }
    // The control: a read-only mount alone stops nobody.
    outside(&scene, &say(only_read_only())).run().ends(0);
    assert_eq!(heard(), "run-this\n");
}

fn links_that_stand_for_stores_are_hidden_where_they_lead(mode: Mode) {
    let scene = scene(mode);
    for secret in ["dot/ssh/id", "dot/config/gh/hosts.yml", "dot/npmrc", "dot/kube-config"] {
        write(&scene, secret, "secret-marker");
    }
    write(&scene, "dot/config/other/x", "secret-marker: not really");
    write(&scene, ".kube/cache/x", "x");
    let links = "ln -s dot/ssh ~/.ssh; ln -s dot/config ~/.config; ln -s dot/npmrc ~/.npmrc; ln -s ../dot/kube-config ~/.kube/config";
    outside(&scene, links).run().ends(0);
    for kind in KINDS {
        assert_eq!(found(&within(&scene, kind, SEARCH)), BTreeSet::from(["dot/config/other/x".to_owned()]), "{kind}");
        let by_link = "cat ~/.ssh/id ~/.config/gh/hosts.yml ~/.npmrc ~/.kube/config 2> /dev/null; true";
        assert_eq!(within(&scene, kind, by_link).run().says(), "", "{kind}");
    }
    // The control.
    assert_eq!(found(&outside(&scene, SEARCH)).len(), 5);
}

fn what_variables_name_is_hidden_wherever_it_lies(mode: Mode) {
    let scene = scene(mode);
    let secrets = [
        "a/aws-config", "a/aws-credentials", "a/token", "k/one", "k/two", "d/config.json", "g/key.json", "n/netrc",
        "c/credentials.toml", "gnupg/ring",
    ];
    for secret in secrets {
        write(&scene, secret, "secret-marker");
    }
    write(&scene, "d/other", "secret-marker: not really");
    let call = |kind: &str| {
        let call = within(&scene, kind, SEARCH);
        // The scene's own configuration has to work, so those two are named by a run that asks for nothing.
        let values = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/home/alice/a/token"),
            ("KUBECONFIG", "/home/alice/k/one:/home/alice/k/two"),
            ("DOCKER_CONFIG", "/home/alice/d"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/home/alice/g/key.json"),
            ("NETRC", "/home/alice/n/netrc"),
            ("CARGO_HOME", "/home/alice/c"),
            ("GNUPGHOME", "~/gnupg"),
            ("AWS_CREDENTIAL_FILE", "/home/alice/a/aws-credentials"),
            ("SAML2AWS_CONFIGFILE", "/home/alice/a/aws-config"),
        ];
        values.iter().fold(call, |call, (name, value)| call.env(name, *value))
    };
    for kind in KINDS {
        assert_eq!(found(&call(kind)), BTreeSet::from(["d/other".to_owned()]), "{kind}");
        // The control: without the variables nobody knows.
        assert_eq!(found(&within(&scene, kind, SEARCH)).len(), secrets.len() + 1, "{kind}");
    }
    // The same for the two that the AWS configuration is read from.
    let move_away = "cp ~/.aws/config ~/a/aws-config; cp ~/.aws/credentials ~/a/aws-credentials; echo '# secret-marker' | tee -a ~/a/aws-config >> ~/a/aws-credentials";
    outside(&scene, move_away).run().ends(0);
    for kind in KINDS {
        let call = within(&scene, kind, "cat ~/a/aws-config ~/a/aws-credentials 2> /dev/null; true");
        let call = call.env("AWS_CONFIG_FILE", "/home/alice/a/aws-config");
        let call = call.env("AWS_SHARED_CREDENTIALS_FILE", "/home/alice/a/aws-credentials");
        assert_eq!(call.run().says(), "", "{kind}");
    }
}

fn secrets_by_name_are_hidden_wherever_they_lie(mode: Mode) {
    let scene = scene(mode);
    for secret in ["Documents/all.kdbx", "old/backup/.git-credentials", "src/project/team.kdbx"] {
        write(&scene, secret, "secret-marker");
    }
    write(&scene, "Documents/kdbx.txt", "secret-marker: not really");
    for kind in KINDS {
        assert_eq!(found(&within(&scene, kind, SEARCH)), BTreeSet::from(["Documents/kdbx.txt".to_owned()]), "{kind}");
    }
    assert_eq!(found(&outside(&scene, SEARCH)).len(), 4);
}

fn a_variable_that_would_hide_the_project_is_refused_by_name(mode: Mode) {
    let scene = scene(mode);
    for kind in KINDS {
        let call = within(&scene, kind, "true").env("AZURE_CONFIG_DIR", "/home/alice/src");
        call.run().refused("AZURE_CONFIG_DIR names /home/alice/src");
        within(&scene, kind, "true").env("AZURE_CONFIG_DIR", "/home/alice/nothing").run().ends(0);
    }
    // In a home of its own nothing of it is there anyway.
    within(&scene, "standard", "true").env("AZURE_CONFIG_DIR", "/home/alice/src").run().ends(0);
}

fn a_home_with_too_many_sockets_is_refused_and_the_other_home_is_named(mode: Mode) {
    let scene = scene(mode);
    root(&["install", "-d", "-o", "alice", "-g", "alice", "/home/alice/pipes"]);
    root(&["sh", "-c", "cd /home/alice/pipes && seq 1 1001 | xargs mkfifo"]);
    for kind in KINDS {
        let output = within(&scene, kind, "true").run().refused("too many to hide");
        assert!(output.stderr.contains("home = \"agent\""), "{output}");
    }
    within(&scene, "standard", "true").run().ends(0);
}
