//! The decision: one identity, one sandbox, one network, or a denial.

use std::collections::BTreeSet;
use std::fmt;

use agent_aws_protocol::Narrowing;

use crate::rule::Target;
use crate::{Identity, IdentityPattern, Network, Policy, Position, Rule, Sandbox, Source, Subject, is_profile_name};

/// Which identity a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// An identity of the policy, by name.
    Named(&'a str),
    /// An AWS profile of the caller's own configuration.
    Own(&'a str),
    /// None named: the only one there is for them, if there is one only.
    Unnamed,
}

impl<'a> Wanted<'a> {
    /// As a request has it.
    pub fn of(asked: &'a agent_aws_protocol::Ask) -> Self {
        match asked {
            agent_aws_protocol::Ask::Named(name) => Self::called(name),
            agent_aws_protocol::Ask::Own(profile) => Self::Own(profile),
            agent_aws_protocol::Ask::Unnamed => Self::Unnamed,
        }
    }

    /// By the name that an identity has in messages and records: `own:NAME` is an AWS profile.
    pub fn called(name: &'a str) -> Self {
        name.strip_prefix("own:").map_or(Self::Named(name), Self::Own)
    }
}

/// What a caller asks for. Every option only narrows or chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The identity.
    pub wanted: Wanted<'a>,
    /// Which of several sandboxes.
    pub sandbox: Option<&'a str>,
    /// A network narrower than the sandbox's.
    pub network: Option<Network>,
}

/// The identity of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted<'p> {
    /// One of the policy, and the source whose credentials assume it.
    Policy(&'p Identity, &'p Source),
    /// One of the caller's own.
    Own {
        /// Their AWS profile.
        profile: &'p str,
    },
}

impl<'p> Granted<'p> {
    /// What a session of it would be.
    pub fn described(&self) -> agent_aws_protocol::Granted {
        match self {
            Self::Policy(identity, source) => agent_aws_protocol::Granted {
                role: Some(identity.role.clone()),
                narrowing: identity.narrowing.clone(),
                source: source.kind.to_string(),
            },
            Self::Own { .. } => {
                agent_aws_protocol::Granted { role: None, narrowing: Narrowing::default(), source: "own".into() }
            }
        }
    }

    /// As rules speak of it.
    pub(crate) fn target(&self) -> Target<'p> {
        match self {
            Self::Policy(identity, _) => Target::Policy(&identity.name),
            Self::Own { profile } => Target::Own(profile),
        }
    }
}

impl fmt::Display for Granted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(identity, _) => f.write_str(&identity.name),
            Self::Own { profile } => write!(f, "own:{profile}"),
        }
    }
}

/// What was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'p> {
    /// Who the agent will be.
    pub identity: Granted<'p>,
    /// In which sandbox.
    pub sandbox: &'p Sandbox,
    /// With which network: the sandbox's, or the narrower one asked for.
    pub network: Network,
    /// The first rule that allows it.
    pub rule: &'p Position,
}

/// An identity, or kind of identity, that a subject may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered<'p> {
    /// One of the policy.
    Policy(&'p Identity),
    /// That AWS profile of their own.
    Own(&'p str),
    /// Any AWS profile of their own but these.
    AnyOwn {
        /// Profiles that a deny names.
        except: Vec<&'p str>,
    },
}

impl fmt::Display for Offered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(identity) => f.write_str(&identity.name),
            Self::Own(profile) => write!(f, "own:{profile}"),
            Self::AnyOwn { .. } => f.write_str("own:*"),
        }
    }
}

/// Something that a subject may use, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer<'p> {
    /// The identity.
    pub identity: Offered<'p>,
    /// Its sandboxes, in the order of the rules.
    pub sandboxes: Vec<&'p Sandbox>,
}

