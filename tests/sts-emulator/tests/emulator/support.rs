//! A client that signs with the AWS SDK's signer and speaks HTTP over a plain socket.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use agent_aws_sts_emulator::{Config, Emulator};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;

/// Header or query names and values, in order.
pub(crate) type Pairs = Vec<(String, String)>;

pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/agent-incident";

/// Alice may assume every role but `closed`; Bob none but `open`; `chain` trusts `agent-incident`.
pub(crate) const CONFIG: &str = r#"{
  "users": [
    {"name":"alice","account":"111122223333","access_key_id":"AKIAALICEALICEALICE1","secret_access_key":"alice-secret"},
    {"name":"bob","account":"111122223333","access_key_id":"AKIABOBBOBBOBBOBBOB1","secret_access_key":"bob-secret"},
    {"name":"carol","account":"111122223333","access_key_id":"AKIACAROLCAROLCAROL1","secret_access_key":"carol-secret",
     "policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}}
  ],
  "roles": [
    {"arn":"arn:aws:iam::111122223333:role/agent-incident","max_session_duration":43200,
     "trusted":["arn:aws:iam::111122223333:user/alice"],"allow_source_identity":true,"allow_tags":true},
    {"arn":"arn:aws:iam::111122223333:role/team/plain","trusted":["arn:aws:iam::111122223333:user/alice"]},
    {"arn":"arn:aws:iam::111122223333:role/external","trusted":["*"],"external_id":"ticket-42"},
    {"arn":"arn:aws:iam::111122223333:role/closed","trusted":[]},
    {"arn":"arn:aws:iam::111122223333:role/open","trusted":["*"]},
    {"arn":"arn:aws:iam::444455556666:role/chain","max_session_duration":43200,
     "trusted":["arn:aws:iam::111122223333:role/agent-incident"],"allow_source_identity":true,"allow_tags":true},
    {"arn":"arn:aws:iam::444455556666:role/silent-chain","trusted":["arn:aws:iam::111122223333:role/agent-incident"]},
    {"arn":"arn:aws:iam::111122223333:role/reader","trusted":["*"],
     "policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","sqs:*"],"Resource":"*"},
       {"Effect":"Deny","Action":"sqs:PurgeQueue","Resource":"*"}]}}
  ]
}"#;

pub(crate) fn emulator() -> Emulator {
    Emulator::start(Config::parse(CONFIG, "test").unwrap(), "127.0.0.1:0".parse().unwrap()).unwrap()
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The text of the first XML element of that name, or an empty one.
    pub(crate) fn text(&self, name: &str) -> &str {
        let after = self.body.split_once(&format!("<{name}>")).map_or("", |(_, after)| after);
        after.split_once(&format!("</{name}>")).map_or("", |(text, _)| text)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str, words: &str) {
        assert_eq!((self.status, self.text("Code")), (status, code), "{}", self.body);
        let message = self.text("Message").replace("&apos;", "'").replace("&quot;", "\"");
        assert!(message.contains(words), "{words:?} is not in {message:?}");
    }
}

/// Sends bytes as they are and reads until the server closes.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Answer {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    let has_host = headers.iter().any(|(name, _)| name == "host");
    let host = if has_host { String::new() } else { format!("host: {address}\r\n") };
    bytes.extend_from_slice(format!("{host}content-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    raw(address, &bytes)
}

/// Calls one of the emulator's own endpoints.
pub(crate) fn control(emulator: &Emulator, method: &str, what: &str, body: &str) -> Answer {
    send(emulator.address(), method, &format!("/_emulator/{what}"), &[], body.as_bytes())
}

/// Who signs, for what, and on which clock.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) region: &'static str,
    pub(crate) clock_offset: i64,
}

impl Client {
    pub(crate) fn alice(emulator: &Emulator) -> Self {
        Self::user(emulator, "AKIAALICEALICEALICE1", "alice-secret")
    }

    pub(crate) fn user(emulator: &Emulator, key: &str, secret: &str) -> Self {
        let (key, secret) = (key.to_owned(), secret.to_owned());
        Self { address: emulator.address(), key, secret, token: None, region: "eu-west-1", clock_offset: 0 }
    }

    /// The same client with the credentials of an answer.
    pub(crate) fn with(&self, answer: &Answer) -> Self {
        let text = |name| answer.text(name).to_owned();
        let token = Some(text("SessionToken"));
        Self { key: text("AccessKeyId"), secret: text("SecretAccessKey"), token, ..self.clone() }
    }

    /// A signed request to `service`.
    pub(crate) fn request(
        &self,
        service: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut all: Pairs = vec![("host".to_owned(), self.address.to_string())];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (added, _) = self.sign(service, method, target, &all, body, None);
        all.extend(added);
        send(self.address, method, target, &all, body)
    }

    /// What signing adds: headers, and query parameters when `presign` gives a validity.
    pub(crate) fn sign(
        &self,
        service: &str,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &[u8],
        presign: Option<Duration>,
    ) -> (Pairs, Pairs) {
        let mut settings = SigningSettings::default();
        if service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if presign.is_some() {
            settings.expires_in = presign;
            settings.signature_location = SignatureLocation::QueryParams;
        }
        let offset = Duration::from_secs(self.clock_offset.unsigned_abs());
        let now = SystemTime::now();
        let time = if self.clock_offset < 0 { now - offset } else { now + offset };
        let identity = Credentials::new(&self.key, &self.secret, self.token.clone(), None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(service)
            .time(time)
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let uri = format!("http://{}{target}", self.address);
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new(method, uri, pairs, SignableBody::Bytes(body)).unwrap();
        let (instructions, _) = sign(signable, &params).unwrap().into_parts();
        let (added, query) = instructions.into_parts();
        (
            added.into_iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect(),
            query.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect(),
        )
    }

    /// A query-protocol call; the version is the service's.
    pub(crate) fn query(&self, service: &str, version: &str, params: &[(&str, &str)]) -> Answer {
        let mut form = format!("Version={version}");
        for (name, value) in params {
            form.push_str(&format!("&{}={}", encode(name), encode(value)));
        }
        let content_type = [("content-type", "application/x-www-form-urlencoded")];
        self.request(service, "POST", "/", &content_type, form.as_bytes())
    }

    pub(crate) fn sts(&self, params: &[(&str, &str)]) -> Answer {
        self.query("sts", "2011-06-15", params)
    }

    pub(crate) fn assume(&self, role: &str, more: &[(&str, &str)]) -> Answer {
        let mut params = vec![("Action", "AssumeRole"), ("RoleArn", role), ("RoleSessionName", "run-1")];
        params.retain(|(name, _)| !more.iter().any(|(given, _)| given == name));
        params.extend_from_slice(more);
        self.sts(&params)
    }

    pub(crate) fn whoami(&self) -> Answer {
        self.sts(&[("Action", "GetCallerIdentity")])
    }

    pub(crate) fn list_users(&self) -> Answer {
        self.query("iam", "2010-05-08", &[("Action", "ListUsers")])
    }

    pub(crate) fn sqs(&self, action: &str) -> Answer {
        let queue = "http://queue/111122223333/jobs";
        self.query("sqs", "2012-11-05", &[("Action", action), ("QueueUrl", queue), ("MessageBody", "m")])
    }
}

pub(crate) fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A session policy of one statement.
pub(crate) fn policy(effect: &str, actions: &str) -> String {
    let actions: Vec<&str> = actions.split(' ').collect();
    let statement = serde_json::json!({"Effect": effect, "Action": actions, "Resource": "*"});
    serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}
