//! A second identity for the agent's model: a door of its own, a session policy that is only that, and nothing of it at
//! the doors of the task, nor of the task at its own.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

#[path = "parts/inside.rs"]
#[allow(dead_code)] // each test program uses some of it
mod inside;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_harness::{ACCOUNT, Case, DEVICE, Mode, OWN_ROLE, ROLE, Scene, Setup, case, suite, until, within};
use serde_json::Value;

use inside::Inside;

const CASES: &[Case] = &[
    case!(each_door_shows_its_own_identity_and_never_the_other),
    case!(without_one_there_is_neither_door_nor_client_nor_profile),
    case!(what_sts_is_asked_for_the_model_allows_calling_models_and_nothing_else),
    case!(its_own_narrowing_makes_it_less_and_what_the_caller_does_without_is_the_tasks).setuid(),
    case!(one_that_says_itself_what_it_begins_from_is_refused).setuid(),
    case!(a_session_that_nothing_can_narrow_is_refused_and_says_what_to_do),
    case!(one_that_policy_does_not_grant_is_refused_and_none_can_be_asked_for),
    case!(a_deny_keeps_it_from_a_caller_to_whom_the_sandbox_would_give_it).setuid(),
    case!(it_is_granted_in_the_sandbox_of_the_session_or_not_at_all).setuid(),
    case!(taken_out_of_policy_it_is_not_refreshed_and_the_task_goes_on).private(),
    case!(its_brokers_death_ends_the_session),
    case!(without_waiting_an_agent_begins_before_either_has_credentials),
    case!(plan_records_and_sessions_name_it),
    case!(an_identity_saved_by_the_caller_names_it),
    case!(a_code_of_a_second_factor_is_the_tasks_only),
    case!(two_brokers_stay_small),
];

fn main() -> ExitCode {
    suite(CASES)
}

const TASK: &str = "/run/agent-aws/agent-aws-credentials";
const MODEL: &str = "/run/agent-aws/agent-aws-model-credentials";
const LATER: Duration = Duration::from_secs(30);
/// All that a model's identity may do.
const CALLS: [&str; 6] = [
    "bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream", "bedrock:ListFoundationModels",
    "bedrock:GetFoundationModel", "bedrock:ListInferenceProfiles", "bedrock:GetInferenceProfile",
];

/// A scene with an identity for models: of the policy, and `own:brain` of Alice's.
struct Bed {
    scene: Scene,
    options: &'static [&'static str],
}

/// More lines of that identity, and of the sandbox.
fn policy(scene: &Scene, identity: &str, sandbox: &str, more: &str) -> String {
    let brain = format!("[identity.brain]\nrole = \"{OWN_ROLE}\"\nsource = \"workstation\"\n{identity}\n{more}\n");
    let policy = scene.policy(&Setup { policy: brain, ..Setup::default() });
    policy.replacen("rw-paths = [\"/\"]\n", &format!("rw-paths = [\"/\"]\n{sandbox}\n"), 1)
}

impl Bed {
    fn new(mode: Mode) -> Self {
        Self::with(mode, None)
    }

    fn with(mode: Mode, lifetime: Option<u32>) -> Self {
        let scene = Scene::with(mode, &Setup { lifetime, ..Setup::default() });
        let brain = format!("[profile brain]\nrole_arn = {ROLE}\nsource_profile = base\nregion = us-east-1\n");
        let dev = format!("[profile dev]\nrole_arn = {OWN_ROLE}\nsource_profile = base\nregion = eu-west-1\n");
        scene.configure(&(dev + &brain), &scene.keys("base"));
        if scene.machine.is_private() {
            scene.machine.policy(&policy(&scene, "", "model-identity = \"brain\"", ""));
        }
        let options: &[&str] = match mode {
            Mode::Setuid => &[],
            Mode::Unprivileged => &["--model-identity", "own:brain"],
        };
        Self { scene, options }
    }

