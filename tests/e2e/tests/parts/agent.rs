//! A real coding agent, installed as a developer has it, and a model that tells it what to do.

use std::fs;
use std::path::{Path, PathBuf};

use agent_aws_e2e::inside::root;
use agent_aws_harness::{Call, Mode, Scene, Setup};
use agent_aws_model_server::{ModelServer, Script, Turn};
use serde_json::json;

/// Where npm puts what is installed for all projects, by the usual advice: `npm config set prefix ~/.npm-global`.
const PREFIX: &str = ".npm-global";
/// The key that the model knows the caller by.
pub(crate) const KEY: &str = "sk-test-0123456789-abcdefghijklmnopq";
/// In the caller's own instructions for the agent.
pub(crate) const INSTRUCTION: &str = "answer-in-rhymes-if-you-can";
/// In the project: made by a hook in the caller's own settings.
const HOOKED: &str = "hooked";
/// In the caller's own `~/.bashrc`.
const OWN_LINE: &str = "# of the caller's own\n";

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    Claude,
    Codex,
}

/// What it is told to do, in this order; each gives one result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Asks AWS who it is, with the AWS CLI in its own shell.
    Identify,
    /// Says the regions of its shell.
    Region,
    /// Gets the session's credentials, with the AWS CLI in its own shell.
    Fetch,
    /// Reads a file of the project's with its own tool for that, as it must before it edits.
    Look,
    /// Edits that file with its own tool for that.
    Edit,
    /// Reads the caller's keys.
    Steal,
    /// Appends to the caller's shell profile, and shows it.
    Plant,
}

pub(crate) const DEEDS: [Deed; 5] = [Deed::Identify, Deed::Look, Deed::Edit, Deed::Steal, Deed::Plant];

/// A scene with agents, a project to work in, and a home worth stealing from.
pub(crate) struct Bed {
    pub(crate) scene: Scene,
    pub(crate) agent: Agent,
    pub(crate) model: ModelServer,
    deeds: &'static [Deed],
    pub(crate) file: PathBuf,
    home: PathBuf,
}

/// Whether npm could install them.
pub(crate) fn installed(deps: &Path) -> bool {
    ["claude", "codex"].iter().all(|name| deps.join("agents/bin").join(name).exists())
}

impl Bed {
    pub(crate) fn new(mode: Mode, agent: Agent) -> Self {
        Self::with(mode, agent, &Setup::default(), &DEEDS)
    }

    /// One with another policy and other deeds.
    pub(crate) fn with(mode: Mode, agent: Agent, setup: &Setup, deeds: &'static [Deed]) -> Self {
        let scene = Scene::with(mode, setup);
        let (machine, alice) = (&scene.machine, scene.machine.user("alice"));
        let prefix = alice.home.join(PREFIX);
        machine.directory(&alice, &prefix);
        let deps = machine.deps().expect("agents are there, or the test is skipped").join("agents");
        root(&["mount", "--bind", &deps.display().to_string(), &prefix.display().to_string()]);
        machine.file(&alice, &alice.home.join(".bashrc"), 0o644, OWN_LINE);
        let hooked = machine.project(&alice).join(HOOKED);
        for (below, text) in agent.settings(&hooked) {
            machine.file(&alice, &alice.home.join(below), 0o644, text);
        }
        // Codex works in git repositories only, unless it is told otherwise.
        machine.call("alice", "/usr/bin/git").args(&["init", "--quiet"]).run().ends(0);
        let file = machine.project(&alice).join("notes.txt");
        machine.file(&alice, &file, 0o644, "written by a person\n");
        let script = Script(deeds.iter().map(|deed| agent.turn(*deed, &scene, &file)).collect());
        let model = ModelServer::start(script).expect("the model");
        Self { home: alice.home, scene, agent, model, deeds, file }
    }

    /// The agent in the sandbox, with nothing said that a preset could say.
    pub(crate) fn inside(&self, options: &[&str], arguments: &[String]) -> Call {
        self.equipped(self.scene.run(options, &[self.agent.name()]).args(arguments))
    }

    /// The agent without us, told by options what a preset says in files.
    pub(crate) fn outside(&self, arguments: &[String]) -> Call {
        let program = self.home.join(PREFIX).join("bin").join(self.agent.name());
        let call = self.scene.machine.call("alice", program);
        let call = call.env("AWS_PROFILE", "base").env("AWS_REGION", "eu-west-1");
        self.equipped(call.args(self.agent.unbound()).args(arguments))
    }

    /// A developer's environment.
    fn equipped(&self, call: Call) -> Call {
        let bin = self.home.join(PREFIX).join("bin");
        let variables = self.agent.variables(&self.model.url());
        let call = call.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
        variables.into_iter().fold(call, |call, (name, value)| call.env(name, value))
    }

    /// What a deed gave back to the model.
    #[track_caller]
    pub(crate) fn result(&self, deed: Deed) -> String {
        let results = self.model.results();
        let at = self.deeds.iter().position(|known| *known == deed).expect("one of them");
        let result = results.get(at).unwrap_or_else(|| panic!("no result of {deed:?}: {results:#?}"));
        result.text.clone()
    }

    /// Whether the model was told of the caller's instructions.
    pub(crate) fn told_instructions(&self) -> bool {
        self.model.requests().iter().any(|request| request.body.to_string().contains(INSTRUCTION))
    }

    /// Whether a hook of the caller's settings ran.
    pub(crate) fn hooked(&self) -> bool {
        self.file.with_file_name(HOOKED).exists()
    }

    /// The shell profile of the caller on the host.
    pub(crate) fn profile(&self) -> String {
        fs::read_to_string(self.home.join(".bashrc")).expect("the profile")
    }

