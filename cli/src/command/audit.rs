//! `audit`: the audit trail for people. Only root reads it; what is in it was written by the helper.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use agent_aws_protocol::Exit;
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::args::Audit;
use crate::failure::Failure;
use crate::say;

/// The trail, and what a rotation leaves beside it.
const FILES: [&str; 2] = ["/var/log/agent-aws/audit.jsonl.1", "/var/log/agent-aws/audit.jsonl"];
/// No record is longer, in bytes.
const LONGEST: usize = 64 * 1024;
/// What every record has; the rest tells what happened.
const COMMON: [&str; 6] = ["time", "event", "session", "uid", "login", "identity"];

type Record = Map<String, Value>;

/// Prints the records that are asked for. What is no record is said, and ends it with 1.
pub(super) fn audit(options: &Audit) -> Result<Exit, Failure> {
    let since = options.since.as_deref().map(since).transpose().map_err(|text| {
        Failure::Option(
            format!("--since {text}"),
            "a number and s, m, h or d, such as 24h, or a date, such as 2026-11-20",
        )
    })?;
    let wanted = |record: &Record| {
        let is = |name: &str, asked: &Option<String>| asked.as_deref().is_none_or(|asked| text(record, name) == asked);
        let user = is("login", &options.user) || is("uid", &options.user);
        user && is("session", &options.session) && is("event", &options.event) && is_since(record, since)
    };
    let (mut records, mut faulty) = (Vec::new(), 0);
    for path in files(options)? {
        read(
            &path,
            &mut |record| {
                if wanted(&record) {
                    records.push(record)
                }
            },
            &mut faulty,
        )?;
    }
    if options.json {
        say::json(&records.into_iter().map(Value::Object).collect())?;
    } else if records.is_empty() {
        say::line("nothing of that is recorded");
    } else {
        let head = ["TIME (UTC)", "EVENT", "SESSION", "USER", "IDENTITY", "WHAT"].map(str::to_owned).to_vec();
        let rows: Vec<_> = [head].into_iter().chain(records.iter().map(row)).collect();
        say::out(&say::table(&rows))?;
    }
    Ok(Exit::Code(i32::from(faulty > 0)))
}

fn files(options: &Audit) -> Result<Vec<PathBuf>, Failure> {
    if !options.file.is_empty() {
        return Ok(options.file.clone());
    }
    let there: Vec<PathBuf> = FILES.iter().map(PathBuf::from).filter(|path| path.exists()).collect();
    if !there.is_empty() {
        return Ok(there);
    }
    let [.., file] = FILES;
    match std::fs::metadata(file) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(not_yours(Path::new(file))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Failure::Other(
            format!("{file} is not there: nothing has been recorded"),
            Some("runs without the setuid helper are not recorded: the trail could be edited".into()),
        )),
        Err(e) => Err(Failure::Path(file.into(), e)),
        Ok(_) => Ok(vec![file.into()]),
    }
}

fn not_yours(path: &Path) -> Failure {
    let text = format!("{} is root's: others cannot read what was recorded of everybody", path.display());
    Failure::Other(text, Some("run `agent-aws audit` as root".into()))
}

fn read(path: &Path, each: &mut impl FnMut(Record), faulty: &mut usize) -> Result<(), Failure> {
    let file = File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied => not_yours(path),
        _ => Failure::Path(path.into(), e),
    })?;
    for (index, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.map_err(|e| Failure::Path(path.into(), e))?;
        match serde_json::from_slice::<Value>(&line) {
            Ok(Value::Object(record)) if line.len() <= LONGEST && record.contains_key("event") => each(record),
            _ => {
                *faulty += 1;
                let place = format!("{}:{}: this is no record of the helper's", path.display(), index + 1);
                say::failure(&place, Some("a full disk cuts the last one; anything else was written by somebody else"));
            }
        }
    }
    Ok(())
}

fn text<'r>(record: &'r Record, name: &str) -> &'r str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn row(record: &Record) -> Vec<String> {
    let time = OffsetDateTime::parse(text(record, "time"), &Rfc3339).ok();
    let seconds = time.and_then(|time| u64::try_from(time.unix_timestamp()).ok());
    let time = seconds.map_or_else(|| text(record, "time").to_owned(), say::date_time);
    let user =
        [text(record, "login"), text(record, "uid")].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let cells =
        [&*time, text(record, "event"), text(record, "session"), user, text(record, "identity"), &*what(record)];
    cells.map(say::escaped).to_vec()
}

/// What is told of this event and of no other.
fn what(record: &Record) -> String {
    let t = |name: &str| text(record, name);
    match t("event") {
        "start" | "serve" => t("command").to_owned(),
        "deny" => format!("{}: {}", t("asked"), t("cause")),
        "issue" | "refresh" => {
            let end = t("expires").parse().map_or_else(|_| t("expires").to_owned(), say::date_time);
            format!("{} until {end}", t("arn"))
        }
        "issue-failure" | "refresh-failure" | "revoked" => t("cause").to_owned(),
        "blocked" => format!("{}:{} ({}): {}", t("name"), t("port"), t("count"), t("cause")),
        "end" => t("how").to_owned(),
        _ => {
            let others = record.iter().filter(|(name, _)| !COMMON.contains(&name.as_str()));
            others.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        }
    }
}

fn is_since(record: &Record, since: Option<OffsetDateTime>) -> bool {
    let time = || OffsetDateTime::parse(text(record, "time"), &Rfc3339).ok();
    // One that does not say when is shown: better one too many.
    since.is_none_or(|since| time().is_none_or(|time| time >= since))
}

/// `24h`, `2026-11-20`, `2026-11-20T14:05:00Z`.
fn since(text: &str) -> Result<OffsetDateTime, String> {
    let wrong = || format!("`{text}` is no time");
    let ago = |seconds: i64| OffsetDateTime::now_utc().checked_sub(Duration::seconds(seconds)).ok_or_else(wrong);
    for (unit, seconds) in [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)] {
        if let Some(number) = text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()) {
            return ago(i64::from(number).saturating_mul(seconds));
        }
    }
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    OffsetDateTime::parse(&whole, &Rfc3339).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_while_ago_or_a_date() {
        let then = since("24h").unwrap();
        assert_eq!((OffsetDateTime::now_utc() - then).whole_hours(), 24);
        assert_eq!(since("2026-11-20").unwrap().unix_timestamp(), 1_795_132_800);
        assert_eq!(since("2026-11-20T14:05:00+01:00").unwrap().unix_timestamp(), 1_795_179_900);
        for wrong in ["", "h", "24", "-1h", "yesterday", "2026-13-01", "99999999999d", "1w"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_event_tells_what_it_is_about() {
        let of = |json: &str| what(serde_json::from_str::<Value>(json).unwrap().as_object().unwrap());
        assert_eq!(of(r#"{"event":"deny","asked":"prod","cause":"not granted"}"#), "prod: not granted");
        assert_eq!(of(r#"{"event":"issue","arn":"a","expires":"1795179900"}"#), "a until 2026-11-20 13:05");
        assert_eq!(of(r#"{"event":"new","time":"t","x":"y"}"#), "x=\"y\"");
    }
}
