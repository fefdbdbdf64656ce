//! Which identity is asked for. The AWS `[default]` profile is never used silently: it is often an admin.

use std::ffi::OsString;

use agent_aws_protocol::{Ask, ModelAsk};

use crate::args::{Choice, Run};
use crate::config::{Config, Saved};
use crate::failure::Failure;

/// How policy spells an AWS profile of the caller's.
const OWN: &str = "own:";

/// `own:dev` is an AWS profile of the caller's, anything else an identity of the policy.
pub(crate) fn named(name: String) -> Ask {
    match name.strip_prefix(OWN) {
        Some(profile) => Ask::Own(profile.to_owned()),
        None => Ask::Named(name),
    }
}

/// What the options say, and nothing of the caller's own: for a question about somebody else.
pub(crate) fn named_or_own(choice: &Choice) -> Ask {
    match (&choice.identity, &choice.profile) {
        (Some(name), _) => named(name.clone()),
        (None, Some(profile)) => Ask::Own(profile.clone()),
        (None, None) => Ask::Unnamed,
    }
}

/// Which identity is asked for, and what the caller does without by their own configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// As the helper is asked.
    pub(crate) ask: Ask,
    /// The identity of the caller's own that was named.
    pub(crate) saved: Option<Saved>,
}

/// `--as`, else `--profile`, else AWS_PROFILE, else the configured default, else whatever is the only one. A name may be
/// one of the caller's own configuration, which comes first: it is never more.
pub(crate) fn chosen(choice: &Choice, aws_profile: Option<OsString>) -> Result<Chosen, Failure> {
    if let Some(name) = &choice.identity {
        return Ok(called(name.clone(), &mut Config::load()?));
    }
    if let Some(profile) = &choice.profile {
        return Ok(Chosen { ask: Ask::Own(profile.clone()), saved: None });
    }
    if let Some(profile) = aws_profile.filter(|p| !p.is_empty()) {
        let profile = profile.into_string().map_err(|odd| {
            Failure::Option(
                format!("AWS_PROFILE is no text: {}", odd.display()),
                "unset it, or choose with --as or --profile",
            )
        })?;
        return Ok(Chosen { ask: Ask::Own(profile), saved: None });
    }
    let mut config = Config::load()?;
    Ok(config.default.take().map_or_else(Chosen::default, |name| called(name, &mut config)))
}

fn called(name: String, config: &mut Config) -> Chosen {
    match config.identities.remove(&name) {
        Some(saved) => Chosen { ask: saved.ask(), saved: Some(saved) },
        None => Chosen { ask: named(name), saved: None },
    }
}

/// Which identity a model is asked with: by option, else by what was saved. One of the caller's own configuration is an
/// identity less some of what it may do, which says nothing to a model.
pub(crate) fn of_model(run: &Run, saved: Option<&Saved>) -> Result<ModelAsk, Failure> {
    if run.no_model_identity {
        return Ok(ModelAsk::Without);
    }
    let name = run.model_identity.as_ref().or_else(|| saved?.model_identity.as_ref());
    let Some(name) = name else { return Ok(ModelAsk::OfSandbox) };
    if Config::load()?.identities.contains_key(name) {
        let text = format!("`{}` is an identity that you saved: no model is asked with one", name.escape_debug());
        return Err(Failure::Option(text, "name what it begins from: an identity of the policy, or own:PROFILE"));
    }
    Ok(ModelAsk::Asked(named(name.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn as_comes_before_profile_and_profile_before_the_environment() {
        let env = || Some(OsString::from("env"));
        let asked = |choice: &Choice| chosen(choice, env()).unwrap().ask;
        let mut choice = Choice { identity: Some("incident".into()), profile: Some("dev".into()) };
        assert_eq!(asked(&choice), Ask::Named("incident".into()));
        choice.identity = None;
        assert_eq!(asked(&choice), Ask::Own("dev".into()));
        choice.profile = None;
        assert_eq!(asked(&choice), Ask::Own("env".into()));
    }

    #[test]
    fn a_name_of_the_callers_own_comes_first() {
        let mine = Saved { profile: Some("dev".into()), ..Saved::default() };
        let mut config = Config { default: None, identities: [("mine".to_owned(), mine.clone())].into() };
        assert_eq!(called("mine".into(), &mut config), Chosen { ask: Ask::Own("dev".into()), saved: Some(mine) });
        assert_eq!(called("other".into(), &mut config).ask, Ask::Named("other".into()));
    }

    #[test]
    fn own_is_the_policys_word_for_a_profile() {
        assert_eq!(named("own:dev".into()), Ask::Own("dev".into()));
        assert_eq!(named("owner".into()), Ask::Named("owner".into()));
    }

    #[test]
    fn a_profile_name_that_is_no_text_is_refused() {
        let odd = Some(OsString::from_vec(vec![0xff]));
        assert!(chosen(&Choice::default(), odd).is_err());
    }
}
