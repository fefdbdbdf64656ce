//! agent-aws-helper: the setuid program of agent-aws.
//!
//! `main` and [`run`] tell "One run, start to end" of docs/architecture.md, in its order and its words. Fixed verbs
//! arrive as one message from the CLI; the command is our own argv after `--`; there are no options.

mod audit;
mod broker;
mod child;
mod confine;
mod decide;
mod entry;
mod gateway;
mod installation;
mod mounts;
mod policy_files;
mod queries;
mod record;
mod refusal;
mod renew;
mod sandbox;
mod serve;
mod service;
mod subject;
mod supervise;
mod sys;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_plan::{Origin, Plan, Wish, plan};
use agent_aws_policy::Network;
use agent_aws_protocol::{
    Ask, Bytes, Channel, CliToHelper, EnvVar, FailureCode, Fare, HelperToCli, ModelAsk, Refusal, Request, RunRequest,
    SessionRow, Showing, Started,
};

use crate::audit::{Audit, Field};
use crate::child::Child;
use crate::decide::Granting;
use crate::entry::Entered;
use crate::policy_files::PolicyFiles;
use crate::record::Records;
use crate::refusal::{advise, broken, installation, refuse, unplannable};
use crate::renew::Renewal;
use crate::subject::{Asked, Person};
use crate::supervise::{Broker, Parts, Session};

/// How long the CLI may take to say what it wants.
const REQUEST: Duration = Duration::from_secs(10);
/// How long the CLI may take to make the home ready: it waits for others there, and may have to walk through it.
const PREPARED: Duration = Duration::from_secs(60);
/// The longest command, in arguments.
const MOST_ARGUMENTS: usize = 100_000;

fn main() -> ExitCode {
    if sys::close_all_but_channel().is_err() {
        return ExitCode::from(125);
    }
    let Some(cli) = entry::channel() else {
        let _ = std::io::stderr().write_all(b"agent-aws-helper: is started by `agent-aws`, not by hand\n");
        return ExitCode::from(2);
    };
    let outcome = entry::enter().and_then(|entered| answer(entered, &cli));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            let status = refusal.code.status();
            let _ = cli.send(&HelperToCli::Refused(refusal));
            ExitCode::from(status)
        }
    }
}

/// Reads the one request and does what it asks.
fn answer(entered: Entered, cli: &Channel) -> Result<(), Refusal> {
    let command = command()?;
    // These two get ready while the CLI puts its request together.
    let person = subject::resolve(&entered);
    let reader = policy_files::reader(&entered);
    let said = cli.receive::<CliToHelper>(Some(REQUEST)).map_err(|e| broken("agent-aws", e))?;
    let CliToHelper::Request(request) = said.message else {
        return Err(refuse(FailureCode::BadRequest, "the first message is no request"));
    };
    let allow_root = match &request {
        Request::Run(run) => run.allow_root,
        Request::Identities { allow_root } => *allow_root,
        _ => true,
    };
    if entered.root_caller && !allow_root {
        let text = "you are root: the agent would own every file of root's that the sandbox shows, and policy for users \
                    does not bind you";
        return Err(advise(FailureCode::BadRequest, text, "use an ordinary user, or say --allow-root"));
    }
    match request {
        Request::Run(request) => run(entered, cli, &request, command, (person, reader)),
        Request::Identities { .. } => queries::identities(&entered, cli, person, reader),
        Request::Sessions => queries::sessions(&entered, cli, person),
        Request::Stop(id) => queries::stop(&entered, cli, &id, person),
        Request::Policy(question) => queries::policy(&entered, cli, &question, person, reader),
        Request::Doctor => queries::doctor(&entered, cli, person, reader),
    }
}

