//! The caller's own AWS configuration as source.

use std::path::Path;
use std::time::{Duration, Instant};

use agent_aws_protocol::{Access, Minting, Narrowing, SourceCredentials};
use agent_aws_sts_emulator::Emulator;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::scene::{Broker, KEY, SECRET, Start, emulator, minting, open_directory};

/// A broker of `profile` with this AWS configuration.
pub(crate) struct Own {
    directory: TempDir,
    pub(crate) sts: Emulator,
}

impl Own {
    pub(crate) fn new() -> Self {
        Self { directory: open_directory(), sts: emulator(None) }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn minting(&self, profile: &str) -> Minting {
        Minting {
            source: SourceCredentials::Own { profile: profile.into() },
            role: None,
            external_id: None,
            source_identity: None,
            tags: vec![],
            narrowing: Narrowing::default(),
            ..minting(&self.sts)
        }
    }

    pub(crate) fn start(&self, config: &str, minting: Minting) -> Broker {
        self.start_with(config, minting, vec![])
    }

    pub(crate) fn start_with(&self, config: &str, minting: Minting, more: Vec<(String, String)>) -> Broker {
        std::fs::write(self.path().join("config"), config).unwrap();
        let variable = |name: &str, value: &str| (name.to_owned(), self.path().join(value).display().to_string());
        let mut start = Start {
            environment: vec![
                variable("HOME", ""),
                variable("AWS_CONFIG_FILE", "config"),
                variable("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
                ("AWS_ENDPOINT_URL_STS".into(), self.sts.url()),
                ("AWS_EC2_METADATA_DISABLED".into(), "true".into()),
            ],
            ..Start::default()
        };
        start.environment.extend(more);
        Broker::start_as(&start, minting, None)
    }

    pub(crate) fn actions(&self) -> Vec<String> {
        self.sts.requests().into_iter().map(|r| r.action).collect()
    }
}

pub(crate) fn user(profile: &str) -> String {
    format!("[profile {profile}]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
}

#[test]
fn the_callers_environment_and_profile_say_where_sts_is() {
    let own = Own::new();
    let mut silent = own.minting("dev");
    (silent.sts_endpoint, silent.region) = (None, None);
    let broker = own.start(&(user("dev") + "region = eu-north-1\n"), silent);
    broker.minted();
    assert_eq!(own.actions(), ["GetCallerIdentity", "GetSessionToken"]);
}

#[test]
fn keys_of_a_user_never_pass_and_buy_a_session() {
    let own = Own::new();
    let broker = own.start(&user("dev"), own.minting("dev"));
    let session = broker.minted();
    assert_eq!(session.arn, "arn:aws:iam::111122223333:user/workstation");
    assert!(session.notes.iter().any(|n| n.contains("were exchanged")), "{:?}", session.notes);
    assert_eq!(own.actions(), ["GetCallerIdentity", "GetSessionToken"]);
    let answer = broker.by_socket();
    assert_ne!(answer["AccessKeyId"], KEY);
    assert!(!answer.to_string().contains(SECRET));
}

#[test]
fn a_narrowing_that_cannot_be_applied_is_refused_with_a_cure() {
    let own = Own::new();
    let mut narrowed = own.minting("dev");
    narrowed.narrowing.access = Access::Read;
    let broker = own.start(&(user("dev") + "aws_session_token = of-somebody\n"), narrowed);
    let (cause, retry) = broker.failed();
    assert!(cause.contains("role_arn and source_profile") && retry.is_none(), "{cause}");
    assert!(own.actions().is_empty());
}

#[test]
fn keys_of_a_user_that_are_narrowed_become_a_federated_user() {
    let own = Own::new();
    let mut narrowed = own.minting("dev");
    narrowed.narrowing = Narrowing { access: Access::Read, deny_actions: vec!["s3:Get*".into()], ..narrowed.narrowing };
    let session = own.start(&user("dev"), narrowed).minted();
    assert!(session.arn.starts_with("arn:aws:sts::111122223333:federated-user/"), "{}", session.arn);
    assert!(session.notes.iter().any(|n| n.contains("nothing of IAM")), "{:?}", session.notes);
    assert_eq!(own.actions(), ["GetCallerIdentity", "GetFederationToken"]);
    let issued = own.sts.issued().pop().unwrap();
    assert_eq!(issued.policy_arns, ["arn:aws:iam::aws:policy/ReadOnlyAccess"]);
    assert!(issued.policy.unwrap().contains("s3:Get*"));
}

#[test]
fn whoever_signs_in_is_working_again_within_ten_seconds() {
    let own = Own::new();
    let expired = "[profile dev]\nsso_start_url = https://x.example/start\nsso_region = eu-west-1\n\
                   sso_account_id = 111122223333\nsso_role_name = r\n";
    let broker = own.start(expired, own.minting("dev"));
    let (cause, _) = broker.failed();
    assert!(cause.contains("aws sso login --profile dev"), "{cause}");
    std::fs::write(own.path().join("config"), user("dev")).unwrap();
    let since = Instant::now();
    broker.minted();
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
}

#[test]
fn a_profile_that_does_not_exist_is_not_replaced_by_another() {
    let own = Own::new();
    let broker = own.start(&user("default"), own.minting("dev"));
    let (cause, retry) = broker.failed();
    assert!(cause.contains("AWS profile 'dev' gives no credentials") && retry.is_none(), "{cause}");
    assert!(own.actions().is_empty());
}

#[test]
fn a_role_of_the_identity_is_assumed_from_the_profile() {
    let own = Own::new();
    let mut asked = own.minting("dev");
    asked.role = Some("arn:aws:iam::111122223333:role/plain".into());
    asked.narrowing.access = Access::Read;
    let broker = own.start(&user("dev"), asked);
    assert_eq!(broker.minted().arn, "arn:aws:sts::111122223333:assumed-role/plain/alice@host-1");
    assert_eq!(own.actions(), ["AssumeRole"]);
}

#[test]
fn a_role_of_the_profile_is_assumed_by_us_so_that_it_can_be_narrowed() {
    let own = Own::new();
    let chain = "[profile deep]\nrole_arn = arn:aws:iam::111122223333:role/plain\nsource_profile = dev\nrole_session_name = me\n";
    let mut narrowed = own.minting("deep");
    narrowed.narrowing.access = Access::ReadMetadata;
    let session = own.start(&(user("dev") + chain), narrowed).minted();
    assert_eq!(session.arn, "arn:aws:sts::111122223333:assumed-role/plain/me");
    assert_eq!(own.actions(), ["AssumeRole"]);
    assert_eq!(own.sts.issued().pop().unwrap().policy_arns, ["arn:aws:iam::aws:policy/ReadOnlyAccess"]);
}

#[test]
fn in_a_chain_of_roles_the_last_one_is_ours_and_lasts_an_hour_at_most() {
    let own = Own::new();
    let chain = "[profile deep]\nrole_arn = arn:aws:iam::111122223333:role/plain\nsource_profile = dev\n\
                 [profile deeper]\nrole_arn = arn:aws:iam::111122223333:role/plain\nsource_profile = deep\n\
                 duration_seconds = 7200\n";
    let session = own.start(&(user("dev") + chain), own.minting("deeper")).minted();
    assert!(session.notes.iter().any(|n| n.contains("one hour")), "{:?}", session.notes);
    let last = own.sts.requests().pop().unwrap();
    assert_eq!(last.parameters["DurationSeconds"], "3600");
    assert_eq!(last.parameters["RoleSessionName"], own.minting("deeper").session_name);
}

#[test]
fn a_credential_process_is_run_under_the_filter() {
    let own = Own::new();
    let keys = format!("{{\"Version\":1,\"AccessKeyId\":\"{KEY}\",\"SecretAccessKey\":\"{SECRET}\"}}");
    std::fs::write(own.path().join("keys.json"), keys).unwrap();
    let config = format!("[profile p]\ncredential_process = cat {}\n", own.path().join("keys.json").display());
    let broker = own.start(&config, own.minting("p"));
    broker.minted();
    assert_eq!(broker.status("Seccomp_filters"), "1");
}

#[test]
fn a_credential_process_that_fails_is_quoted_on_one_line() {
    let own = Own::new();
    let broker =
        own.start("[profile p]\ncredential_process = sh -c 'echo please sign in >&2; exit 3'\n", own.minting("p"));
    let (cause, _) = broker.failed();
    assert!(cause.contains("please sign in") && !cause.contains('\n'), "{cause}");
}

#[test]
fn a_credential_process_ends_with_the_broker() {
    let own = Own::new();
    let mark = own.path().join("pid");
    std::fs::write(&mark, "").unwrap();
    std::fs::set_permissions(&mark, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let config = format!("[profile p]\ncredential_process = sh -c 'echo $$ > {}; sleep 60'\n", mark.display());
    let mut broker = own.start(&config, own.minting("p"));
    let start = Instant::now();
    let pid = loop {
        let text = std::fs::read_to_string(&mark).unwrap();
        if text.ends_with('\n') {
            break text.trim().to_owned();
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(10));
    };
    broker.channel = None;
    broker.ends();
    let start = Instant::now();
    let running = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    while running() {
        assert!(start.elapsed() < Duration::from_secs(1), "it is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_profile_that_gives_nothing_says_what_to_do() {
    let own = Own::new();
    let config = "\
[profile old-sso]\nsso_start_url = https://x.example/start\nsso_region = eu-west-1\n\
sso_account_id = 111122223333\nsso_role_name = r\n\
[profile sso]\nsso_session = q\nsso_account_id = 111122223333\nsso_role_name = r\n\
[sso-session q]\nsso_region = eu-west-1\nsso_start_url = https://x.example/start\n\
[profile login]\nlogin_session = arn:aws:sts::111122223333:assumed-role/a/b\n\
[profile chain]\nrole_arn = arn:aws:iam::111122223333:role/plain\nsource_profile = gone\n\
[profile empty]\nregion = eu-west-1\n";
    for (profile, words) in [
        ("old-sso", "sign in: aws sso login --profile old-sso"),
        ("sso", "sign in: aws sso login --profile sso"),
        ("login", "sign in: aws login --profile login"),
        ("chain", "profile `gone` was not defined"),
        ("empty", "gives no credentials: it has none"),
        ("absent", "profile `absent` was not defined"),
    ] {
        let (cause, retry) = own.start(config, own.minting(profile)).failed();
        assert!(cause.contains(words) && retry.is_none(), "{profile}: {cause}");
    }
}

#[test]
fn a_configuration_without_end_or_that_nobody_writes_is_refused_at_once() {
    let own = Own::new();
    let config = "[profile dev]\nregion = eu-west-1\n";
    let (fifo, long) = (own.path().join("fifo"), own.path().join("long"));
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_bits_truncate(0o644), 0).unwrap();
    std::fs::write(&long, "#".repeat(1024 * 1024 + 1)).unwrap();
    let zero = Path::new("/dev/zero");
    for (path, words) in [(zero, "no regular file"), (&*fifo, "no regular file"), (&*long, "larger than 1048576 bytes")]
    {
        for variable in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            let more = vec![(variable.to_owned(), path.display().to_string())];
            let (cause, retry) = own.start_with(config, own.minting("dev"), more).failed();
            assert!(cause.contains(words) && retry.is_none(), "{variable}: {cause}");
        }
    }
    // How one of the two is left out.
    let more = vec![("AWS_SHARED_CREDENTIALS_FILE".to_owned(), "/dev/null".to_owned())];
    own.start_with(&user("dev"), own.minting("dev"), more).minted();
}
