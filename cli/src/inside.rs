//! What the agent finds about itself: its environment, built from a list and never filtered from the caller's, its AWS
//! configuration, its working directory. None of it holds a secret, and none of it binds the caller.

mod aws_config;

use std::net::Ipv4Addr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use agent_aws_pipes::{GATEWAY_ADDRESS, PROXY_PORT};
use agent_aws_plan::{Access, Grant, Intent, OURS, Origin, Plan, What};
use agent_aws_policy::{Home, Network};
use agent_aws_protocol::{Bytes, EnvVar};
use serde_json::json;

use crate::resolver;

type Variable = (Vec<u8>, Vec<u8>);

/// PATH of an agent whose caller sent none.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// The whole environment. Ours comes last and wins over anything of the caller's.
pub(crate) fn environment(plan: &Plan, given: &[EnvVar], door: i32) -> Vec<EnvVar> {
    let (caller, grant) = (&plan.caller, &plan.grant);
    let mut all: Vec<Variable> = vec![(b"PATH".to_vec(), DEFAULT_PATH.to_vec())];
    for EnvVar { name, value } in given {
        let value = if name == b"PATH" { absolute_entries(value) } else { value.clone() };
        set(&mut all, name, &value);
    }
    let runtime = format!("/run/user/{}", caller.uid);
    set(&mut all, b"HOME", caller.home.as_os_str().as_bytes());
    set(&mut all, b"USER", caller.login.as_bytes());
    set(&mut all, b"LOGNAME", caller.login.as_bytes());
    set(&mut all, b"SHELL", caller.shell.as_os_str().as_bytes());
    set(&mut all, b"XDG_RUNTIME_DIR", runtime.as_bytes());
    set(&mut all, b"AGENT_AWS_SESSION", grant.session.as_bytes());
    set(&mut all, b"AGENT_AWS_IDENTITY", grant.identity.as_bytes());
    set(&mut all, b"AGENT_AWS_FD", door.to_string().as_bytes());
    set(&mut all, b"AWS_CONFIG_FILE", format!("{OURS}/config").as_bytes());
    set(&mut all, b"AWS_SHARED_CREDENTIALS_FILE", b"/dev/null");
    set(&mut all, b"AWS_SDK_LOAD_CONFIG", b"1");
    set(&mut all, b"AWS_EC2_METADATA_DISABLED", b"true");
    if let Some(region) = &grant.region {
        // Both names: the AWS CLI v1 and botocore read only the second.
        set(&mut all, b"AWS_REGION", region.as_bytes());
        set(&mut all, b"AWS_DEFAULT_REGION", region.as_bytes());
    }
    if grant.network != Network::Shared {
        set(&mut all, b"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", b"/credentials");
        // SDKs that obey proxy variables would send the fetch of credentials itself to the proxy. Programs read one
        // spelling or the other: what the caller gave in one of them must not be hidden by ours in the other.
        let given = |name: &[u8]| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let (upper, lower) = (given(b"NO_PROXY"), given(b"no_proxy"));
        let local: &[u8] = match grant.network {
            Network::Filtered => b"127.0.0.1,localhost,::1,169.254.170.2",
            _ => b"169.254.170.2",
        };
        for (name, own, other) in [(b"NO_PROXY", &upper, &lower), (b"no_proxy", &lower, &upper)] {
            let given = own.as_ref().or(other.as_ref()).cloned().unwrap_or_default();
            let comma: &[u8] = if given.is_empty() { b"" } else { b"," };
            set(&mut all, name, &[given.as_slice(), comma, local].concat());
        }
    }
    if grant.network == Network::Filtered {
        // Every program reaches the gateway without them; those that obey them are told more when it refuses. ALL_PROXY
        // is not set: some clients fail at the mere sight of it. Any that the caller has are the gateway's business.
        let proxy = format!("http://{}:{PROXY_PORT}", Ipv4Addr::from(GATEWAY_ADDRESS));
        all.retain(|(name, _)| !name.eq_ignore_ascii_case(b"ALL_PROXY"));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            set(&mut all, name.as_bytes(), proxy.as_bytes());
        }
        set(&mut all, b"NODE_USE_ENV_PROXY", b"1");
    }
    all.into_iter().map(|(name, value)| EnvVar { name, value }).collect()
}