/// One run, start to end.
fn run(
    entered: Entered,
    cli: &Channel,
    request: &RunRequest,
    command: Vec<Vec<u8>>,
    (asked, reader): (Asked, Result<Child, Refusal>),
) -> Result<(), Refusal> {
    // Decide.
    let (mut audit, policy) = (Audit::open(&entered.mode)?, PolicyFiles::find(&entered.mode, reader)?);
    let (read, person) = (policy.read(), asked.answer()?);
    let session = session_id()?;
    audit.about(&[("session", &session), ("uid", &entered.caller.uid), ("login", &person.caller.login)]);
    let decided = read.and_then(|policy| decide::decide(&policy, &person, request, &session));
    system_source_needs_privilege(&entered, &decided)?;
    let planned = decided.and_then(|g| make_plan(&person, &g, request, command).map(|plan| (g, plan)));
    let (granting, mut plan) = planned.map_err(|refusal| record_denial(&mut audit, refusal, request, &session))?;
    queries::show(cli, &plan)?;
    if request.explain {
        made_ready(cli, &mut plan)?;
        return queries::send(cli, &HelperToCli::Done);
    }
    if !entered.mode.is_privileged() {
        let open = match plan.grant.network {
            Network::Shared => "; metadata services and all of this machine's network can be reached",
            Network::None | Network::Filtered => "",
        };
        let text = format!("running without the setuid helper: policy is advisory here{open}");
        let _ = cli.send(&HelperToCli::Notice(text));
    }
    let records = Records::open(&entered.mode, &person.caller.home)?;
    let record = records.begin(&row(&entered, &plan), plan.grant.limits.sessions)?;
    record_start(&mut audit, if request.serve { "serve" } else { "start" }, &granting, &plan)?;
    drop(asked);

    let assembled = match request.serve {
        false => assemble(entered, cli, request, person, granting, plan, policy),
        true => serve::assemble(entered, cli, request, person, granting, plan, policy),
    };
    match assembled {
        Ok(parts) => {
            let cli = rustix::io::fcntl_dupfd_cloexec(cli, 0).map_err(|e| refuse(FailureCode::Kernel, e))?;
            // Supervise, without privilege, until the end.
            let mut session = Session::new(Channel::new(cli, Duration::from_secs(10)), parts, audit, record);
            let end = session.run();
            session.finish(end);
            Ok(())
        }
        Err(refusal) => {
            let _ = audit.record("end", &[("how", &refusal.text)]);
            Err(refusal)
        }
    }
}

/// What the caller's own rights are enough for is done by the CLI: the home and what is mounted on in it, or what of a
/// real home must be hidden; and what only the agent reads: its environment, its AWS configuration.
fn made_ready(cli: &Channel, plan: &mut Plan) -> Result<(Vec<EnvVar>, Bytes), Refusal> {
    let said = cli.receive::<CliToHelper>(Some(PREPARED)).map_err(|e| broken("agent-aws", e))?;
    let CliToHelper::Prepared(ready) = said.message else { return Err(out_of_turn()) };
    plan.complete(ready.files, ready.hide).map_err(unplannable)?;
    Ok((ready.environment, ready.directory))
}

fn out_of_turn() -> Refusal {
    refuse(FailureCode::BadRequest, "agent-aws said something out of turn")
}

/// Broker and sandbox, side by side; then init and broker are told what to do.
fn assemble(
    entered: Entered,
    cli: &Channel,
    request: &RunRequest,
    person: Person,
    granting: Granting,
    mut plan: Plan,
    policy: PolicyFiles,
) -> Result<Parts, Refusal> {
    // Who is waited for goes first.
    let start = || -> Result<Vec<_>, _> {
        granting.mandates.iter().map(|mandate| broker::start(&entered, &person, mandate, request)).collect()
    };
    let brokers = request.wait.then(start).transpose()?;
    let gateway = gateway::start(&entered, &person, &plan)?;
    let (environment, directory) = made_ready(cli, &mut plan)?;
    let opened = sandbox::opened(cli, &plan)?;
    let sandbox = sandbox::build(&entered, &plan, opened, gateway.plumber.as_ref());
    let mut sandbox = sandbox.map_err(|refusal| gateway.cause(refusal))?;
    let brokers = brokers.map_or_else(start, Ok)?;
    let mounts = mounts::Mounts::of(sandbox.init.process.pid)?;
    let stop = supervise::stop()?;
    // Init is being started meanwhile. No privilege is needed for the rest.
    let root = confine::confine(entered.mode)?;
    sandbox.wait_for_init(&plan)?;
    let brokers: Vec<_> = brokers.into_iter().zip(granting.mandates).map(Broker::new).collect();
    let renewal = Renewal { policy, person, grant: granting.grant, model: request.model.clone() };
    let init = Some(supervise::launch(sandbox, &brokers, environment, directory)?);
    let (mounts, started) = (Some(mounts), started(&plan));
    Ok(Parts { init, brokers, gateway: gateway.child, renewal, started, wait: request.wait, mounts, stop, root })
}

/// Of whom nothing is known but the session's id.
fn started(plan: &Plan) -> Started {
    Started { session: plan.grant.session.clone(), account: None, arn: None, expires: None }
}

/// The command: everything after `--`.
fn command() -> Result<Vec<Vec<u8>>, Refusal> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        None => return Ok(vec![]),
        Some(first) if first == "--" => {}
        Some(_) => return Err(refuse(FailureCode::BadRequest, "agent-aws-helper has no options")),
    }
    let command: Vec<Vec<u8>> = arguments.take(MOST_ARGUMENTS + 1).map(OsString::into_vec).collect();
    match command.len() {
        0 => Err(refuse(FailureCode::BadRequest, "there is no command after `--`")),
        n if n > MOST_ARGUMENTS => Err(refuse(FailureCode::BadRequest, "the command has too many arguments")),
        _ => Ok(command),
    }
}