    fn name(&self) -> &'static str {
        match self.scene.machine.mode {
            Mode::Setuid => "brain",
            Mode::Unprivileged => "own:brain",
        }
    }

    fn inside(&self, options: &[&str]) -> Inside {
        Inside::new(&self.scene, &[self.options, options].concat())
    }

    /// Roles of the task and of its model.
    fn roles(&self) -> [&'static str; 2] {
        match self.scene.machine.mode {
            Mode::Setuid => [ROLE, OWN_ROLE],
            Mode::Unprivileged => [OWN_ROLE, ROLE],
        }
    }

    /// Whose credentials an answer has.
    #[track_caller]
    fn role_of(&self, answer: &str) -> &'static str {
        let of = |role: &str| {
            let name = role.rsplit('/').next().unwrap_or_default();
            let prefix = format!("arn:aws:sts::{ACCOUNT}:assumed-role/{name}/");
            let issued = self.scene.sts.issued().into_iter().filter(|it| it.arn.starts_with(&prefix));
            issued.map(|it| it.access_key_id).any(|key| answer.contains(&key))
        };
        let found: Vec<_> = self.roles().into_iter().filter(|role| of(role)).collect();
        assert_eq!(found.len(), 1, "one identity and no more: {answer}");
        found[0]
    }

    /// The session policies with which a role was assumed.
    fn policies(&self, role: &str) -> Vec<Value> {
        let calls = self.scene.sts.requests().into_iter().filter(|it| it.action == "AssumeRole");
        let calls = calls.filter(|it| it.parameters.get("RoleArn").map(String::as_str) == Some(role));
        let policy = |it: agent_aws_harness::emulator::RecordedRequest| {
            assert!(!it.parameters.keys().any(|name| name.starts_with("PolicyArns")), "{it:?}");
            serde_json::from_str(it.parameters.get("Policy").expect("a session policy")).expect("JSON")
        };
        calls.map(policy).collect()
    }
}

/// What the statements of a policy allow.
fn allowed(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().expect("statements");
    let allows = statements.iter().filter(|it| it["Effect"] == "Allow");
    let actions = allows.flat_map(|it| match &it["Action"] {
        Value::Array(many) => many.clone(),
        one => vec![one.clone()],
    });
    actions.map(|action| action.as_str().expect("an action").to_owned()).collect()
}

fn only_models() -> BTreeSet<String> {
    CALLS.map(str::to_owned).into()
}

fn each_door_shows_its_own_identity_and_never_the_other(mode: Mode) {
    let bed = Bed::new(mode);
    let mut inside = bed.inside(&["--network", "none"]);
    let [task, model] = bed.roles();
    let http = "exec 3<>/dev/tcp/169.254.170.2/80; printf 'GET /credentials HTTP/1.1\\r\\nHost: 169.254.170.2\\r\\n\
                Connection: close\\r\\n\\r\\n' >&3; cat <&3";
    for (door, line) in [
        ("the descriptor", TASK.to_owned()),
        ("the socket", format!("env -u AGENT_AWS_FD {TASK}")),
        ("the FIFO pair", format!("env -u AGENT_AWS_FD AGENT_AWS_SOCKET=/run/agent-aws/none {TASK}")),
        ("HTTP", format!("bash -c \"{http}\"")),
    ] {
        for _ in 0..3 {
            let answer = inside.does(&line).well();
            assert!(bed.role_of(&answer) == task, "{door}: {answer}");
        }
    }
    // Neither variable leads its client to another door, and its own has its own identity whoever asks.
    for line in [
        MODEL.to_owned(),
        format!("AGENT_AWS_SOCKET=/run/agent-aws/credentials.sock {MODEL}"),
        format!("env -u AGENT_AWS_FD AGENT_AWS_SOCKET=/run/agent-aws/model.sock {TASK}"),
    ] {
        assert_eq!(bed.role_of(&inside.does(&line).well()), model, "{line}");
    }
    let misused = inside.does(&format!("{MODEL} --profile x")).badly();
    assert!(misused.contains("agent-aws-model-credentials: it takes no argument"), "{misused}");
    // Nothing else of it is there.
    let listed = inside.does("ls /run/agent-aws").well();
    let model: Vec<&str> = listed.split_whitespace().filter(|name| name.contains("model")).collect();
    assert_eq!(model, ["agent-aws-model-credentials", "model.sock"], "{listed}");
    let written = inside.does("rm -f /run/agent-aws/model.sock; touch /run/agent-aws/x").badly();
    assert!(written.contains("Read-only"), "{written}");
}

