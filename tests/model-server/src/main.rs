//! The model as a program, to try an agent by hand.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agent_aws_model_server::{ModelServer, Recorded, Script};
use clap::Parser;

/// A scripted language model on loopback
#[derive(Debug, Parser)]
struct Arguments {
    /// Turns: a JSON array of {"call": {"tool": NAME, "input": ...}} and {"say": TEXT}
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Port of 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Print each request's body too
    #[arg(long)]
    bodies: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "agent-aws-model-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let script = match &arguments.script {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => Script::default(),
    };
    let server = ModelServer::start_at(script, arguments.port)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", server.url())?;
    let mut seen = 0;
    loop {
        for request in server.requests().iter().skip(seen) {
            seen += 1;
            print(&mut stdout, request, arguments.bodies)?;
        }
        stdout.flush()?;
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn print(out: &mut impl io::Write, request: &Recorded, bodies: bool) -> io::Result<()> {
    writeln!(out, "{} {}", request.method, request.path)?;
    match bodies {
        true => writeln!(out, "{:#}", request.body),
        false => Ok(()),
    }
}