/// Files that the agent finds in the sandbox's own /run: where they stand, and their content.
pub(crate) fn files(plan: &Plan) -> Vec<(Bytes, Bytes)> {
    let ours = |name: &str| format!("{OURS}/{name}").into_bytes();
    let grant = &plan.grant;
    let mut files =
        vec![(ours("config"), configuration(grant).into_bytes()), (ours("session.json"), facts(plan).into_bytes())];
    if grant.model.is_some() {
        // For agents that have the model's region in their own environment, and would hand it on.
        let region =
            grant.region.as_ref().map_or("unset AWS_REGION\n".into(), |it| format!("export AWS_REGION={it}\n"));
        files.push((ours("task-region.sh"), region.into_bytes()));
    }
    let names = resolver::files(grant.network).into_iter();
    files.extend(names.map(|(path, content)| (path.into_os_string().into_vec(), content)));
    files
}

/// The AWS configuration, in which every name leads to the one identity, and one to the model's.
pub(crate) fn configuration(grant: &Grant) -> String {
    let model = grant.model.as_ref().map(|model| model.region.as_deref());
    aws_config::text(&grant.identity, &grant.aliases, grant.region.as_deref(), model)
}

/// What `agent-aws whoami` reads inside.
fn facts(plan: &Plan) -> String {
    let grant = &plan.grant;
    let facts = json!({
        "session": grant.session,
        "identity": grant.identity,
        "sandbox": grant.sandbox,
        "access": grant.narrowing.access.as_str(),
        "network": grant.network.as_str(),
        "region": grant.region.as_deref().unwrap_or_default(),
        "model": grant.model.as_ref().map(|model| &model.identity),
    });
    format!("{facts}\n")
}

/// The caller's working directory where the sandbox shows it, else the project, else the home.
pub(crate) fn directory(plan: &Plan, wished: PathBuf) -> PathBuf {
    let shows = |i: &Intent| {
        let system = i.origin == Origin::Table("system".into());
        let real = plan.grant.home != Home::Agent && i.path == plan.caller.home;
        let host = system || real || matches!(i.origin, Origin::Project | Origin::Repository | Origin::Caller(_));
        host && matches!(i.what, What::Bind(_)) && wished.starts_with(&i.path)
    };
    let hidden = plan.intents.iter().any(|i| i.access == Access::Hidden && wished.starts_with(&i.path));
    match plan.intents.iter().any(shows) && !hidden {
        true => wished,
        false if plan.project.as_os_str().is_empty() => plan.caller.home.clone(),
        false => plan.project.clone(),
    }
}

fn set(all: &mut Vec<Variable>, name: &[u8], value: &[u8]) {
    match all.iter_mut().find(|(n, _)| n == name) {
        Some((_, v)) => *v = value.to_vec(),
        None => all.push((name.to_vec(), value.to_vec())),
    }
}

/// `.` and empty entries of PATH would execute what lies in the working directory.
fn absolute_entries(path: &[u8]) -> Vec<u8> {
    let kept: Vec<&[u8]> = path.split(|b| *b == b':').filter(|entry| entry.starts_with(b"/")).collect();
    if kept.is_empty() { DEFAULT_PATH.to_vec() } else { kept.join(b":".as_slice()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_aws_plan::{Wish, fixture};

    #[test]
    fn relative_entries_of_path_are_dropped() {
        assert_eq!(absolute_entries(b".:/usr/bin::bin:/opt/x"), b"/usr/bin:/opt/x");
        assert_eq!(absolute_entries(b"."), DEFAULT_PATH);
    }

    fn a_plan(network: Network) -> Plan {
        let hide = vec!["/srv/work/p/secret".into()];
        let grant = Grant { identity: "own:dev".into(), network, hide, ..fixture::grant() };
        let wish = Wish { project: "/srv/work/p".into(), command: vec![b"true".to_vec()], ..Wish::default() };
        agent_aws_plan::plan(fixture::caller(), grant, &wish).unwrap()
    }

    #[test]
    fn the_private_door_is_announced_only_where_it_exists() {
        let has = |network| {
            let all = environment(&a_plan(network), &[], 100);
            all.iter().any(|v| v.name == b"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        };
        assert!(has(Network::None) && !has(Network::Shared));
    }

    #[test]
    fn the_agent_works_where_the_caller_is_if_that_is_shown() {
        let at = |wished: &str| directory(&a_plan(Network::None), wished.into());
        for shown in ["/srv/work/p/src", "/usr/share"] {
            assert_eq!(at(shown), PathBuf::from(shown));
        }
        for other in ["/srv/elsewhere", "/home/jo", "/srv/work/p/secret/x"] {
            assert_eq!(at(other), PathBuf::from("/srv/work/p"), "{other}");
        }
    }
}
