//! `identities`, `sessions`, `stop`.

use std::io::IsTerminal as _;
use std::time::Duration;

use agent_aws_protocol::{Exit, FailureCode, Fare, HelperToCli, IdentityOffer, Request, SessionRow};
use nix::unistd::{Uid, User};
use serde_json::{Value, json};

use crate::args::{Listing, Sessions, Stop};
use crate::failure::Failure;
use crate::helper::{question, unexpected};
use crate::{blocked, say, trusted};

/// As much of a cause stands in a table, in characters; `--json` has all of it.
const LONGEST_CAUSE: usize = 120;
/// How often `--watch` looks.
const PAUSE: Duration = Duration::from_secs(2);
/// Moves a terminal's cursor to the upper left and clears it.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What the caller may use.
pub(super) fn identities(options: &Listing) -> Result<(), Failure> {
    let offers = offers(options.allow_root)?;
    if options.json {
        return say::json(&offers.iter().map(offer_json).collect());
    }
    if offers.is_empty() {
        say::line("policy grants you no identity");
        return Ok(());
    }
    let head = ["IDENTITY", "ROLE", "ACCESS", "SANDBOXES"].map(str::to_owned);
    let row = |offer: &IdentityOffer| {
        let role = offer.role.as_deref().unwrap_or("your own AWS profile");
        let cells = [&*offer.name, role, &*offer.access, &*offer.sandboxes.join(", ")];
        cells.map(say::escaped).to_vec()
    };
    let rows: Vec<_> = [head.to_vec()].into_iter().chain(offers.iter().map(row)).collect();
    say::out(&say::table(&rows))
}

/// What policy grants the caller, as the helper says it.
pub(super) fn offers(allow_root: bool) -> Result<Vec<IdentityOffer>, Failure> {
    let mut all = Vec::new();
    question(Request::Identities { allow_root }, |message| match message {
        HelperToCli::Identities(more) => {
            all.extend(more);
            Ok(())
        }
        other => Err(unexpected(&other)),
    })?;
    Ok(all)
}

fn offer_json(offer: &IdentityOffer) -> serde_json::Value {
    json!({
        "name": offer.name,
        "role": offer.role,
        "access": offer.access,
        "sandboxes": offer.sandboxes,
    })
}

