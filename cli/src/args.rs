//! The command line. Paths, arguments and values are bytes; only names that policy spells are text.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::home::store;
use crate::{config, say};

/// Run a coding agent as exactly one AWS identity, in a sandbox that holds nothing else of yours.
#[derive(Debug, Parser)]
#[command(name = "agent-aws", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command as one AWS identity, in a sandbox
    Run(Box<Run>),
    /// Serve the credentials of one identity at a Unix socket, for a container or a virtual machine
    Serve(Box<Serve>),
    /// List the identities that you may use
    Identities(Listing),
    /// Say which AWS identity a session has
    Whoami(Whoami),
    /// Print the short-lived credentials of an identity
    Credentials(Credentials),
    /// Check, show or explain policy
    #[command(subcommand)]
    Policy(Policy),
    /// Look for what keeps agent-aws from working here
    Doctor(Doctor),
    /// List the sessions that run
    Sessions(Sessions),
    /// End sessions
    Stop(Stop),
    /// Show what was recorded of everybody's sessions, for root
    Audit(Audit),
    /// The homes of your agents
    #[command(subcommand)]
    Home(Home),
    /// Your own configuration
    #[command(subcommand)]
    Config(Config),
    /// Print what makes a shell complete names and options
    Completion {
        /// Which shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// What could stand for the last of these words, one a line: for the scripts of `completion`
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The command line so far
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// A shell that has a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// For ~/.bashrc: eval "$(agent-aws completion bash)"
    Bash,
    /// For ~/.zshrc, after compinit: eval "$(agent-aws completion zsh)"
    Zsh,
    /// For config.fish: agent-aws completion fish | source
    Fish,
}

/// Which identity to be.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Choice {
    /// Identity that policy defines
    #[arg(long = "as", value_name = "NAME", conflicts_with = "profile")]
    pub(crate) identity: Option<String>,
    /// AWS profile of your own configuration
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

/// Options of a session.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Sandbox, where policy offers several
    #[arg(long, value_name = "NAME")]
    pub(crate) sandbox: Option<String>,
    /// AWS region for the agent
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Go on although you are root (a sandbox of root's is weaker: its files are root's)
    #[arg(long)]
    pub(crate) allow_root: bool,
}

/// `run`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Network: never wider than the sandbox's
    #[arg(long, value_name = "MODE", value_parser = ["none", "filtered", "shared"])]
    pub(crate) network: Option<String>,
    /// Reach this name, network or preset only, of those that policy lets through (again for more)
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_name: Vec<String>,
    /// How much of the identity: never more than policy gives
    #[arg(long, value_name = "HOW", value_parser = ["full", "read", "read-metadata"])]
    pub(crate) access: Option<String>,
    /// Do without this action, such as s3:Delete* (again for more)
    #[arg(long, value_name = "SERVICE:ACTION", value_parser = action)]
    pub(crate) deny_action: Vec<String>,
    /// Offer this port of the agent's loopback on yours; other users of this machine can connect to it
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..))]
    pub(crate) publish: Vec<u16>,
    /// Identity with which the agent asks its model, as --as names one (own:NAME is an AWS profile); it may do nothing else
    #[arg(long, value_name = "NAME", conflicts_with = "no_model_identity")]
    pub(crate) model_identity: Option<String>,
    /// Where that model is [default: the region of that identity]
    #[arg(long, value_name = "REGION")]
    pub(crate) model_region: Option<String>,
    /// Go without the identity for a model that policy or your configuration gives
    #[arg(long)]
    pub(crate) no_model_identity: bool,
    /// Writable project directory [default: git top level, else the working directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// One more writable path
    #[arg(long, value_name = "PATH")]
    pub(crate) rw: Vec<PathBuf>,
    /// One more readable path
    #[arg(long, value_name = "PATH")]
    pub(crate) ro: Vec<PathBuf>,
    /// Row of the project that shall be writable although other programs trust it, such as .git/config
    #[arg(long, value_name = "ROW")]
    pub(crate) lift: Vec<String>,
    /// Which home of the agent: agents that run side by side may have one each [default: default]
    #[arg(long, value_name = "NAME", value_parser = store::valid_name)]
    pub(crate) home: Option<String>,
    /// Start with an empty home; what is in it now is deleted
    #[arg(long)]
    pub(crate) fresh_home: bool,
    /// Variable for the agent: your value of it, or the one given
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<OsString>,
    /// What is known of an agent, or `none` [default: by the command's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// Start before the first credentials are there
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Print the plan and do nothing
    #[arg(long)]
    pub(crate) explain: bool,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// `serve`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) options: Options,
    /// How much of the identity: never more than policy gives
    #[arg(long, value_name = "HOW", value_parser = ["full", "read", "read-metadata"])]
    pub(crate) access: Option<String>,
    /// Do without this action, such as s3:Delete* (again for more)
    #[arg(long, value_name = "SERVICE:ACTION", value_parser = action)]
    pub(crate) deny_action: Vec<String>,
    /// Where the socket is to be; it is there as long as there are credentials behind it
    #[arg(long, value_name = "PATH", required_unless_present = "directory", conflicts_with = "directory")]
    pub(crate) socket: Option<PathBuf>,
    /// Serve from this directory: socket, client and configuration, for a container to mount as /run/agent-aws
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Serve as long as this command runs [default: until a signal]. It is not in a sandbox
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// `identities`.
#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// For scripts
    #[arg(long)]
    pub(crate) json: bool,
    /// Answer although you are root
    #[arg(long)]
    pub(crate) allow_root: bool,
}