    /// It could do its work, as the session's identity, and nothing else.
    #[track_caller]
    pub(crate) fn assert_worked_and_no_more(&self, said: &str) {
        let arn = self.result(Deed::Identify);
        assert!(arn.contains(&self.scene.assumed()), "{arn}\n{said}");
        assert_eq!(fs::read_to_string(&self.file).expect("the file"), "edited by an agent\n", "{said}");
        let stolen = self.result(Deed::Steal);
        assert!(!stolen.contains("alice-secret"), "{stolen}");
        assert!(stolen.contains("No such file") || stolen.contains("does not exist"), "{stolen}");
        let planted = self.result(Deed::Plant);
        assert!(planted.contains("planted by an agent") && !planted.contains(OWN_LINE.trim()), "{planted}");
        assert_eq!(self.profile(), OWN_LINE, "the caller's own profile");
    }

    /// It did everything that it was told.
    #[track_caller]
    pub(crate) fn assert_did_everything(&self, said: &str) {
        let arn = self.result(Deed::Identify);
        assert!(arn.contains(":user/alice"), "{arn}\n{said}");
        assert_eq!(fs::read_to_string(&self.file).expect("the file"), "edited by an agent\n", "{said}");
        assert!(self.result(Deed::Steal).contains("alice-secret"), "{}", self.result(Deed::Steal));
        assert!(self.profile().contains("planted by an agent"), "{}", self.profile());
    }
}

impl Agent {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
        }
    }

    /// Arguments for one task without a person.
    pub(crate) fn unattended(self, model: &str) -> Vec<String> {
        match self {
            Self::Claude => vec!["-p".into(), "do it".into()],
            Self::Codex => [vec!["exec".into()], self.provider(model), vec!["do it".into()]].concat(),
        }
    }

    /// Arguments that say where the model is, if variables cannot.
    pub(crate) fn provider(self, model: &str) -> Vec<String> {
        let settings = match self {
            Self::Claude => vec![],
            Self::Codex => vec![
                "model_provider=\"scripted\"".to_owned(),
                format!(
                    "model_providers.scripted={{name=\"scripted\",base_url=\"{model}/v1\",env_key=\"CODEX_API_KEY\",wire_api=\"responses\"}}"
                ),
                "features.plugins=false".to_owned(),
                "analytics.enabled=false".to_owned(),
            ],
        };
        settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]).collect()
    }

    /// Options by which it asks nothing and has no sandbox of its own.
    fn unbound(self) -> &'static [&'static str] {
        match self {
            Self::Claude => &["--permission-mode", "bypassPermissions"],
            Self::Codex => &["--dangerously-bypass-approvals-and-sandbox"],
        }
    }

    /// What a developer has in the environment: presets pass it.
    pub(crate) fn variables(self, model: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::Claude => vec![
                ("ANTHROPIC_API_KEY", KEY.into()),
                ("ANTHROPIC_BASE_URL", model.into()),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
            ],
            Self::Codex => vec![("CODEX_API_KEY", KEY.into())],
        }
    }

    /// What a developer has in the home: instructions, which an agent should have inside too, and a hook, which it should
    /// not.
    fn settings(self, hooked: &Path) -> Vec<(&'static str, String)> {
        let command = format!("touch {}", hooked.display());
        match self {
            Self::Claude => {
                let hook = json!([{ "hooks": [{ "type": "command", "command": command }] }]);
                let settings = json!({ "hooks": { "SessionStart": hook, "UserPromptSubmit": hook } });
                vec![(".claude/CLAUDE.md", INSTRUCTION.into()), (".claude/settings.json", settings.to_string())]
            }
            Self::Codex => {
                let settings = format!("notify = [\"/bin/sh\", \"-c\", {}]\n", json!(command));
                vec![(".codex/AGENTS.md", INSTRUCTION.into()), (".codex/config.toml", settings)]
            }
        }
    }

    fn shell(self, line: &str) -> Turn {
        match self {
            Self::Claude => Turn::call("Bash", json!({ "command": line, "description": "as told" })),
            Self::Codex => {
                Turn::call("exec", json!(format!("text(await tools.exec_command({{cmd: {}}}))", json!(line))))
            }
        }
    }

    fn turn(self, deed: Deed, scene: &Scene, file: &Path) -> Turn {
        let home = scene.machine.user("alice").home;
        let keys = home.join(".aws/credentials");
        match (deed, self) {
            (Deed::Identify, _) => {
                let url = scene.sts.url();
                self.shell(&format!("aws sts get-caller-identity --query Arn --output text --endpoint-url {url}"))
            }
            (Deed::Region, _) => self.shell("echo region $AWS_REGION, $AWS_DEFAULT_REGION"),
            (Deed::Fetch, _) => self.shell("aws configure export-credentials --format process"),
            (Deed::Look, Self::Claude) => Turn::call("Read", json!({ "file_path": file })),
            (Deed::Edit, Self::Claude) => Turn::call(
                "Edit",
                json!({ "file_path": file, "old_string": "written by a person", "new_string": "edited by an agent" }),
            ),
            (Deed::Edit, Self::Codex) => {
                let patch = format!(
                    "*** Begin Patch\n*** Update File: {}\n@@\n-written by a person\n+edited by an agent\n*** End Patch",
                    file.display()
                );
                Turn::call("exec", json!(format!("text(await tools.apply_patch({}))", json!(patch))))
            }
            (Deed::Steal, Self::Claude) => Turn::call("Read", json!({ "file_path": keys })),
            (Deed::Look, Self::Codex) => self.shell(&format!("cat {}", file.display())),
            (Deed::Steal, Self::Codex) => self.shell(&format!("cat {}", keys.display())),
            (Deed::Plant, _) => self.shell("echo '# planted by an agent' >> ~/.bashrc; cat ~/.bashrc"),
        }
    }
}