fn login(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

/// What the caller's sessions were refused.
pub(super) fn log(options: &Sessions) -> Result<(), Failure> {
    let rows = blocked::log(options.id.as_deref());
    if options.json {
        return say::json(&rows.into_iter().collect());
    }
    if rows.is_empty() {
        say::line("nothing was refused");
        return Ok(());
    }
    let head = ["TIME (UTC)", "SESSION", "NAME", "PORT", "COUNT", "WHY"].map(str::to_owned);
    let row = |row: &Value| {
        let text = |key: &str| say::escaped(row.get(key).and_then(Value::as_str).unwrap_or_default());
        let number = |key: &str| row.get(key).and_then(Value::as_u64).unwrap_or_default();
        let [port, count] = ["port", "count"].map(|key| number(key).to_string());
        vec![say::date_time(number("time")), text("session"), text("name"), port, count, text("why")]
    };
    let rows: Vec<_> = [head.to_vec()].into_iter().chain(rows.iter().map(row)).collect();
    say::out(&say::table(&rows))
}

/// The running sessions: the caller's own, or everybody's for root; again and again if they are watched.
pub(super) fn sessions(options: &Sessions) -> Result<(), Failure> {
    let shown = |rows: &[SessionRow]| match options.json {
        true => say::json(&rows.iter().map(session_json).collect()),
        false => table_of(rows),
    };
    match options.watch {
        true => watch(options.json, shown),
        false => shown(&running()?),
    }
}

/// Shows them whenever they changed, until this process is ended.
fn watch(as_json: bool, shown: impl Fn(&[SessionRow]) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut before = None;
    loop {
        let rows = running()?;
        if before.as_ref() != Some(&rows) {
            if std::io::stdout().is_terminal() && !as_json {
                say::out(CLEAR)?;
            }
            shown(&rows)?;
            before = Some(rows);
        }
        std::thread::sleep(PAUSE);
    }
}

fn running() -> Result<Vec<SessionRow>, Failure> {
    let mut rows = Vec::new();
    question(Request::Sessions, |message| match message {
        HelperToCli::Sessions(more) => {
            rows.extend(more);
            Ok(())
        }
        other => Err(unexpected(&other)),
    })?;
    Ok(rows)
}

fn table_of(rows: &[SessionRow]) -> Result<(), Failure> {
    if rows.is_empty() {
        say::line("no session runs");
        return Ok(());
    }
    let head = ["SESSION", "USER", "IDENTITY", "SANDBOX", "STARTED (UTC)", "CREDENTIALS", "CHANGED ROWS", "COMMAND"]
        .map(str::to_owned);
    let row = |row: &SessionRow| {
        let user = login(row.uid).unwrap_or_else(|| row.uid.to_string());
        let texts = [&*row.id, &*user, &*row.identity, &*row.sandbox];
        let mut cells = texts.map(say::escaped).to_vec();
        let changes = trusted::short(changes(row).as_deref());
        let model = row.model.as_ref().map(|(name, of)| format!("; model as {}: {}", say::escaped(name), fare(of)));
        let credentials = fare(&row.credentials) + &model.unwrap_or_default();
        cells.extend([say::date_time(row.started), credentials, changes, say::escaped_bytes(&row.command)]);
        cells
    };
    let rows: Vec<_> = [head.to_vec()].into_iter().chain(rows.iter().map(row)).collect();
    say::out(&say::table(&rows))
}

/// Until when the credentials last, and what failed since they were minted.
fn fare(fare: &Fare) -> String {
    let until = fare.expires.map_or_else(|| "none yet".to_owned(), |end| format!("until {}", say::date_time(end)));
    match &fare.failed {
        None => until,
        Some((when, why)) => {
            let why: String = why.chars().take(LONGEST_CAUSE).collect();
            format!("{until}; failed {}: {}", say::date_time(*when), say::escaped(&why))
        }
    }
}

/// What the session changed of what others execute or trust, as far as the caller can know. In other people's files
/// root looks at nothing: one of them could lead it anywhere, or keep it waiting.
fn changes(row: &SessionRow) -> Option<Vec<trusted::Change>> {
    (row.uid == Uid::current().as_raw()).then(|| trusted::so_far(&row.id)).flatten()
}

fn session_json(row: &SessionRow) -> serde_json::Value {
    json!({
        "id": row.id,
        "uid": row.uid,
        "user": login(row.uid),
        "identity": row.identity,
        "sandbox": row.sandbox,
        "started": row.started,
        "command": String::from_utf8_lossy(&row.command),
        "expires": row.credentials.expires,
        "refreshed": row.credentials.refreshed,
        "failed": row.credentials.failed.as_ref().map(|(when, _)| when),
        "error": row.credentials.failed.as_ref().map(|(_, why)| why),
        "model": row.model.as_ref().map(|(identity, fare)| json!({
            "identity": identity,
            "expires": fare.expires,
            "refreshed": fare.refreshed,
            "failed": fare.failed.as_ref().map(|(when, _)| when),
            "error": fare.failed.as_ref().map(|(_, why)| why),
        })),
        "changed_rows": trusted::json(changes(row).as_deref()),
    })
}

/// Ends a session, or those of somebody, or all.
pub(super) fn stop(options: &Stop) -> Result<Exit, Failure> {
    if let Some(id) = &options.id {
        end(id.clone())?;
        return Ok(Exit::Code(0));
    }
    let is_theirs = |row: &SessionRow| match &options.user {
        Some(user) => login(row.uid).as_ref() == Some(user) || row.uid.to_string() == *user,
        None => true,
    };
    if options.user.is_some() && !Uid::current().is_root() {
        let text = "sessions of others are root's to end".into();
        return Err(Failure::Option(text, "run it as root; --all ends yours"));
    }
    let theirs: Vec<SessionRow> = running()?.into_iter().filter(is_theirs).collect();
    if theirs.is_empty() {
        say::line("no such session runs");
    }
    let mut status = 0;
    for row in theirs {
        match end(row.id.clone()) {
            Ok(()) => say::out(&format!("ended {}\n", say::escaped(&row.id)))?,
            // It may have ended by itself meanwhile.
            Err(Failure::Refused(refusal)) if refusal.code == FailureCode::BadRequest => {}
            Err(failure) => {
                say::failure(&format!("{}: {failure}", row.id), None);
                status = 1;
            }
        }
    }
    Ok(Exit::Code(status))
}

fn end(id: String) -> Result<(), Failure> {
    question(Request::Stop(id), |message| match message {
        HelperToCli::Text(text) => say::out(&say::escaped_block(&text)),
        other => Err(unexpected(&other)),
    })
}
