//! Asks STS who it is, as any client would: credentials from the `credential_process` of the AWS configuration, a
//! request signed with Signature Version 4. Prints the ARN.
//!
//! `sts-whoami URL [PROFILE]`: the endpoint, and the AWS profile (`default`).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

const REGION: &str = "eu-west-1";
const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded";

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(url) = arguments.next() else {
        eprintln!("usage: sts-whoami URL [PROFILE]");
        return ExitCode::from(2);
    };
    let profile = arguments.next().unwrap_or_else(|| "default".into());
    match credentials(&profile).and_then(|credentials| who(&url, &credentials)) {
        Ok(arn) => {
            println!("{arn}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("sts-whoami: {e}");
            ExitCode::FAILURE
        }
    }
}

/// What the `credential_process` of the AWS profile says.
fn credentials(profile: &str) -> Fallible<Credentials> {
    let config = std::env::var("AWS_CONFIG_FILE").or_else(|_| std::env::var("HOME").map(|h| h + "/.aws/config"))?;
    let text = std::fs::read_to_string(&config).map_err(|e| format!("{config}: {e}"))?;
    let program =
        setting(&text, profile).ok_or_else(|| format!("{config}: AWS profile {profile}: no credential_process"))?;
    let output = Command::new("/bin/sh").args(["-c", &program]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{program}: {}", output.status).into());
    }
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let member = |name: &str| answer.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    let (Some(key), Some(secret)) = (member("AccessKeyId"), member("SecretAccessKey")) else {
        return Err(format!("{program}: no credentials in its answer").into());
    };
    Ok(Credentials::new(key, secret, member("SessionToken"), None, "credential_process"))
}

fn setting(config: &str, profile: &str) -> Option<String> {
    let headers = [format!("[{profile}]"), format!("[profile {profile}]")];
    let mut lines = config.lines().skip_while(|line| !headers.iter().any(|h| h == line.trim())).skip(1);
    let section = lines.by_ref().take_while(|line| !line.trim().starts_with('['));
    let mut pairs = section.filter_map(|line| line.split_once('='));
    pairs.find(|(name, _)| name.trim() == "credential_process").map(|(_, value)| value.trim().to_owned())
}

fn who(url: &str, credentials: &Credentials) -> Fallible<String> {
    let address = url.strip_prefix("http://").ok_or("the URL must begin with http://")?;
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("sts")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let mut headers = vec![("host".to_owned(), address.to_owned()), ("content-type".to_owned(), FORM.to_owned())];
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let request = SignableRequest::new("POST", format!("{url}/"), pairs, SignableBody::Bytes(BODY.as_bytes()))?;
    let (instructions, _) = sign(request, &params)?.into_parts();
    let (added, _) = instructions.into_parts();
    headers.extend(added.iter().map(|h| (h.name().to_owned(), h.value().to_owned())));
    let answer = post(address, &headers)?;
    let text = |name: &str| {
        let after = answer.split_once(&format!("<{name}>"))?.1;
        after.split_once(&format!("</{name}>")).map(|(text, _)| text.to_owned())
    };
    match (text("Arn"), text("Message")) {
        (Some(arn), _) => Ok(arn),
        (None, Some(message)) => Err(format!("{}: {message}", text("Code").unwrap_or_default()).into()),
        (None, None) => Err(format!("no answer of STS: {answer:?}").into()),
    }
}

fn post(address: &str, headers: &[(String, String)]) -> Fallible<String> {
    let mut stream = TcpStream::connect(address).map_err(|e| format!("{address}: {e}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut request = "POST / HTTP/1.1\r\n".to_owned();
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n{BODY}", BODY.len()));
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
