//! What end-to-end tests, demo and bench start from: the products installed below the build directory, once as root
//! would install them and once without the setuid bit, and the tools of the tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::install::{self, Options};
use crate::shell::{self, Failure, Outcome};
use crate::{needs, products};

/// Tells the programs of the tests where the stage is.
pub(crate) const VARIABLE: &str = "AGENT_AWS_STAGE";
/// Small programs that run inside the sandbox.
const TOOLS: &[&str] = &["sts-whoami", "glutton", "sdk-whoami"];
const PACKAGES: [&str; 4] = ["-p", "agent-aws-harness", "-p", "agent-aws-test-client"];

/// Where it is.
pub(crate) fn place(root: &Path) -> PathBuf {
    shell::target_dir(root).join("stage")
}

/// Builds and stages. The layout is what `Stage` of the harness expects.
pub(crate) fn set(root: &Path) -> Outcome {
    let place = place(root);
    let failed = || Failure::on(place.display());
    if place.exists() {
        fs::remove_dir_all(&place).map_err(failed())?;
    }
    for below in ["tools", "world"] {
        fs::create_dir_all(place.join(below)).map_err(failed())?;
    }
    // A setuid program lies below: nobody else may come near it. An ordinary user's is their own.
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).map_err(failed())?;
    if shell::is_root() {
        let destdir = place.join("setuid");
        install::install(root, &Options { destdir, verbose: false, ..Options::default() })?;
    }
    let prefix = "/opt/agent-aws-user".into();
    let user = Options { destdir: place.join("user"), prefix, setuid: false, verbose: false, ..Options::default() };
    install::install(root, &user)?;
    tools(root, &place.join("tools"))?;
    let deps = needs::place(root);
    match deps.exists() {
        true => std::os::unix::fs::symlink(&deps, place.join("test-deps")).map_err(failed()),
        false => Ok(()),
    }
}

fn tools(root: &Path, place: &Path) -> Outcome {
    shell::run(&mut shell::cargo(&[&["build", "--locked", "--bins"], &PACKAGES[..]].concat()))?;
    for tool in TOOLS {
        let built = shell::target_dir(root).join("debug").join(tool);
        fs::copy(&built, place.join(tool)).map_err(Failure::on(built.display()))?;
    }
    Ok(())
}

/// Products built, then staged.
pub(crate) fn build_and_set(root: &Path) -> Outcome {
    products::build(root)?;
    set(root)
}
