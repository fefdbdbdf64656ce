//! The emulator as a program.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use agent_aws_sts_emulator::{Config, Emulator};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

/// An AWS STS over plain HTTP on loopback, for tests and the demo
#[derive(Debug, Parser)]
struct Arguments {
    /// Users, roles and clock settings, as JSON
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A loopback address; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to write the URL once it is served
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "agent-aws-sts-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(&arguments.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before anybody can know we are there, so that no SIGTERM finds its default action.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let emulator = Emulator::start(config, arguments.listen)?;
        let url = emulator.url();
        let mut stdout = io::stdout();
        writeln!(stdout, "listening on {url}")?;
        stdout.flush()?;
        if let Some(path) = &arguments.ready_file {
            write_atomically(path, &url).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

/// A reader of `path` sees nothing or the whole line.
fn write_atomically(path: &Path, line: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    std::fs::write(&temporary, format!("{line}\n"))?;
    std::fs::rename(&temporary, path)
}