/// Why nothing was granted. Prints as a sentence for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// There is no such identity, or it is not for this caller. One answer for both, so that nobody learns which
    /// identities exist by asking.
    NotGranted,
    /// No identity was named and there is not exactly one that could be meant.
    NoChoice {
        /// What they may use; empty if there is nothing.
        offers: Vec<String>,
    },
    /// Several sandboxes fit and none was named.
    AmbiguousSandbox {
        /// Their names.
        names: Vec<String>,
    },
    /// The named sandbox is not there, or not for this caller and identity.
    UnknownSandboxForYou {
        /// Names of those that are.
        names: Vec<String>,
    },
    /// A network wider than the sandbox's was asked for.
    WiderNetwork {
        /// What was asked for.
        asked: Network,
        /// The widest that the sandbox has.
        allowed: Network,
    },
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted => f.write_str("there is no such identity, or policy does not grant it to you"),
            Self::NoChoice { offers } if offers.is_empty() => f.write_str("policy grants you no identity here"),
            Self::NoChoice { offers } => write!(f, "name an identity; you may use {}", offers.join(", ")),
            Self::AmbiguousSandbox { names } => write!(f, "choose one with --sandbox: {}", names.join(", ")),
            Self::UnknownSandboxForYou { names } => {
                write!(f, "no such sandbox for you and this identity; there is {}", names.join(", "))
            }
            Self::WiderNetwork { asked, allowed } => {
                write!(f, "network \"{asked}\" is wider than \"{allowed}\", which this sandbox has")
            }
        }
    }
}

impl std::error::Error for Denial {}

impl Policy {
    /// Decides. Every rule is evaluated for every ask, so that a denied identity takes as long as an unknown one.
    ///
    /// # Errors
    /// A [`Denial`]; `NotGranted` alike for unknown and for denied.
    pub fn decide<'p>(&'p self, subject: &Subject, ask: &Ask<'p>) -> Result<Decision<'p>, Denial> {
        let identity = self.wanted(subject, ask.wanted)?;
        let rules = self.granting(subject, identity.as_ref().map_or(Target::Policy(""), Granted::target));
        let Some(identity) = identity.filter(|_| !rules.is_empty()) else {
            return Err(Denial::NotGranted);
        };
        let (sandbox, rule) = self.choose_sandbox(&rules, ask.sandbox)?;
        let network = ask.network.unwrap_or(sandbox.network);
        if network > sandbox.network {
            return Err(Denial::WiderNetwork { asked: network, allowed: sandbox.network });
        }
        Ok(Decision { identity, sandbox, network, rule })
    }

