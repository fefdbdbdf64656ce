//! Files of the host: to be read, and to be changed.

use std::fs::{File, OpenOptions, read_dir, rename};
use std::io::Read;

use crate::{Check, Facts, Result, os};

/// A file that the test has made holds this.
const MARK: &str = "of the host";

pub(crate) const CHECKS: &[Check] = &[
    ("read ~/.aws/credentials", |f| read(&f.home(".aws/credentials"), "aws_access_key_id")),
    ("read ~/.ssh/id_ed25519", |f| read(&f.home(".ssh/id_ed25519"), MARK)),
    ("read ~/.config/gcloud", |f| read(&f.home(".config/gcloud/credentials.db"), MARK)),
    ("read ~/.docker/config.json", |f| read(&f.home(".docker/config.json"), MARK)),
    ("read ~/.netrc", |f| read(&f.home(".netrc"), MARK)),
    ("read ~/.git-credentials", |f| read(&f.home(".git-credentials"), MARK)),
    ("read ~/.bash_history", |f| read(&f.home(".bash_history"), MARK)),
    ("read another agent's login", |f| read(&f.home(".codex/auth.json"), MARK)),
    ("read ~/notes.txt", |f| read(&f.home("notes.txt"), MARK)),
    ("read /srv", |_| read("/srv/agent-aws-test", MARK)),
    ("read another user's file", |_| read("/home/bob/notes.txt", MARK)),
    ("read /etc/agent-aws", |_| read("/etc/agent-aws/policy.toml", "identity")),
    ("read the host's /tmp", |f| read(&format!("{}/file", f.get("tmp")), MARK)),
    ("read /var/lib/dpkg", |_| read_dir("/var/lib/dpkg").map(drop).map_err(os)),
    ("write ~/.bashrc", |f| change(&f.home(".bashrc"))),
    ("write ~/.ssh/authorized_keys", |f| change(&f.home(".ssh/authorized_keys"))),
    ("write ~/.local/bin", |f| change(&f.home(".local/bin/tool"))),
    ("write the host's /tmp", |f| change(&format!("{}/file", f.get("tmp")))),
    ("write .git/hooks", |_| change(".git/hooks/pre-commit")),
    ("write .git/config", |_| change(".git/config")),
    ("write .envrc", |_| change(".envrc")),
    ("rename .git", |_| rename(".git", "moved").and_then(|()| rename("moved", ".git")).map_err(os)),
    ("write the project", |_| File::create("written").map(drop).map_err(os)),
    ("descriptor of a file", |_| File::open("/proc/self/fd/9").map(drop).map_err(os)),
    ("descriptor of the root", |_| read_dir("/proc/self/fd/10/").map(drop).map_err(os)),
    ("addresses of the kernel", |_| match std::fs::read_to_string("/proc/kallsyms").map_err(os)?.lines().next() {
        Some(line) if !line.starts_with("0000000000000000 ") => Ok(()),
        _ => Err("zeros".into()),
    }),
    ("read /sys/kernel/notes", |_| File::open("/sys/kernel/notes").map(drop).map_err(os)),
    ("list /sys/class/net", |_| read_dir("/sys/class/net").map(drop).map_err(os)),
    ("more devices than twenty", devices),
];

fn read(path: &str, mark: &str) -> Result {
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(4096).read_to_end(&mut text)).map_err(os)?;
    match String::from_utf8_lossy(&text).contains(mark) {
        true => Ok(()),
        false => Err("another".into()),
    }
}

/// The test's own file, not one of this name that a sandbox has in its place.
fn change(path: &str) -> Result {
    read(path, MARK)?;
    OpenOptions::new().append(true).open(path).map(drop).map_err(os)
}

fn devices(_: &Facts) -> Result {
    let count = read_dir("/dev").map_err(os)?.count();
    if count > 20 { Ok(()) } else { Err("few".into()) }
}