fn session_id() -> Result<String, Refusal> {
    let mut bytes = [0u8; 8];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match got {
        Ok(8) => Ok(bytes.iter().map(|b| format!("{b:02x}")).collect()),
        _ => Err(installation("the kernel gave no random numbers", "report this")),
    }
}

fn make_plan(
    person: &Person,
    granting: &Granting,
    request: &RunRequest,
    command: Vec<Vec<u8>>,
) -> Result<Plan, Refusal> {
    if command.is_empty() {
        return Err(refuse(FailureCode::BadRequest, "there is no command after `--`"));
    }
    let path = |bytes: &Vec<u8>| PathBuf::from(OsString::from_vec(bytes.clone()));
    let wish = Wish {
        project: path(&request.project),
        rw: request.rw.iter().map(path).collect(),
        ro: request.ro.iter().map(|shown| (path(&shown.path), origin(shown.why))).collect(),
        repository: path(&request.repository),
        lift: request.lift.clone(),
        home: request.home.clone(),
        command,
    };
    plan(person.caller.clone(), granting.grant.clone(), &wish).map_err(unplannable)
}

fn origin(why: Showing) -> Origin {
    match why {
        Showing::Asked => Origin::Caller("--ro".into()),
        Showing::Toolchain => Origin::Tool("toolchain".into()),
        Showing::Preset => Origin::Tool("preset".into()),
    }
}

fn system_source_needs_privilege(entered: &Entered, decided: &Result<Granting, Refusal>) -> Result<(), Refusal> {
    let of_system = match decided {
        Ok(granting) => granting.mandates.iter().any(|mandate| mandate.kind.is_some()),
        Err(refusal) => refusal.code == FailureCode::Credentials,
    };
    if entered.mode.is_privileged() || !of_system {
        return Ok(());
    }
    let text = "an identity of the policy needs the setuid helper: its source is root's";
    let advice = "use an AWS profile of your own (--profile NAME), or install setuid root";
    Err(advise(FailureCode::NotGranted, text, advice))
}

fn record_denial(audit: &mut Audit, refusal: Refusal, request: &RunRequest, session: &str) -> Refusal {
    let name = |asked: &Ask| match asked {
        Ask::Named(name) => name.clone(),
        Ask::Own(profile) => format!("own:{profile}"),
        Ask::Unnamed => String::new(),
    };
    let model = match &request.model {
        ModelAsk::Asked(asked) => Some(name(asked)),
        ModelAsk::OfSandbox | ModelAsk::Without => None,
    };
    let asked = name(&request.identity);
    let mut fields: Vec<Field<'_>> = vec![("asked", &asked), ("cause", &refusal.text)];
    fields.extend(model.iter().map(|model| -> Field<'_> { ("model", model) }));
    match audit.record("deny", &fields) {
        Ok(()) => Refusal { audit: Some(session.into()), ..refusal },
        Err(unwritable) => unwritable,
    }
}

fn record_start(audit: &mut Audit, event: &'static str, granting: &Granting, plan: &Plan) -> Result<(), Refusal> {
    let role = granting.grant.role.as_deref().unwrap_or_default();
    audit.about(&[("identity", &granting.grant.identity), ("role", &role)]);
    let command: Vec<String> = plan.command.iter().map(|a| a.escape_ascii().to_string()).collect();
    let shown: String = command.join(" ").chars().take(1024).collect();
    let project = plan.project.display();
    let mut fields: Vec<Field<'_>> = vec![
        ("sandbox", &granting.grant.sandbox),
        ("access", &granting.grant.narrowing.access),
        ("network", &granting.grant.network),
        ("project", &project),
        ("command", &shown),
    ];
    fields.extend(granting.grant.model.iter().map(|model| -> Field<'_> { ("model", &model.identity) }));
    audit.record(event, &fields)
}

fn row(entered: &Entered, plan: &Plan) -> SessionRow {
    SessionRow {
        id: plan.grant.session.clone(),
        uid: entered.caller.uid,
        identity: plan.grant.identity.clone(),
        sandbox: plan.grant.sandbox.clone(),
        started: audit::now(),
        command: plan.command.first().map(|c| c.iter().take(256).copied().collect()).unwrap_or_default(),
        credentials: Fare::default(),
        model: plan.grant.model.as_ref().map(|model| (model.identity.clone(), Fare::default())),
    }
}