fn without_one_there_is_neither_door_nor_client_nor_profile(mode: Mode) {
    let bed = Bed::new(mode);
    let mut inside = Inside::new(&bed.scene, &["--no-model-identity"]);
    let listed = inside.does("ls /run/agent-aws; cat /run/agent-aws/config /run/agent-aws/session.json").well();
    assert!(!listed.contains("agent-aws-model") && !listed.contains("model.sock"), "{listed}");
    assert!(listed.contains("\"model\":null"), "{listed}");
    inside.does("ln -s /run/agent-aws/agent-aws-credentials /tmp/agent-aws-model-credentials").well();
    let said = inside.does("/tmp/agent-aws-model-credentials").badly();
    assert!(said.contains("no identity of its own for its model"), "{said}");
    assert!(bed.policies(bed.roles()[1]).is_empty());
}

fn what_sts_is_asked_for_the_model_allows_calling_models_and_nothing_else(mode: Mode) {
    let bed = Bed::new(mode);
    let (whoami, url) = (bed.scene.machine.tool("sts-whoami").display().to_string(), bed.scene.sts.url());
    let mut inside = bed.inside(&[]);
    inside.does(MODEL).well();
    let [_, model] = bed.roles();
    let policies = bed.policies(model);
    assert_eq!(policies.len(), 1, "{policies:?}");
    assert_eq!(allowed(&policies[0]), only_models());
    // The generated configuration leads there by a name of its own.
    let section =
        "sed -n '/^.profile agent-aws-model/,$p' /run/agent-aws/config | sed 's/^.profile.*/[default]/' >/tmp/config";
    inside.does(section).well();
    let arn = inside.does(&format!("AWS_CONFIG_FILE=/tmp/config {whoami} {url}")).well();
    let name = model.rsplit('/').next().unwrap();
    assert!(arn.contains(&format!("assumed-role/{name}/")), "{arn}");
    let config = inside.does("cat /run/agent-aws/config").well();
    assert_eq!(config.matches("agent-aws-model-credentials").count(), 1, "{config}");
}

fn its_own_narrowing_makes_it_less_and_what_the_caller_does_without_is_the_tasks(mode: Mode) {
    let bed = Bed::new(mode);
    let narrow = "deny-actions = [\"bedrock:List*\"]\nregions = [\"us-east-1\"]\nregion = \"us-east-1\"\n\
                  may-assume = [\"arn:aws:iam::*:role/*\"]";
    bed.scene.machine.policy(&policy(&bed.scene, narrow, "model-identity = \"brain\"", ""));
    bed.scene.run(&["--deny-action", "sqs:*", "--access", "read-metadata"], &["true"]).run().ends(0);
    let policies = bed.policies(OWN_ROLE);
    assert_eq!(allowed(&policies[0]), only_models(), "roles that it may assume are not among them");
    let text = policies[0].to_string();
    assert!(text.contains("bedrock:List*") && text.contains("aws:RequestedRegion"), "{text}");
    assert!(!text.contains("sqs"), "{text}");
    let denials = policies[0]["Statement"].as_array().unwrap().iter().filter(|it| it["Effect"] == "Deny");
    assert!(denials.clone().any(|it| it.to_string().contains("sts:Assume*")), "{text}");
}

