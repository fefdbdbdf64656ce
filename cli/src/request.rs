//! A run, put together from the command line, the caller's environment and the working directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use agent_aws_policy::Access;
use agent_aws_protocol::{Bytes, EnvVar, ModelAsk, OwnSource, RunRequest, Showing, Shown};

use crate::args::Run;
use crate::failure::Failure;
use crate::prepare::Known;
use crate::preset::Chosen;
use crate::{environment, helper, identity, place, region};

/// A run: what the helper is asked, and what the agent shall find if it is granted.
#[derive(Debug)]
pub(crate) struct Asked {
    /// For the helper.
    pub(crate) request: RunRequest,
    /// Variables for the agent: the fixed list as the caller has them, and `--env`.
    pub(crate) environment: Vec<EnvVar>,
    /// The working directory, absolute, as the caller names it.
    pub(crate) directory: PathBuf,
    /// For when its home is made ready.
    pub(crate) known: Known,
    /// What is known of the agent.
    pub(crate) preset: Option<Chosen>,
}

/// Builds the request for `run`. Nothing here is a decision: the helper holds all of it against policy.
pub(crate) fn build(run: &Run) -> Result<Asked, Failure> {
    let lookup = |name: &OsStr| std::env::var_os(name);
    let options = &run.options;
    let identity::Chosen { ask: identity, saved } = identity::chosen(&options.choice, std::env::var_os("AWS_PROFILE"))?;
    let mut directory = place::working_directory(std::env::var_os("PWD"))?;
    let rw = absolutes(&directory, &run.rw)?;
    let ro = absolutes(&directory, &run.ro)?;
    let project = match &run.project {
        Some(given) => place::absolute(&directory, given)?,
        None => place::project(&directory, std::env::var_os("HOME").as_deref().map(Path::new)),
    };
    if run.project.is_some() {
        // `--project ~/src/x` from elsewhere means: work there.
        let seen: Vec<&PathBuf> = [&project].into_iter().chain(&rw).chain(&ro).collect();
        if !place::is_within(&directory, &seen) {
            directory.clone_from(&project);
        }
    }
    let model = identity::of_model(run, saved.as_ref())?;
    let model_region = run.model_region.clone().or_else(|| saved.as_ref()?.model_region.clone());
    let (model_region, own_model) = match &model {
        ModelAsk::Asked(ask) => (model_region.or_else(|| region::of_own(ask, &lookup)), helper::may_be_own(ask)),
        ModelAsk::OfSandbox | ModelAsk::Without => (model_region, false),
    };
    let own =
        if own_model || helper::may_be_own(&identity) { environment::for_own_source(&lookup) } else { Vec::new() };
    let region = options.region.clone().or_else(|| saved.as_ref()?.region.clone());
    let region = region.or_else(|| region::of_own(&identity, &lookup));
    let mut request = RunRequest {
        identity,
        sandbox: options.sandbox.clone(),
        network: run.network.clone(),
        allow_names: run.allow_name.clone(),
        publish: run.publish.clone(),
        access: run.access.as_deref().and_then(Access::from_word),
        deny_actions: run.deny_action.clone(),
        project: bytes(project),
        rw: rw.into_iter().map(bytes).collect(),
        ro: ro.into_iter().map(|path| Shown { path: bytes(path), why: Showing::Asked }).collect(),
        repository: Bytes::new(),
        lift: run.lift.clone(),
        home: run.home.clone(),
        region,
        model,
        model_region,
        own: OwnSource { environment: own },
        wait: !run.no_wait,
        explain: run.explain,
        allow_root: options.allow_root,
        serve: false,
    };
    if let Some(saved) = saved {
        saved.complete(&mut request);
    }
    let environment = environment::for_agent(&run.env, &lookup)?;
    Ok(Asked { request, environment, directory, known: Known::default(), preset: None })
}

fn bytes(path: PathBuf) -> Bytes {
    path.into_os_string().into_vec()
}

fn absolutes(directory: &Path, paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    paths.iter().map(|path| place::absolute(directory, path)).collect()
}
