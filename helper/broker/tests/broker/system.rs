//! System sources other than keys in a file: chains, tokens, programs, and what the machine itself is.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use agent_aws_protocol::{Minting, Narrowing, SourceCredentials};
use agent_aws_sts_emulator::Emulator;
use tempfile::TempDir;

use crate::scene::{BASE, Broker, KEY, SECRET, Start, TOKEN, emulator, file, keys, minting, open_directory};

fn of(sts: &Emulator, source: SourceCredentials) -> Minting {
    Minting { source, ..minting(sts) }
}

/// The calls that were made, without what they were made with.
fn actions(sts: &Emulator) -> Vec<String> {
    sts.requests().into_iter().map(|request| request.action).collect()
}

/// Answers requests on loopback and keeps their heads.
struct Server {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines();
                let head: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
                let head = head.join("\n");
                let (status, body) = answer(&head);
                seen.lock().unwrap().push(head);
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n"
                );
                let _ = (&stream).write_all((head + &body).as_bytes());
            }
        });
        Self { url, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Keys of the user, as a program prints them.
fn printed() -> String {
    format!("{{\"Version\":1,\"AccessKeyId\":\"{KEY}\",\"SecretAccessKey\":\"{SECRET}\"}}")
}

/// A session of the base role, as a machine has one, with `Token` for `SessionToken`.
pub(crate) fn session(sts: &Emulator) -> String {
    let every = vec!["arn:aws:iam::*:role/*".into()];
    let base = Minting {
        role: Some(BASE.into()),
        external_id: None,
        source_identity: None,
        tags: vec![],
        narrowing: Narrowing { may_assume: every, ..Narrowing::default() },
        ..minting(sts)
    };
    let broker = Broker::start(base, Some(file(&keys(SECRET))));
    broker.minted();
    let mut found = broker.by_socket();
    let it = found.as_object_mut().unwrap();
    let token = it.remove("SessionToken").unwrap();
    it.insert("Token".into(), token);
    for (name, value) in [("Code", "Success"), ("Type", "AWS-HMAC"), ("LastUpdated", "2026-01-01T00:00:00Z")] {
        it.insert(name.into(), value.into());
    }
    sts.clear_requests();
    found.to_string()
}

/// A program that an ordinary user can execute.
fn program(text: &str) -> (TempDir, String) {
    let directory = open_directory();
    let path = directory.path().join("credentials");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.display().to_string();
    (directory, path)
}

fn process(command: &[&str]) -> SourceCredentials {
    SourceCredentials::Process { command: command.iter().map(ToString::to_string).collect() }
}

#[test]
fn a_chain_in_the_file_is_followed_by_us() {
    let sts = emulator(None);
    let chain = format!("[w]\nrole_arn = {BASE}\nsource_profile = k\n{}", keys(SECRET).replace("[w]", "[k]"));
    let broker = Broker::start(minting(&sts), Some(file(&chain)));
    let session = broker.minted();
    assert!(session.arn.contains("agent-incident"), "{session:?}");
    let asked = sts.requests();
    assert_eq!(actions(&sts), ["AssumeRole", "AssumeRole"]);
    assert_eq!(asked[0].parameters.get("RoleArn").map(String::as_str), Some(BASE));
    assert!(!asked[0].parameters.contains_key("Policy"), "only what the agent gets is narrowed");
    assert!(asked[1].parameters.contains_key("Policy"));
    assert!(asked[1].caller_arn.as_deref().is_some_and(|arn| arn.contains("assumed-role/base/")), "{asked:?}");
}

#[test]
fn an_hour_is_the_most_at_the_end_of_a_chain_and_that_is_said() {
    let sts = emulator(None);
    let long = Minting { duration: 7200, ..of(&sts, SourceCredentials::WebIdentity { role: BASE.into() }) };
    let session = Broker::start(long, Some(file(TOKEN))).minted();
    assert!(session.notes.iter().any(|note| note.contains("one hour")), "{session:?}");
    assert_eq!(sts.requests()[1].parameters.get("DurationSeconds").map(String::as_str), Some("3600"));
}

#[test]
fn a_token_assumes_its_role_without_keys_and_that_assumes_the_identity() {
    let sts = emulator(None);
    let source = SourceCredentials::WebIdentity { role: BASE.into() };
    let broker = Broker::start(of(&sts, source.clone()), Some(file(&format!("{TOKEN}\n"))));
    assert!(broker.minted().arn.contains("agent-incident"));
    assert_eq!(actions(&sts), ["AssumeRoleWithWebIdentity", "AssumeRole"]);
    assert_eq!(sts.requests()[0].access_key_id, "", "it is not signed");
    for (text, words) in [("other", "InvalidIdentityToken"), ("two words", "holds no token"), ("", "holds no token")] {
        let broker = Broker::start(of(&sts, source.clone()), Some(file(text)));
        let (cause, _) = broker.failed();
        assert!(cause.contains(words) && !cause.contains("two words"), "{cause}");
    }
    let (cause, _) = Broker::start(of(&sts, source), None).failed();
    assert!(cause.contains("did not hand over"), "{cause}");
}

#[test]
fn a_program_prints_them_and_knows_nothing_of_us() {
    let sts = emulator(None);
    let text = format!(
        "test \"$1\" = --as-is || exit 3\ntest \"$(env | grep -v -e ^PWD= -e ^_= -e ^SHLVL=)\" = PATH=/usr/local/bin:/usr/bin:/bin || exit 4\necho '{}'",
        printed()
    );
    let (_directory, path) = program(&text);
    let broker = Broker::start(of(&sts, process(&[&path, "--as-is"])), None);
    assert!(broker.minted().arn.contains("agent-incident"));
    let (cause, retry) = Broker::start(of(&sts, process(&[&path, "other"])), None).failed();
    assert!(cause.contains("exit status: 3") && retry.is_none(), "{cause}");
    let (cause, _) = Broker::start(of(&sts, process(&["/nowhere/there"])), None).failed();
    assert!(cause.contains("/nowhere/there: No such file"), "{cause}");
}

#[test]
fn what_a_program_prints_in_error_is_not_quoted() {
    let sts = emulator(None);
    for text in [
        format!("echo {SECRET}"),
        format!("echo '{{\"AccessKeyId\":\"{SECRET}\"}}'"),
        format!("yes {SECRET}"),
        format!("echo {SECRET} >&2; exit 1"),
    ] {
        let (_directory, path) = program(&text);
        let (cause, _) = Broker::start(of(&sts, process(&[&path])), None).failed();
        assert!(cause.contains("credential-process") && !cause.contains(SECRET), "{cause}");
    }
    assert!(sts.requests().is_empty());
}

#[test]
fn a_container_is_asked_with_its_token() {
    let sts = emulator(None);
    let found = session(&sts);
    let server = Server::start(move |head| match head.contains("authorization: tok-1") {
        true => (200, found.clone()),
        false => (403, "{}".into()),
    });
    let source = SourceCredentials::Container { uri: format!("{}/v1/credentials", server.url) };
    let broker = Broker::start(of(&sts, source.clone()), Some(file("tok-1\n")));
    assert!(broker.minted().arn.contains("agent-incident"));
    assert!(server.heads()[0].starts_with("GET /v1/credentials HTTP/1.1"), "{:?}", server.heads());
    let (cause, retry) = Broker::start(of(&sts, source), None).failed();
    assert!(cause.contains("status 403") && retry.is_none(), "{cause}");
    let nobody = SourceCredentials::Container { uri: "http://127.0.0.1:1/".into() };
    let (cause, _) = Broker::start(of(&sts, nobody), None).failed();
    assert!(cause.contains("container-credentials: http://127.0.0.1:1/"), "{cause}");
}

#[test]
fn an_instance_is_asked_by_a_session_token_only() {
    let sts = emulator(None);
    let found = session(&sts);
    let server = Server::start(move |head| {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let with = head.to_ascii_lowercase().contains("x-aws-ec2-metadata-token: imds-1");
        match path.as_str() {
            "/latest/api/token" if head.starts_with("PUT") => (200, "imds-1".into()),
            _ if !with => (401, String::new()),
            "/latest/meta-data/iam/security-credentials/" => (200, "workstation".into()),
            "/latest/meta-data/iam/security-credentials/workstation" => (200, found.clone()),
            _ => (404, String::new()),
        }
    });
    let environment = vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), server.url.clone())];
    let start = Start { environment, ..Start::default() };
    let broker = Broker::start_as(&start, of(&sts, SourceCredentials::Instance), None);
    match broker.first() {
        agent_aws_protocol::BrokerToHelper::Minted(session) => assert!(session.arn.contains("agent-incident")),
        other => panic!("{other:?}\n{:#?}", server.heads()),
    }
    assert!(server.heads()[0].starts_with("PUT /latest/api/token"), "{:?}", server.heads());
}