    /// The second identity of a session that was decided so: the one that is asked for, granted in the same sandbox as any
    /// other, or else the one that the sandbox has for everybody whom no rule denies it.
    pub fn decide_model<'p>(
        &'p self,
        subject: &Subject,
        first: &Decision<'p>,
        asked: Option<Wanted<'p>>,
    ) -> Result<Option<Decision<'p>>, Denial> {
        let sandbox = first.sandbox;
        if let Some(wanted) = asked {
            return self.decide(subject, &Ask { wanted, sandbox: Some(&sandbox.name), network: None }).map(Some);
        }
        let Some(name) = &sandbox.model_identity else { return Ok(None) };
        let target = Target::Policy(name);
        let denied = self.denies.iter().any(|rule| rule.applies_to(subject) & rule.covers(target));
        let identity = self.wanted(subject, Wanted::Named(name))?.filter(|_| !denied).ok_or(Denial::NotGranted)?;
        Ok(Some(Decision { identity, rule: &sandbox.position, ..*first }))
    }

    /// Everything that this subject may use: identities of the policy first, then own ones.
    pub fn offers(&self, subject: &Subject) -> Vec<Offer<'_>> {
        let policy = self.identities.iter().map(|identity| (Offered::Policy(identity), Target::Policy(&identity.name)));
        let own = self.own_profiles(&self.allows).into_iter().map(|name| (Offered::Own(name), Target::Own(name)));
        let denied = self.denies.iter().filter(|rule| rule.applies_to(subject));
        let any_own = Offered::AnyOwn { except: self.own_profiles(denied) };
        policy
            .chain(own)
            .chain([(any_own, Target::AnyOwn)])
            .map(|(identity, target)| (identity, self.granting(subject, target)))
            .filter(|(_, rules)| !rules.is_empty())
            .map(|(identity, rules)| Offer { identity, sandboxes: self.sandboxes_of(&rules) })
            .collect()
    }

    /// The allows that give the target to the subject: none if a single deny speaks against it.
    fn granting<'p>(&'p self, subject: &Subject, target: Target<'_>) -> Vec<&'p Rule> {
        let hit = |rule: &Rule| rule.applies_to(subject) & rule.covers(target);
        let denied = self.denies.iter().fold(false, |denied, rule| denied | hit(rule));
        let allowed: Vec<&Rule> = self.allows.iter().filter(|rule| hit(rule)).collect();
        if denied { Vec::new() } else { allowed }
    }

    /// The identity that is asked for, granted or not; `None` for one that cannot be.
    pub(crate) fn wanted<'p>(&'p self, subject: &Subject, wanted: Wanted<'p>) -> Result<Option<Granted<'p>>, Denial> {
        match wanted {
            Wanted::Named(name) => {
                let this = |found, i: &'p Identity| if i.name == name { self.granted(i) } else { found };
                Ok(self.identities.iter().fold(None, this))
            }
            Wanted::Own(profile) => Ok(is_profile_name(profile).then_some(Granted::Own { profile })),
            Wanted::Unnamed => self.only_choice(subject).map(Some),
        }
    }

    /// `own:*` is no choice to be made silently: which profile it means only the caller can say.
    fn only_choice<'p>(&'p self, subject: &Subject) -> Result<Granted<'p>, Denial> {
        let offers = self.offers(subject);
        let named = offers.iter().filter_map(|offer| match offer.identity {
            Offered::Policy(identity) => self.granted(identity),
            Offered::Own(profile) => Some(Granted::Own { profile }),
            Offered::AnyOwn { .. } => None,
        });
        match named.collect::<Vec<_>>().as_slice() {
            [only] => Ok(*only),
            _ => Err(Denial::NoChoice { offers: offers.iter().map(|offer| offer.identity.to_string()).collect() }),
        }
    }

    fn granted<'p>(&'p self, identity: &'p Identity) -> Option<Granted<'p>> {
        self.source(&identity.source).map(|source| Granted::Policy(identity, source))
    }

    fn choose_sandbox<'p>(
        &'p self,
        rules: &[&'p Rule],
        asked: Option<&str>,
    ) -> Result<(&'p Sandbox, &'p Position), Denial> {
        let sandboxes = self.sandboxes_of(rules);
        let names = || sandboxes.iter().map(|sandbox| sandbox.name.clone()).collect();
        let sandbox = match (asked, sandboxes.as_slice()) {
            (None, [only]) => *only,
            (None, _) => return Err(Denial::AmbiguousSandbox { names: names() }),
            (Some(name), all) => match all.iter().find(|sandbox| sandbox.name == name) {
                Some(sandbox) => *sandbox,
                None => return Err(Denial::UnknownSandboxForYou { names: names() }),
            },
        };
        let gives = |rule: &&&Rule| rule.sandbox.as_ref() == Some(&sandbox.name);
        rules.iter().find(gives).map(|rule| (sandbox, &rule.position)).ok_or(Denial::NotGranted)
    }

    fn sandboxes_of<'p>(&'p self, rules: &[&Rule]) -> Vec<&'p Sandbox> {
        let mut sandboxes: Vec<&Sandbox> = Vec::new();
        for sandbox in rules.iter().filter_map(|rule| self.sandbox(rule.sandbox.as_deref()?)) {
            if !sandboxes.iter().any(|known| known.name == sandbox.name) {
                sandboxes.push(sandbox);
            }
        }
        sandboxes
    }

    fn own_profiles<'p>(&self, rules: impl IntoIterator<Item = &'p Rule>) -> Vec<&'p str> {
        let own = |pattern: &'p IdentityPattern| match pattern {
            IdentityPattern::Own(name) => Some(name.as_str()),
            _ => None,
        };
        let names: BTreeSet<&str> = rules.into_iter().flat_map(|rule| &rule.identities).filter_map(own).collect();
        names.into_iter().collect()
    }
}