/// `whoami`.
#[derive(Debug, Args)]
pub(crate) struct Whoami {
    #[command(flatten)]
    pub(crate) options: Options,
    /// For scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// How to print credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// What `credential_process` expects
    Process,
    /// `export` lines for a shell
    Env,
    /// JSON
    Json,
}

/// `credentials`.
#[derive(Debug, Args)]
pub(crate) struct Credentials {
    #[command(flatten)]
    pub(crate) options: Options,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Process)]
    pub(crate) format: Format,
}

/// `policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check policy files without installing them
    Check {
        /// For scripts
        #[arg(long)]
        json: bool,
        /// Files, in the order in which they apply
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Show the policy: all of it to root, to others what applies to them
    Show,
    /// Print what AWS must be told for an identity: trust, permission, and the session policy
    Iam {
        /// The identity
        #[arg(long = "as", value_name = "NAME")]
        name: String,
        /// Policy files [default: what is installed, as root]
        files: Vec<PathBuf>,
    },
    /// Print the IAM policy that ends the credentials a user has been issued
    Revoke {
        /// Their login name
        #[arg(long, value_name = "USER")]
        user: String,
    },
    /// Say why you may use an identity, or not
    Explain {
        #[command(flatten)]
        choice: Choice,
        /// Sandbox
        #[arg(long, value_name = "NAME")]
        sandbox: Option<String>,
        /// Of this user, as the user database has them, and not of you
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// Policy files for --user [default: what is installed, as root]
        #[arg(requires = "user")]
        files: Vec<PathBuf>,
    },
    /// Say who gains and who loses what, and what else is different; ends with 1 if anything is
    Diff {
        /// For scripts
        #[arg(long)]
        json: bool,
        /// A policy file, or a directory as /etc/agent-aws is one
        old: PathBuf,
        /// The same
        new: PathBuf,
    },
    /// Check a file, say what it changes, and put it in place at once; what was there is kept beside it
    Install {
        /// Say what would change, and do nothing
        #[arg(long)]
        dry_run: bool,
        /// Name in policy.d [default: it becomes policy.toml]
        #[arg(long, value_name = "NAME")]
        part: Option<String>,
        /// The file
        file: PathBuf,
    },
}

/// `stop`.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Session id, as `sessions` lists it
    #[arg(required_unless_present_any = ["user", "all"])]
    pub(crate) id: Option<String>,
    /// All of this user's, for root
    #[arg(long, value_name = "USER", conflicts_with_all = ["id", "all"])]
    pub(crate) user: Option<String>,
    /// All that `sessions` lists: yours, or everybody's for root
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
}

/// `audit`.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// For scripts
    #[arg(long)]
    pub(crate) json: bool,
    /// Since then: 24h, 7d, 2026-11-20 or 2026-11-20T14:05:00Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Of this user: login name or uid
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Of this session
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Of this kind, such as deny
    #[arg(long, value_name = "EVENT")]
    pub(crate) event: Option<String>,
    /// Read this file instead of the trail, such as an older one (again for more)
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
}

