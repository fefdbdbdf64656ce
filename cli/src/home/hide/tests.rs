use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use super::*;
use crate::scratch::scratch;

fn fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
}

fn file(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
}

fn found(home: &Path, project: &Path, lookup: Lookup<'_>) -> Result<Vec<String>, Failure> {
    let facts = Facts { home, directory: project, asked: &[project], ours: false };
    let below = |path: PathBuf| path.strip_prefix(home).unwrap().display().to_string();
    Ok(hidden(facts, lookup)?.into_iter().map(below).collect())
}

const NOTHING: Lookup<'static> = &|_| None;

#[test]
fn sockets_fifos_and_secrets_by_name_are_found_wherever_they_lie() {
    let home = scratch("kinds");
    for path in ["a/b/x.kdbx", "a/y.kdbx.txt", "src/p/main.c", ".kdbx", "z/.git-credentials"] {
        file(&home.join(path));
    }
    fs::create_dir_all(home.join("run")).unwrap();
    let _socket = UnixListener::bind(home.join("run/s")).unwrap();
    fifo(&home.join("run/f"));
    fifo(&home.join("src/p/f"));
    symlink("f", home.join("run/link-to-fifo")).unwrap();
    let all = found(&home, &home.join("src/p"), NOTHING).unwrap();
    assert_eq!(all, ["a/b/x.kdbx", "run/f", "run/s", "src/p/f", "z/.git-credentials"]);
    fs::remove_dir_all(&home).unwrap();
}

#[test]
fn what_lies_in_a_secret_store_is_not_named_again() {
    let home = scratch("stores");
    file(&home.join(".gnupg/x.kdbx"));
    let _socket = UnixListener::bind(home.join(".gnupg/S")).unwrap();
    file(&home.join("x.kdbx/inner.kdbx"));
    let caller = |name: &OsStr| match name.to_str().unwrap() {
        "GNUPGHOME" => Some(home.join(".gnupg").into()),
        "AWS_CONFIG_FILE" => Some(home.join("x.kdbx/inner.kdbx").into()),
        "KUBECONFIG" => Some("/etc/passwd:~/gone".into()),
        _ => None,
    };
    assert_eq!(found(&home, &home.join("src"), NOTHING).unwrap(), [".gnupg", "x.kdbx"]);
    assert_eq!(found(&home, Path::new("/"), &caller).unwrap(), [".gnupg", "x.kdbx"]);
    fs::remove_dir_all(&home).unwrap();
}

#[test]
fn links_that_stand_for_stores_and_links_in_them_lead_to_what_is_hidden() {
    let home = scratch("links");
    for path in ["dot/aws/config", "dot/config/gh/hosts.yml", "dot/id", "dot/other", "dot/deep"] {
        file(&home.join(path));
    }
    fs::create_dir_all(home.join(".ssh/a/b/c")).unwrap();
    for (link, to) in [
        (".aws", "dot/aws"),
        (".config", "dot/config"),
        (".ssh/id_rsa", "../dot/id"),
        (".ssh/home", ".."),
        (".ssh/etc", "/etc"),
        (".ssh/gone", "nothing"),
        (".ssh/a/b/c/d", "../../../../dot/deep"),
    ] {
        symlink(to, home.join(link)).unwrap();
    }
    let all = found(&home, &home.join("src"), NOTHING).unwrap();
    assert_eq!(all, [".ssh", "dot/aws", "dot/config/gh", "dot/id"]);
    fs::remove_dir_all(&home).unwrap();
}

#[test]
fn what_variables_name_is_found_as_tools_read_them() {
    let home = scratch("variables");
    for path in ["k/one", "k/two", "aws/c", "docker/config.json", "docker/other", "src/p/creds"] {
        file(&home.join(path));
    }
    let caller = |name: &OsStr| match name.to_str().unwrap() {
        "KUBECONFIG" => Some(format!("{}::~/k/two:/nowhere", home.join("k/one").display()).into()),
        "AWS_CONFIG_FILE" => Some("~/aws/c".into()),
        "DOCKER_CONFIG" => Some(home.join("docker").into()),
        "AWS_SHARED_CREDENTIALS_FILE" => Some("creds".into()),
        "GOOGLE_APPLICATION_CREDENTIALS" => Some("".into()),
        _ => None,
    };
    let all = found(&home, &home.join("src/p"), &caller).unwrap();
    assert_eq!(all, ["aws/c", "docker/config.json", "k/one", "k/two", "src/p/creds"]);
    fs::remove_dir_all(&home).unwrap();
}

#[test]
fn a_variable_that_would_hide_home_or_project_is_refused_by_name() {
    let home = scratch("around");
    fs::create_dir_all(home.join("src/p")).unwrap();
    for value in ["~/", "~/src", "~/src/p"] {
        let caller = |name: &OsStr| (name == "AZURE_CONFIG_DIR").then(|| value.into());
        let said = found(&home, &home.join("src/p"), &caller).unwrap_err().to_string();
        assert!(said.contains("AZURE_CONFIG_DIR"), "{said}");
    }
    fs::remove_dir_all(&home).unwrap();
}

#[test]
fn a_closed_directory_of_the_callers_is_hidden_and_so_is_what_is_too_long_to_be_named() {
    let home = scratch("closed");
    fs::create_dir_all(home.join("closed")).unwrap();
    fs::set_permissions(home.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    let part = "d".repeat(200);
    let mut deep = home.clone();
    (0..18).for_each(|_| deep.push(&part));
    fs::create_dir_all(&deep).unwrap();
    let all = found(&home, &home.join("src"), NOTHING).unwrap();
    let closed = all.iter().any(|path| path == "closed");
    // Root looks into every directory.
    assert_eq!(closed, !nix::unistd::Uid::effective().is_root());
    let long: Vec<&String> = all.iter().filter(|path| path.starts_with(&part)).collect();
    assert!(long.len() == 1 && long[0].len() > LONGEST_PATH && long[0].len() < LONGEST_PATH + 400, "{all:?}");
    fs::set_permissions(home.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::remove_dir_all(&home).unwrap();
}

#[test]
fn too_many_are_refused_in_words_that_name_the_other_home() {
    let home = scratch("many");
    (0..=MOST_HIDDEN).for_each(|nth| fifo(&home.join(format!("f{nth}"))));
    let failure = found(&home, &home.join("src"), NOTHING).unwrap_err();
    assert!(failure.to_string().contains("too many to hide, such as ~/f0"), "{failure}");
    fs::remove_dir_all(&home).unwrap();
}

#[test]
fn a_hundred_thousand_entries_take_about_a_second() {
    let home = scratch("large");
    for directory in 0..1000 {
        let directory = home.join(format!("d{}/e{directory}", directory % 10));
        fs::create_dir_all(&directory).unwrap();
        (0..99).for_each(|nth| drop(fs::File::create(directory.join(format!("file{nth}"))).unwrap()));
    }
    fifo(&home.join("d9/e999/f"));
    let start = Instant::now();
    let all = found(&home, &home.join("src"), NOTHING).unwrap();
    let took = start.elapsed();
    assert_eq!(all, ["d9/e999/f"]);
    // An unoptimised build on a busy machine; the walk itself takes a tenth of a second.
    assert!(took < Duration::from_secs(5), "{took:?}");
    fs::remove_dir_all(&home).unwrap();
}
