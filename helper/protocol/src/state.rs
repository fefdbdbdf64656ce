//! Which message may come when. Anything else ends the conversation.

use crate::cli::CliToHelper;
use crate::init::InitToHelper;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is decided yet.
    Asked,
    /// The sandbox and the broker are being set up.
    Starting,
    /// The agent waits for the terminal.
    Ready,
    /// The agent runs.
    Running,
}

/// Whether the CLI may say this now.
///
/// | message | Asked | Starting | Ready | Running |
/// |---|---|---|---|---|
/// | Request | yes | | | |
/// | Prepared, Opened, Door | yes | | | |
/// | Signal | | yes | yes | yes |
/// | Begin | | | yes | |
pub fn cli_may(state: State, message: &CliToHelper) -> bool {
    match message {
        CliToHelper::Request(_) | CliToHelper::Prepared(_) | CliToHelper::Opened(_) | CliToHelper::Door => {
            state == State::Asked
        }
        CliToHelper::Begin => state == State::Ready,
        CliToHelper::Signal(_) => state != State::Asked,
    }
}

/// Whether init may say this now.
///
/// | message | Asked | Starting | Ready | Running |
/// |---|---|---|---|---|
/// | Hello | | yes | | |
/// | CannotExecute | | yes | | yes |
/// | Stopped, Ended | | | yes | yes |
pub fn init_may(state: State, message: &InitToHelper) -> bool {
    match message {
        InitToHelper::Hello => state == State::Starting,
        InitToHelper::CannotExecute { .. } => matches!(state, State::Starting | State::Running),
        InitToHelper::Stopped(_) | InitToHelper::Ended(_) => matches!(state, State::Ready | State::Running),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_request_and_an_early_begin_are_not_allowed() {
        let request = CliToHelper::Request(crate::Request::Sessions);
        assert!(cli_may(State::Asked, &request));
        assert!(!cli_may(State::Running, &request));
        assert!(!cli_may(State::Starting, &CliToHelper::Begin));
        assert!(!cli_may(State::Asked, &CliToHelper::Signal(2)));
    }

    #[test]
    fn an_agent_says_hello_only_once() {
        assert!(init_may(State::Starting, &InitToHelper::Hello));
        assert!(!init_may(State::Running, &InitToHelper::Hello));
    }
}