/// `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// For scripts
    #[arg(long)]
    pub(crate) json: bool,
    /// Make a session of each identity that you may use, and end it: whether source, role and STS are right
    #[arg(long)]
    pub(crate) deep: bool,
    /// Look although you are root, with --deep
    #[arg(long, requires = "deep")]
    pub(crate) allow_root: bool,
}

/// `sessions`.
#[derive(Debug, Args)]
pub(crate) struct Sessions {
    /// For scripts
    #[arg(long)]
    pub(crate) json: bool,
    /// Go on, and show them again whenever something changed
    #[arg(long, conflicts_with = "log")]
    pub(crate) watch: bool,
    /// Show instead which names your sessions were refused, also those that ended
    #[arg(long)]
    pub(crate) log: bool,
    /// Of this session only
    #[arg(requires = "log", value_name = "ID")]
    pub(crate) id: Option<String>,
}

/// A home among those of the caller's agents.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Which {
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// Sandbox
    #[arg(long, value_name = "NAME")]
    pub(crate) sandbox: Option<String>,
    /// Name of the home
    #[arg(long, value_name = "NAME", value_parser = store::valid_name)]
    pub(crate) home: Option<String>,
}

/// `home shell`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HomeShell {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Name of the home
    #[arg(long, value_name = "NAME", value_parser = store::valid_name)]
    pub(crate) home: Option<String>,
}

/// `home`.
#[derive(Debug, Subcommand)]
pub(crate) enum Home {
    /// List them
    List {
        /// For scripts
        #[arg(long)]
        json: bool,
    },
    /// Print where the home of a run with these options is
    Path(Which),
    /// Start a shell where the agent of a home would run
    Shell(HomeShell),
    /// Delete one; the next run gets a new one
    Reset {
        #[command(flatten)]
        which: Which,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// An identity of the caller's own: another one that is less.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its name, for --as
    #[arg(value_parser = own_name)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) choice: Choice,
    /// How much of it
    #[arg(long, value_name = "HOW", value_parser = ["full", "read", "read-metadata"])]
    pub(crate) access: Option<String>,
    /// Do without this action, such as s3:Delete* (again for more)
    #[arg(long, value_name = "SERVICE:ACTION", value_parser = action)]
    pub(crate) deny_action: Vec<String>,
    /// AWS region for the agent
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// Sandbox, where policy offers several
    #[arg(long, value_name = "NAME")]
    pub(crate) sandbox: Option<String>,
    /// Network: never wider than the sandbox's
    #[arg(long, value_name = "MODE", value_parser = ["none", "filtered", "shared"])]
    pub(crate) network: Option<String>,
    /// Reach this name, network or preset only (again for more)
    #[arg(long, value_name = "NAME")]
    pub(crate) allow_name: Vec<String>,
    /// Identity with which the agent asks its model (own:NAME is an AWS profile)
    #[arg(long, value_name = "NAME")]
    pub(crate) model_identity: Option<String>,
    /// Where that model is
    #[arg(long, value_name = "REGION")]
    pub(crate) model_region: Option<String>,
}

/// Whose configuration can be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    /// The configs of elhaz, in ~/.elhaz/configs
    Elhaz,
    /// The profiles of agent-aws 1 (bwrap, sandbox-exec), in ~/.agent-aws/config.json
    AgentAws,
    /// The profiles of the AWS configuration, also aws-vault's
    Aws,
}

/// `config import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Whose configuration
    #[arg(value_enum)]
    pub(crate) tool: Tool,
    /// Read this [default: where the tool keeps it]
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Replace identities of yours that have the same name
    #[arg(long)]
    pub(crate) replace: bool,
    /// Say what would be saved, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Save an identity of your own: one that you may use, less what you do without
    Add(Box<Add>),
    /// Save what another tool has configured, as identities of your own; no keys are read or copied
    Import(Import),
    /// List the identities that you saved
    List {
        /// For scripts
        #[arg(long)]
        json: bool,
    },
    /// Show your configuration, or one identity of it
    Show {
        /// Which
        name: Option<String>,
    },
    /// Open your configuration in $VISUAL or $EDITOR; it is taken when it is right
    Edit,
    /// Delete an identity that you saved
    Remove {
        /// Which
        name: String,
    },
    /// Set the identity that is used when none is given; `own:NAME` is an AWS profile of yours
    Default {
        /// Its name
        name: String,
    },
}

