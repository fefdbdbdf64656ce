//! What an admin and Alice do with an installed package.

use agent_aws_sts_emulator::{Config, Emulator};
use serde_json::json;

use crate::{Machine, tool};

const ROLE: &str = "arn:aws:iam::111122223333:role/agent-incident";
/// The key of the source, by its name.
pub const KEY: &str = "AKIAWORKSTATIONWORKS";
/// The key itself, which nobody but root and the broker may see.
pub const SECRET: &str = "workstation-secret-0123456789";

/// An STS that knows the keys and the role.
pub fn emulator() -> Emulator {
    let config = json!({
        "users": [{ "name": "workstation", "account": "111122223333", "access_key_id": KEY, "secret_access_key": SECRET }],
        "roles": [{ "arn": ROLE, "trusted": ["*"], "allow_source_identity": true, "allow_tags": true }],
    });
    Emulator::start(Config::parse(&config.to_string(), "test").unwrap(), "127.0.0.1:0".parse().unwrap()).unwrap()
}

/// What an admin writes after installing: one policy file and one file of keys.
pub fn configure(machine: &Machine, sts: &Emulator) {
    let policy = format!(
        r#"
[source.workstation]
profile-file = "/etc/agent-aws/sources/workstation"
region = "eu-west-1"
sts-endpoint = "{}"

[identity.incident]
role = "{ROLE}"
source = "workstation"

[sandbox.work]
network = "shared"
rw-paths = ["/"]

[[allow]]
users = ["alice"]
identities = ["incident"]
sandbox = "work"
"#,
        sts.url()
    );
    machine.write("/etc/agent-aws/policy.d/incident.toml", &policy);
    let keys = format!("[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n");
    machine.write("/etc/agent-aws/sources/workstation", &keys);
    machine.give(&tool("sts-whoami"));
    machine.run("install -m 0755 /tmp/given/sts-whoami /usr/local/bin/sts-whoami").ok();
}

/// One command of Alice's: her agent signs a real call and says who it is.
pub fn session(sts: &Emulator) -> String {
    format!("mkdir -p work && cd work && agent-aws run --as incident -- sts-whoami {}", sts.url())
}