fn one_that_says_itself_what_it_begins_from_is_refused(mode: Mode) {
    let bed = Bed::new(mode);
    let text = policy(&bed.scene, "access = \"read\"", "model-identity = \"brain\"", "");
    bed.scene.machine.policy(&text);
    bed.scene.run(&[], &["true"]).run().refused("`access`, `policy-arns` or `session-policy` of its own");
    // Asked for by the caller it is policy's, and right; it is refused when it is compiled.
    let allow = "[[allow]]\nusers = [\"alice\"]\nidentities = [\"brain\"]\nsandbox = \"standard\"";
    bed.scene.machine.policy(&policy(&bed.scene, "access = \"read\"", "", allow));
    let said =
        bed.scene.run(&["--model-identity", "brain"], &["true"]).run().refused("may ask models and nothing else");
    assert_eq!(said.code(), 125);
    assert!(bed.policies(OWN_ROLE).is_empty());
}

fn a_session_that_nothing_can_narrow_is_refused_and_says_what_to_do(mode: Mode) {
    let bed = Bed::new(mode);
    let token = "[ready]\naws_access_key_id = ASIAREADYREADYREADY1\naws_secret_access_key = s\naws_session_token = t\n";
    let config = format!("[profile dev]\nrole_arn = {OWN_ROLE}\nsource_profile = base\nregion = eu-west-1\n");
    bed.scene.configure(&config, &(bed.scene.keys("base") + token));
    let said = bed.scene.run(&["--model-identity", "own:ready"], &["echo", "it ran"]).run();
    let said = said.refused("is a session already, which nothing can narrow: use an AWS profile with role_arn");
    assert!(said.stderr.contains("no credentials for `own:ready`") && said.stdout.is_empty(), "{said}");
    assert_eq!(said.code(), 125);
}

fn one_that_policy_does_not_grant_is_refused_and_none_can_be_asked_for(mode: Mode) {
    let bed = Bed::new(mode);
    let same = "there is no such identity, or policy does not grant it to you";
    for name in ["brain", "nobody"] {
        let said = bed.scene.run(&["--model-identity", name], &["true"]).run().refused(same);
        assert!(said.stderr.contains("--no-model-identity"), "{said}");
        assert_eq!(said.code(), 125);
    }
    if mode == Mode::Setuid {
        let denials =
            bed.scene.machine.audit().into_iter().filter(|it| it["event"] == "deny" && it["model"] == "brain");
        assert_eq!(denials.count(), 1);
    }
    bed.scene.run(&["--no-model-identity"], &["true"]).run().ends(0);
    assert!(bed.policies(bed.roles()[1]).is_empty());
}

fn a_deny_keeps_it_from_a_caller_to_whom_the_sandbox_would_give_it(mode: Mode) {
    let bed = Bed::new(mode);
    let deny = "[[deny]]\nusers = [\"alice\"]\nidentities = [\"brain\"]";
    bed.scene.run(&[], &["true"]).run().ends(0);
    bed.scene.machine.policy(&policy(&bed.scene, "", "model-identity = \"brain\"", deny));
    bed.scene.run(&[], &["true"]).run().refused("the identity of the model: there is no such identity");
    bed.scene.run(&["--no-model-identity"], &["true"]).run().ends(0);
}

fn it_is_granted_in_the_sandbox_of_the_session_or_not_at_all(mode: Mode) {
    let bed = Bed::new(mode);
    let elsewhere = "[sandbox.closed]\nnetwork = \"none\"\n[[allow]]\nusers = [\"alice\"]\nidentities = [\"brain\"]\n\
                     sandbox = \"closed\"";
    bed.scene.machine.policy(&policy(&bed.scene, "", "", elsewhere));
    let asked = ["--model-identity", "brain"];
    bed.scene.run(&asked, &["true"]).run().refused("no such sandbox for you and this identity");
    let here = elsewhere.replace("sandbox = \"closed\"", "sandbox = \"standard\"");
    bed.scene.machine.policy(&policy(&bed.scene, "", "", &here));
    bed.scene.run(&asked, &["true"]).run().ends(0);
}