/// A name for an identity of the caller's own.
fn own_name(text: &str) -> Result<String, String> {
    match config::is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("letters, digits, `.`, `_` and `-`, beginning with a letter or a digit".to_owned()),
    }
}

/// An action as IAM names it.
fn action(text: &str) -> Result<String, String> {
    if !agent_aws_session_policy::is_action(text) {
        return Err("an action is a service and a name, such as s3:DeleteObject or sqs:Purge*".to_owned());
    }
    agent_aws_policy_text::unknown_service(text).map_or_else(|| Ok(text.to_owned()), Err)
}

/// Exit status of a usage error: `run` must not be taken for the agent's own status.
fn usage_status(words: &[OsString]) -> u8 {
    let has_a_command = |word: &OsString| word == "run" || word == "serve";
    if words.get(1).is_some_and(has_a_command) { 125 } else { 2 }
}

/// An option that we do not know, taken for the command because nothing said where our options end.
fn unknown_option<'a>(cli: &'a Cli, words: &[OsString]) -> Option<&'a OsStr> {
    let command = match &cli.command {
        Command::Run(run) => &run.command,
        Command::Serve(serve) => &serve.command,
        _ => return None,
    };
    let first = command.first().filter(|word| word.as_encoded_bytes().starts_with(b"-"))?;
    let before = words.len().checked_sub(command.len() + 1)?;
    (words.get(before)? != "--").then_some(first)
}

/// Parses; what clap has to say instead is printed here and becomes an exit status.
pub(crate) fn parse(words: &[OsString]) -> Result<Cli, u8> {
    let cli = Cli::try_parse_from(words).map_err(|e| {
        let text = e.render().to_string();
        if e.use_stderr() {
            say::error_block(&text);
            usage_status(words)
        } else {
            u8::from(say::out(&text).is_err())
        }
    })?;
    match unknown_option(&cli, words) {
        None => Ok(cli),
        Some(option) => {
            let ours = words.get(1).map(|word| word.display().to_string()).unwrap_or_default();
            let text = format!("{ours} has no option {}", option.display());
            let advice = format!("agent-aws {ours} --help lists them; -- goes before a command that begins so");
            say::failure(&text, Some(&advice));
            Err(usage_status(words))
        }
    }
}

#[cfg(test)]
mod documented;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    fn parsed(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(words)
    }

    fn run(words: &[&str]) -> Run {
        match parsed(words).unwrap().command {
            Command::Run(run) => *run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_of_the_whole_program_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn options_after_the_command_are_the_commands() {
        let run = run(&["agent-aws", "run", "--as", "incident", "aws", "--profile", "x", "--", "y"]);
        assert_eq!(run.options.choice.identity.as_deref(), Some("incident"));
        assert_eq!(run.command, ["aws", "--profile", "x", "--", "y"]);
        assert_eq!(run.options.choice.profile, None);
    }

    #[test]
    fn two_dashes_end_our_options() {
        let run = run(&["agent-aws", "run", "--rw", "/a", "--rw", "/b", "--", "--odd", "-x"]);
        assert_eq!(run.command, ["--odd", "-x"]);
        assert_eq!(run.rw.len(), 2);
    }

    #[test]
    fn arguments_and_paths_are_bytes() {
        let odd = OsString::from_vec(b"\xff\xfe".to_vec());
        let words = ["agent-aws".into(), "run".into(), "--ro".into(), odd.clone(), "--".into(), odd.clone()];
        let Command::Run(run) = Cli::try_parse_from(words).unwrap().command else { panic!("not run") };
        assert_eq!(run.command.as_slice(), std::slice::from_ref(&odd));
        assert_eq!(run.ro, [PathBuf::from(odd)]);
    }

    #[test]
    fn as_and_profile_exclude_each_other_and_a_command_is_needed() {
        assert!(parsed(&["agent-aws", "run", "--as", "a", "--profile", "b", "--", "x"]).is_err());
        assert!(parsed(&["agent-aws", "run", "--as", "a"]).is_err());
        assert!(parsed(&["agent-aws", "run", "--network", "open", "--", "x"]).is_err());
    }

    #[test]
    fn a_usage_error_of_run_is_125_and_of_others_2() {
        assert_eq!(usage_status(&["agent-aws".into(), "run".into()]), 125);
        assert_eq!(usage_status(&["agent-aws".into(), "sessions".into()]), 2);
        assert_eq!(usage_status(&["agent-aws".into()]), 2);
    }
}
