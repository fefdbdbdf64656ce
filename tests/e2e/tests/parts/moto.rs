//! moto on loopback with signatures enforced: a second AWS, written by others than ours.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use agent_aws_harness::{ACCOUNT, Call, Mode, Scene, Setup};

/// Long enough for a Python server to start on a busy machine.
const START: Duration = Duration::from_secs(60);
/// Makes a user that may assume the roles of the scene, before anything is enforced.
const SETUP: &str = r#"
import boto3, json, sys
iam = boto3.client("iam", endpoint_url=sys.argv[1], region_name="us-east-1",
                   aws_access_key_id="nobody", aws_secret_access_key="nothing")
def allow(*actions, **more):
    statement = {"Effect": "Allow", "Action": actions, **(more or {"Resource": "*"})}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
iam.create_user(UserName="workstation")
iam.put_user_policy(UserName="workstation", PolicyName="p", PolicyDocument=allow("sts:AssumeRole"))
for role in ("agent-incident", "agent-dev"):
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=allow("sts:AssumeRole", Principal={"AWS": "*"}))
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=allow("sts:GetCallerIdentity"))
key = iam.create_access_key(UserName="workstation")["AccessKey"]
print(key["AccessKeyId"], key["SecretAccessKey"])
"#;
/// How many calls that makes: every later one needs a signature that holds.
const UNSIGNED: &str = "7";

/// The usual scene with moto in the place of the emulator.
pub(crate) struct Moto {
    pub(crate) scene: Scene,
    pub(crate) url: String,
    /// Of the IAM user behind the identity; no session may hold it.
    pub(crate) secret: String,
    deps: PathBuf,
    _server: Server,
}

/// Ends with the trial, however that ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Moto {
    /// A server of its own for this trial.
    pub(crate) fn new(mode: Mode, setup: &Setup) -> Self {
        let scene = Scene::with(mode, setup);
        let deps = scene.machine.deps().expect("the clients are there, or the test is skipped");
        let (server, url) = serve(&deps);
        let mut setup_call = Command::new(python(&deps));
        let said = setup_call.args(["-c", SETUP, &url]).stderr(Stdio::inherit()).output().expect("python");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let (key, secret) = said.trim().split_once(' ').expect("a key of moto's");
        let moto = Self { secret: secret.to_owned(), scene, url, deps, _server: server };
        moto.configure(setup, key);
        moto
    }

    fn configure(&self, setup: &Setup, key: &str) {
        let machine = &self.scene.machine;
        if machine.is_private() {
            machine.policy(&self.scene.policy(setup).replace(&self.scene.sts.url(), &self.url));
            machine.source("workstation", key, &self.secret);
        }
        let lines = format!("aws_access_key_id = {key}\naws_secret_access_key = {}\n", self.secret);
        let own = format!("[base]\n{lines}[default]\n{lines}");
        let alice = machine.user("alice");
        machine.file(&alice, &self.scene.aws("credentials"), 0o600, own);
    }

    /// `agent-aws run` with the identity of this mode, moto as STS and the clients in sight.
    pub(crate) fn run(&self, options: &[&str], command: &[&str]) -> Call {
        let deps = self.deps.display().to_string();
        let mut all = options.to_vec();
        if !self.scene.machine.is_private() {
            all.extend(["--ro", &deps]);
        }
        self.scene.run(&all, command).env("AWS_ENDPOINT_URL_STS", &*self.url)
    }

    /// The Python that has boto3.
    pub(crate) fn python(&self) -> String {
        python(&self.deps).display().to_string()
    }

    /// Lines of shell that each print the ARN that one client has: its name, and what to run. `$URL` is the endpoint.
    pub(crate) fn clients(&self) -> [(&'static str, String); 4] {
        let (python, deps) = (self.python(), self.deps.display());
        let cli = "sts get-caller-identity --query Arn --output text --endpoint-url $URL";
        [
            ("AWS CLI 1", format!("{python} -m awscli {cli}")),
            ("AWS CLI 2", format!("/usr/bin/aws {cli}")),
            (
                "boto3",
                format!(
                    r#"{python} -c 'import boto3, os; print(boto3.client("sts", endpoint_url=os.environ["URL"]).get_caller_identity()["Arn"])'"#
                ),
            ),
            (
                "JS SDK 3",
                format!(
                    r#"/usr/bin/node --no-warnings -e 'const {{ STSClient, GetCallerIdentityCommand }} = require("{deps}/npm/node_modules/@aws-sdk/client-sts"); new STSClient({{ endpoint: process.env.URL }}).send(new GetCallerIdentityCommand({{}})).then(a => console.log(a.Arn), e => {{ console.error(String(e)); process.exit(1) }})'"#
                ),
            ),
        ]
    }

    /// What is said about every assumed role.
    #[track_caller]
    pub(crate) fn assert_assumed(&self, who: &str, said: &str) {
        assert!(
            said.starts_with(&self.scene.assumed()) && said.contains(ACCOUNT) && said.lines().count() == 1,
            "{who}: {said}"
        );
    }
}

fn python(deps: &Path) -> PathBuf {
    deps.join("venv/bin/python")
}

fn serve(deps: &Path) -> (Server, String) {
    let mut command = Command::new(python(deps));
    command
        .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
        .env("INITIAL_NO_AUTH_ACTION_COUNT", UNSIGNED)
        .env("MOTO_ACCOUNT_ID", ACCOUNT)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut server = Server(command.spawn().expect("moto"));
    let log = BufReader::new(server.0.stderr.take().expect("a pipe"));
    let (sender, found) = channel();
    // It is read to its end: a server whose log is full stops.
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, url)) = line.split_once("Running on ") {
                let _ = sender.send(url.trim().to_owned());
            }
        }
    });
    let url = found.recv_timeout(START).expect("moto tells where it listens");
    (server, url)
}
