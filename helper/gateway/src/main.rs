//! agent-aws-gateway: carries the traffic of one sandbox, as far as its rules allow.
//!
//! Started by the supervisor, never as root, with one descriptor: 3, the channel that says what may be reached, and whose
//! end is the gateway's end. It holds no credentials, and nothing that the agent sends is read anywhere else.

use std::process::ExitCode;

use agent_aws_gateway as gateway;
use agent_aws_protocol::Channel;
use agent_aws_protocol::gateway::GatewayToHelper;

fn main() -> ExitCode {
    let channel = match gateway::isolate() {
        Ok(channel) => channel,
        Err(text) => {
            gateway::complain(&text);
            return ExitCode::FAILURE;
        }
    };
    // A second end to say it on: the session owns the first.
    let last_words = channel.try_clone().map(|channel| Channel::new(channel, gateway::PATIENCE));
    match gateway::session(Channel::new(channel, gateway::PATIENCE)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            if let Ok(channel) = last_words {
                let _ = channel.send(&GatewayToHelper::Failed { cause });
            }
            ExitCode::FAILURE
        }
    }
}
