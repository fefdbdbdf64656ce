//! `/_emulator/...`: what tests read and set. No signature, loopback only, no secret in any answer.

use serde::Serialize;

use crate::answer::Answer;
use crate::faults::Faults;
use crate::state::State;

pub(crate) const PREFIX: &str = "/_emulator/";

/// Answers a control request.
pub(crate) fn handle(state: &State, method: &str, path: &str, body: &[u8]) -> Answer {
    match (method, path.strip_prefix(PREFIX).unwrap_or_default()) {
        ("GET", "requests") => list(&state.requests()),
        ("DELETE", "requests") => {
            state.clear_requests();
            done()
        }
        ("GET", "issued") => list(&state.issued()),
        ("GET", "faults") => list(&state.faults()),
        ("POST", "faults") => set_faults(state, body),
        ("DELETE", "faults") => {
            state.set_faults(Faults::default());
            done()
        }
        _ => refuse(404, "there are GET and DELETE requests, GET issued, GET, POST and DELETE faults"),
    }
}

fn set_faults(state: &State, body: &[u8]) -> Answer {
    let faults: Result<Faults, _> = serde_json::from_slice(body);
    match faults {
        Err(error) => refuse(400, &error.to_string()),
        Ok(faults) => match faults.check() {
            Err(reason) => refuse(400, reason),
            Ok(()) => {
                state.set_faults(faults);
                done()
            }
        },
    }
}

fn done() -> Answer {
    Answer::json(200, &serde_json::json!({"ok": true}))
}

fn refuse(status: u16, reason: &str) -> Answer {
    Answer::json(status, &serde_json::json!({"error": reason}))
}

fn list(value: &impl Serialize) -> Answer {
    match serde_json::to_value(value) {
        Ok(value) => Answer::json(200, &value),
        Err(error) => refuse(500, &error.to_string()),
    }
}
