//! A helper without policy, sandbox or credentials, for the tests of the CLI: it speaks the protocol and runs the command
//! in a process group of its own, as the agent of a real session. `FAKE` says what it is to do instead, `FAKE_REQUEST`
//! names a file that gets the request as it came.
#![allow(clippy::unwrap_used, clippy::expect_used)] // A test tool may fail loudly.

mod sys;

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::time::Duration;

use agent_aws_plan::{Caller, Grant, Wish, fixture};
use agent_aws_protocol::{
    Channel, CliToHelper, Exit, FailureCode, Fare, HelperToCli, IdentityOffer, Refusal, Request, SessionRow, Started,
};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpid};

fn refusal() -> HelperToCli {
    HelperToCli::Refused(Refusal {
        code: FailureCode::CommandNotExecutable,
        text: "no \u{1b}[31mway".into(),
        advice: Some("go home".into()),
        audit: Some("a1".into()),
    })
}

fn started() -> HelperToCli {
    HelperToCli::Started(Started {
        session: "0123456789abcdef".into(),
        account: Some("111122223333".into()),
        arn: Some("arn:aws:sts::111122223333:assumed-role/agent-incident/alice".into()),
        expires: Some(1_795_183_500),
    })
}

fn answer(request: &Request) -> Option<HelperToCli> {
    let offer = IdentityOffer {
        name: "incident".into(),
        role: None,
        access: "read".into(),
        sandboxes: vec!["standard".into()],
    };
    let credentials = Fare { expires: Some(1_764_000_000), refreshed: Some(1_763_996_400), failed: None };
    let row = SessionRow {
        credentials,
        id: "0123456789abcdef".into(),
        uid: 0,
        identity: "incident".into(),
        sandbox: "standard".into(),
        started: 1_795_183_500,
        command: b"cl\xffude".to_vec(),
        model: None,
    };
    match request {
        Request::Run(run) if run.explain => Some(HelperToCli::Text("the plan\n".into())),
        Request::Run(_) => None,
        Request::Identities { .. } => Some(HelperToCli::Identities(vec![offer])),
        Request::Sessions => Some(HelperToCli::Sessions(vec![row])),
        Request::Stop(id) => Some(HelperToCli::Text(format!("{id} ended\n"))),
        Request::Policy(_) => Some(HelperToCli::Text("because\n".into())),
        Request::Doctor => Some(HelperToCli::Text("ok\tpolicy\tfine\n".into())),
    }
}

fn run(channel: Channel, command: Vec<OsString>) {
    let command: Vec<CString> = command.into_iter().map(|w| CString::new(w.into_vec()).unwrap()).collect();
    let (gate, opener) = Channel::pair().unwrap();
    let pid = sys::launch(&command, &gate);
    drop(gate);
    let group = Pid::from_raw(pid).unwrap();
    let channel = Arc::new(channel);
    channel.send(&started()).unwrap();
    channel.send(&HelperToCli::Ready { group: pid }).unwrap();
    let teller = Arc::clone(&channel);
    std::thread::spawn(move || {
        loop {
            let (_, status) = waitpid(Some(group), WaitOptions::UNTRACED).unwrap().unwrap();
            let message = match (status.stopping_signal(), status.exit_status()) {
                (Some(signal), _) => HelperToCli::Stopped(signal),
                (None, Some(code)) => HelperToCli::Ended(Exit::Code(code)),
                (None, None) => HelperToCli::Ended(Exit::Signal(status.terminating_signal().unwrap())),
            };
            let last = matches!(message, HelperToCli::Ended(_));
            let _ = teller.send(&message);
            if last {
                std::process::exit(0);
            }
        }
    });
    while let Ok(received) = channel.receive::<CliToHelper>(None) {
        match received.message {
            CliToHelper::Begin => {
                rustix::io::write(&opener, b"!").unwrap();
            }
            CliToHelper::Signal(signal) => {
                let _ = kill_process_group(group, Signal::from_named_raw(signal).unwrap());
            }
            CliToHelper::Opened(_) | CliToHelper::Door => {}
            CliToHelper::Request(_) | CliToHelper::Prepared(_) => std::process::exit(99),
        }
    }
    let _ = kill_process_group(group, Signal::KILL);
}

/// The plan of a granted run, sent as the real helper sends it; returns what the CLI made of it.
fn prepared(channel: &Channel, request: &agent_aws_protocol::RunRequest) -> agent_aws_protocol::Prepared {
    let path = |bytes: &[u8]| std::path::PathBuf::from(OsString::from_vec(bytes.to_vec()));
    let home = std::env::var_os("HOME").map(Into::into).unwrap_or_else(|| std::path::PathBuf::from("/nonexistent"));
    let caller = Caller { uid: 1, gid: 1, home, ..fixture::caller() };
    let network = agent_aws_policy::Network::Shared;
    let (session, rw_paths) = ("0123456789abcdef".into(), vec!["/".into()]);
    let grant = Grant { session, network, aliases: vec![], region: None, rw_paths, ..fixture::grant() };
    // The build directory may lie in a repository, which then contains the home of the test.
    let project = path(&request.project);
    let project = if caller.home.starts_with(&project) { std::path::PathBuf::new() } else { project };
    let wish = Wish { project, ..Wish::default() };
    let plan = agent_aws_plan::plan(caller, grant, &wish).unwrap();
    channel.send(&HelperToCli::Plan(postcard::to_stdvec(&plan).unwrap())).unwrap();
    channel.send(&HelperToCli::Prepare { door: 100 }).unwrap();
    match channel.receive::<CliToHelper>(None).map(|received| received.message) {
        Ok(CliToHelper::Prepared(ready)) => ready,
        _ => std::process::exit(97),
    }
}

fn main() {
    let channel = Channel::new(sys::channel(), Duration::from_secs(5));
    let CliToHelper::Request(request) = channel.receive(None).unwrap().message else { std::process::exit(98) };
    if let Some(path) = std::env::var_os("FAKE_REQUEST") {
        std::fs::write(path, format!("{request:?}")).unwrap();
    }
    let mut words = std::env::args_os();
    assert_eq!(words.next().unwrap(), "agent-aws-helper");
    let mode = std::env::var("FAKE").unwrap_or_default();
    match (mode.as_str(), answer(&request)) {
        ("refuse", _) => channel.send(&refusal()).unwrap(),
        ("die", _) => std::process::exit(7),
        ("silent", _) => std::thread::sleep(Duration::from_secs(20)),
        (_, Some(answer)) => {
            channel.send(&answer).unwrap();
            channel.send(&HelperToCli::Done).unwrap();
        }
        (_, None) => {
            assert_eq!(words.next().unwrap(), "--");
            if let Request::Run(request) = &request {
                let ready = prepared(&channel, request);
                if let Some(path) = std::env::var_os("FAKE_REQUEST") {
                    std::fs::write(path, format!("{request:?}{ready:?}")).unwrap();
                }
            }
            run(channel, words.collect());
        }
    }
}
