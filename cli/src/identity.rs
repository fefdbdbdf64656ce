//! Which identity is asked for. The AWS `[default]` profile is never used silently: it is often an admin.

use std::ffi::OsString;

use agent_aws_protocol::Ask;

use crate::args::Choice;
use crate::config::Config;
use crate::failure::Failure;

/// How policy spells an AWS profile of the caller's.
const OWN: &str = "own:";

/// `own:dev` is an AWS profile of the caller's, anything else an identity of the policy.
fn named(name: String) -> Ask {
    match name.strip_prefix(OWN) {
        Some(profile) => Ask::Own(profile.to_owned()),
        None => Ask::Named(name),
    }
}

/// `--as`, else `--profile`, else AWS_PROFILE, else the configured default, else whatever is the only one.
pub(crate) fn asked(choice: &Choice, aws_profile: Option<OsString>) -> Result<Ask, Failure> {
    if let Some(name) = &choice.identity {
        return Ok(named(name.clone()));
    }
    if let Some(profile) = &choice.profile {
        return Ok(Ask::Own(profile.clone()));
    }
    if let Some(profile) = aws_profile.filter(|p| !p.is_empty()) {
        return profile.into_string().map(Ask::Own).map_err(|odd| {
            Failure::Option(
                format!("AWS_PROFILE is no text: {}", odd.display()),
                "unset it, or choose with --as or --profile",
            )
        });
    }
    let default = Config::load()?.default;
    Ok(default.map_or(Ask::Unnamed, named))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn as_comes_before_profile_and_profile_before_the_environment() {
        let env = || Some(OsString::from("env"));
        let mut choice = Choice { identity: Some("incident".into()), profile: Some("dev".into()) };
        assert_eq!(asked(&choice, env()).unwrap(), Ask::Named("incident".into()));
        choice.identity = None;
        assert_eq!(asked(&choice, env()).unwrap(), Ask::Own("dev".into()));
        choice.profile = None;
        assert_eq!(asked(&choice, env()).unwrap(), Ask::Own("env".into()));
    }

    #[test]
    fn own_is_the_policys_word_for_a_profile() {
        assert_eq!(named("own:dev".into()), Ask::Own("dev".into()));
        assert_eq!(named("owner".into()), Ask::Named("owner".into()));
    }

    #[test]
    fn a_profile_name_that_is_no_text_is_refused() {
        let odd = Some(OsString::from_vec(vec![0xff]));
        assert!(asked(&Choice::default(), odd).is_err());
    }
}