fn taken_out_of_policy_it_is_not_refreshed_and_the_task_goes_on(mode: Mode) {
    let bed = Bed::with(mode, Some(6));
    let mut inside = bed.inside(&[]);
    let [_, model] = bed.roles();
    within(LATER, "a first refresh", || bed.policies(model).len() >= 2);
    let without = match mode {
        Mode::Setuid => policy(&bed.scene, "", "", ""),
        Mode::Unprivileged => {
            let deny = "[[deny]]\nusers = [\"*\"]\nidentities = [\"own:brain\"]";
            policy(&bed.scene, "", "", deny)
        }
    };
    bed.scene.machine.policy(&without);
    let before = bed.policies(model).len();
    let why = until(LATER, || Some(inside.does(MODEL)).filter(|said| said.status != 0));
    let why = why.expect("it comes to an end").text;
    assert!(why.contains("no longer granted") && why.contains("policy"), "{why}");
    assert!(bed.policies(model).len() <= before + 1, "one that was under way, and no more");
    assert!(bed.policies(model).iter().all(|policy| allowed(policy) == only_models()), "also at each refresh");
    // The task has lived through that, and is refreshed.
    within(LATER, "the task is served", || inside.does(TASK).status == 0);
    if mode == Mode::Setuid {
        let revoked: Vec<Value> = bed.scene.machine.audit().into_iter().filter(|it| it["event"] == "revoked").collect();
        assert_eq!(revoked.len(), 1, "{revoked:?}");
        assert_eq!(revoked[0]["model"], "brain", "{revoked:?}");
    }
}

/// The brokers of the session, that of the task first.
fn brokers(scene: &Scene) -> Vec<i32> {
    let mut found: Vec<i32> = scene
        .machine
        .others()
        .into_iter()
        .filter(|it| it.name.starts_with("agent-aws-brok"))
        .map(|it| it.pid)
        .collect();
    found.sort_unstable();
    found
}

fn its_brokers_death_ends_the_session(mode: Mode) {
    let bed = Bed::new(mode);
    let mut inside = bed.inside(&[]);
    inside.does(MODEL).well();
    let before = brokers(&bed.scene);
    assert_eq!(before.len(), 2, "{before:?}");
    let last = rustix::process::Pid::from_raw(before[1]).expect("a process");
    rustix::process::kill_process(last, rustix::process::Signal::KILL).expect("it is there");
    within(LATER, "it is said", || inside.complaints().contains("the broker ended"));
    assert_eq!(inside.end(), Some(125));
    within(LATER, "nothing is left", || brokers(&bed.scene).is_empty());
}

