//! What the demo shows, step by step. A step that does not show what it must ends the story.

use std::path::Path;

use agent_aws_harness::{Call, Mode, Output, Scene, Setup};

/// Lifetime of every session of the demo's STS, in seconds.
const LIFETIME: u32 = 20;
/// Calls in the loop, and seconds between two: together more than two lifetimes.
const CALLS: usize = 10;
const PAUSE: usize = 5;

type Told = Result<(), String>;

struct Story {
    scene: Scene,
    options: String,
    client: String,
}

pub(crate) fn tell(mode: Mode) -> Told {
    let scene = Scene::with(mode, &Setup { lifetime: Some(LIFETIME), ..Setup::default() });
    let options = scene.identity().join(" ");
    let client = client(&scene);
    let story = Story { scene, options, client };
    story.where_the_keys_are()?;
    story.who_it_is()?;
    story.what_is_not_there()?;
    story.how_it_stays_fresh()?;
    story.what_is_left()
}

/// The real AWS CLI where there is one, else a small client that signs with the AWS SDK's own signer.
fn client(scene: &Scene) -> String {
    let url = scene.sts.url();
    if Path::new("/usr/bin/aws").is_file() {
        return format!("/usr/bin/aws sts get-caller-identity --endpoint-url {url} --query Arn --output text");
    }
    let tool = scene.machine.tool("sts-whoami");
    let shown = tool.file_name().filter(|_| !scene.machine.is_private()).map(|name| format!("./{}", name.display()));
    format!("{} {url}", shown.unwrap_or_else(|| tool.display().to_string()))
}

fn step(title: &str) {
    println!("\n== {title}");
}

fn must(holds: bool, what: &str) -> Told {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// Shows a command as the user types it and what came of it.
fn show(line: &str, call: &Call) -> Output {
    println!("   $ {line}");
    let output = call.run_within(std::time::Duration::from_secs(120));
    for text in output.stdout.lines().chain(output.stderr.lines()) {
        println!("   {text}");
    }
    output
}

impl Story {
    /// `agent-aws run` with a line of shell, shown as one would type it.
    fn inside(&self, script: &str) -> Output {
        show(&format!("agent-aws run {} -- sh -c '{script}'", self.options), &self.scene.sh(script))
    }

    fn where_the_keys_are(&self) -> Told {
        let machine = &self.scene.machine;
        let cat = |path: &str| show(&format!("cat {path}"), &machine.call("alice", "/bin/cat").arg(path));
        match machine.mode {
            Mode::Setuid => {
                step("An admin has put AWS keys where only root can read them. Alice cannot:");
                must(cat("/etc/agent-aws/sources/workstation").code() != 0, "Alice can read root's keys")
            }
            Mode::Unprivileged => {
                step("Your AWS configuration has keys that nobody else should have:");
                let path = self.scene.aws("credentials").display().to_string();
                must(cat(&path).code() == 0, "the AWS configuration is not there")
            }
        }
    }

    fn who_it_is(&self) -> Told {
        step("An agent that runs through agent-aws is one AWS identity. A real, signed call:");
        let output = self.inside(&self.client);
        let arn = self.scene.assumed();
        must(output.code() == 0 && output.stdout.contains(&arn), &format!("the caller identity is not {arn}"))
    }

    fn what_is_not_there(&self) -> Told {
        step("Inside there is neither your AWS directory, nor the policy, nor a key in the environment:");
        let keys = self.scene.aws("credentials").display().to_string();
        let output = self.inside(&format!("cat {keys}; cat /etc/agent-aws/policy.toml; true"));
        must(output.stdout.is_empty() && output.code() == 0, "a file that must not be there is")?;
        let output = self.inside("env | grep AWS | sort");
        let secret = ["SECRET", "ACCESS_KEY", "SESSION_TOKEN", "AKIA", "ASIA"];
        must(!secret.iter().any(|word| output.stdout.contains(word)), "there is a key in the environment")
    }

    fn how_it_stays_fresh(&self) -> Told {
        step(&format!("Sessions of this STS last {LIFETIME} seconds. A command that runs longer notices nothing:"));
        self.scene.sts.clear_requests();
        let each = format!("date +%T | tr \"\\n\" \" \"; {} || exit 1; sleep {PAUSE}", self.client);
        let output = self.inside(&format!("for i in $(seq {CALLS}); do {each}; done"));
        must(output.code() == 0, "a call failed")?;
        let requests = self.scene.sts.requests();
        let calls = requests.iter().filter(|r| r.action == "GetCallerIdentity" && r.access_key_id.starts_with("ASIA"));
        let mut keys: Vec<&str> = calls.map(|r| r.access_key_id.as_str()).collect();
        keys.dedup();
        println!("   STS saw {CALLS} calls with {} different access keys, one after the other:", keys.len());
        println!("   {}", keys.join(" "));
        must(keys.len() >= 2, "the credentials were never renewed")
    }

    fn what_is_left(&self) -> Told {
        step("When the command has ended, nothing is left:");
        let others = self.scene.machine.others();
        println!("   processes: {}", others.len());
        must(others.is_empty(), &format!("processes are left: {others:?}"))?;
        if self.scene.machine.mode == Mode::Setuid {
            let records = self.scene.machine.audit();
            println!("   and root has the audit trail, {} records. The last three:", records.len());
            for record in records.iter().rev().take(3).rev() {
                println!("   {record}");
            }
            must(!records.is_empty(), "there is no audit trail")?;
        }
        Ok(())
    }
}
