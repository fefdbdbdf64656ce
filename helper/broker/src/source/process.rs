//! A program of the admin's that prints credentials.

use std::process::Stdio;
use std::time::Duration;

use aws_credential_types::Credentials;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::printed;
use crate::cause::Cause;

/// How long it may take: it may sign something on the other side of the network.
const LONGEST: Duration = Duration::from_secs(20);
/// The longest answer, in bytes.
const MOST: u64 = 64 * 1024;
/// Its whole environment.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Runs it. The supervisor has looked at the file: it and all above it are root's own.
pub(super) async fn credentials(command: &[String]) -> Result<Credentials, Cause> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Cause::last("the credential process has no name"));
    };
    let failed = |what: String| Cause::denied(format!("credential-process {program}: {what}"));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    let Some(stdout) = child.stdout.take() else { return Err(failed("it has no output".into())) };
    let read = async {
        let mut text = Vec::new();
        let read = stdout.take(MOST + 1).read_to_end(&mut text).await;
        let whole = u64::try_from(text.len()).is_ok_and(|length| length <= MOST);
        (read.map(|_| text), if whole { Some(child.wait().await) } else { None })
    };
    match tokio::time::timeout(LONGEST, read).await {
        Ok((_, None)) => Err(failed(format!("it printed more than {MOST} bytes"))),
        Ok((Ok(text), Some(Ok(status)))) if status.success() => {
            printed::read(text, "CredentialProcess").map_err(|what| failed(format!("it printed {what}")))
        }
        Ok((Ok(_), Some(Ok(status)))) => Err(failed(format!("{status}; what it said on stderr is not kept"))),
        Ok((Err(e), _) | (_, Some(Err(e)))) => Err(failed(e.to_string())),
        Err(_) => Err(Cause::passing(format!("credential-process {program}: nothing within {} s", LONGEST.as_secs()))),
    }
}