fn without_waiting_an_agent_begins_before_either_has_credentials(mode: Mode) {
    let bed = Bed::new(mode);
    bed.scene.set_faults(r#"{"fail":{"status":403,"code":"AccessDenied","message":"not today"}}"#);
    let refused = bed.scene.run(bed.options, &["echo", "it ran"]).run().refused("not today");
    assert_eq!((refused.code(), refused.stdout.as_str()), (125, ""));
    let mut inside = bed.inside(&["--no-wait"]);
    for client in [TASK, MODEL] {
        let said = until(LATER, || Some(inside.does(client).badly()).filter(|said| said.contains("not today")));
        assert!(said.is_some(), "{client}");
    }
    bed.scene.set_faults("{}");
}

fn plan_records_and_sessions_name_it(mode: Mode) {
    let bed = Bed::new(mode);
    let plan = bed.scene.run(&[bed.options, &["--explain"]].concat(), &["true"]).run().says();
    let row = format!("model        asked as {}, which may do nothing else", bed.name());
    assert!(plan.contains(&row), "{plan}");
    let (_, document) = plan.split_once("session policy of the model's identity").expect("a session policy");
    assert!(CALLS.iter().all(|call| document.contains(call)), "{document}");
    let mut inside = bed.inside(&[]);
    inside.does(MODEL).well();
    let rows: Value = serde_json::from_str(&bed.scene.agent_aws(&["sessions", "--json"]).run().says()).expect("JSON");
    assert_eq!(rows[0]["model"]["identity"], bed.name(), "{rows}");
    assert!(rows[0]["model"]["expires"].as_u64() > Some(0) && rows[0]["expires"].as_u64() > Some(0), "{rows}");
    assert!(inside.does("cat /run/agent-aws/session.json").well().contains(&format!("\"model\":\"{}\"", bed.name())));
    assert_eq!(inside.end(), Some(0));
    if mode == Mode::Setuid {
        let of = |event: &str| -> Vec<Value> {
            bed.scene.machine.audit().into_iter().filter(|record| record["event"] == event).collect()
        };
        assert_eq!(of("start")[0]["model"], "brain");
        let issues = of("issue");
        let model: Vec<_> = issues.iter().filter(|it| it["model"] == "brain").collect();
        assert_eq!((issues.len(), model.len()), (2, 1), "{issues:?}");
        let name = OWN_ROLE.rsplit('/').next().unwrap();
        assert!(model[0]["arn"].as_str().unwrap().contains(name), "{model:?}");
        let said = bed.scene.agent_aws(&["policy", "explain", "--as", "incident"]).run().says();
        assert!(said.contains("its model as brain"), "{said}");
    }
}

fn an_identity_saved_by_the_caller_names_it(mode: Mode) {
    let bed = Bed::new(mode);
    let home = bed.scene.machine.scratch().join("configuration");
    bed.scene.machine.directory(&bed.scene.machine.user("alice"), &home);
    let with = |words: &[&str]| bed.scene.agent_aws(words).env("XDG_CONFIG_HOME", home.clone()).run();
    let add =
        ["config", "add", "mine", "--profile", "dev", "--model-identity", "own:brain", "--model-region", "us-west-2"];
    with(&add).ends(0);
    let said = with(&["run", "--as", "mine", "--", "cat", "/run/agent-aws/config"]).says();
    let (_, section) = said.split_once("[profile agent-aws-model]").expect("a section");
    assert!(section.contains("region = us-west-2"), "{said}");
    let said = with(&["run", "--as", "mine", "--model-identity", "mine", "--", "true"]).refused("that you saved");
    assert_eq!(said.code(), 125);
    let said = with(&["run", "--as", "mine", "--model-region", "x y", "--", "true"]).refused("no AWS region");
    assert_eq!(said.code(), 125);
}

/// Both would use it, and it is good once.
fn a_code_of_a_second_factor_is_the_tasks_only(mode: Mode) {
    let bed = Bed::new(mode);
    let config = format!("[profile dev]\nrole_arn = {OWN_ROLE}\nsource_profile = base\nregion = eu-west-1\n");
    let factor = format!("[profile brain]\nrole_arn = {ROLE}\nsource_profile = base\nmfa_serial = {DEVICE}\n");
    bed.scene.configure(&(config + &factor), &bed.scene.keys("base"));
    let asked = ["run", "--profile", "dev", "--model-identity", "own:brain", "--", "true"];
    let said = bed.scene.agent_aws(&asked).env("AGENT_AWS_MFA_CODE", "123456").run().refused("own:brain");
    assert_eq!(said.code(), 125);
    let codes = bed.scene.sts.requests().into_iter().filter(|it| it.parameters.contains_key("TokenCode"));
    assert_eq!(codes.count(), 0, "the code was used: {said}");
}

/// What two brokers and the supervisor take, that nobody else has.
fn two_brokers_stay_small(mode: Mode) {
    let bed = Bed::new(mode);
    let mut inside = bed.inside(&[]);
    inside.does(MODEL).well();
    let private = |pid: &i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("of a process");
        let of = text.lines().filter(|line| line.starts_with("Private_") || line.starts_with("Pss:"));
        of.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).collect::<Vec<_>>()
    };
    let all: Vec<Vec<u64>> = brokers(&bed.scene).iter().map(private).collect();
    assert_eq!(all.len(), 2);
    // Of a second one most pages are the first one's too: 12 MB is the budget of a whole session.
    let second = all.iter().map(|it| it[0]).max().unwrap_or_default();
    assert!(second < 6 * 1024, "KiB: {all:?}");
}
