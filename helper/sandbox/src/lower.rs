//! From plan to operations. Pure: the same plan, findings and facts give the same operations on any machine.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use agent_aws_plan::{Access, Intent, Kind, Origin, Plan, SourceId, What, around};
use agent_aws_policy::Network;

use crate::error::Failure;
use crate::facts::KernelFacts;
use crate::op::{Fence, Op};

/// Where SDKs look for `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`.
pub(crate) const DOOR_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);
/// Our directory inside.
const OURS: &str = "/run/agent-aws";
/// What clients write to that may not have a socket.
const REQUEST: &str = "/run/agent-aws/request";
/// What of /proc belongs to the machine and not to a process.
const SETTINGS: [&str; 7] = ["sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi"];
/// The oldest Landlock ABI with scopes (Linux 6.12).
const LANDLOCK_SCOPES: u32 = 6;
/// The newest ABI whose rules we know; a newer kernel gives this one.
const LANDLOCK_KNOWN: u32 = 7;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered {
    /// As the one who may mount.
    pub ops: Vec<Op>,
    /// After the drop.
    pub fence: Fence,
    /// Whether the network namespace is the sandbox's own.
    pub private_network: bool,
}

/// Lowers `plan`. `found` tells for each source of the plan what is there.
pub fn lower(plan: &Plan, found: &[Kind], facts: &KernelFacts) -> Result<Lowered, Failure> {
    let private_network = plan.grant.network != Network::Shared;
    let fence = fence(plan, found, facts)?;
    let mut lowering = Lowering { plan, found, ops: vec![Op::Private], seals: Vec::new() };
    if private_network {
        lowering.ops.push(Op::Loopback { door: Some(DOOR_ADDRESS) });
    }
    for intent in &plan.intents {
        lowering.intent(intent)?;
    }
    lowering.ops.push(Op::Door { path: Path::new(OURS).join("credentials.sock") });
    lowering.ops.push(Op::Fifo { path: REQUEST.into(), mode: 0o222 });
    lowering.ops.push(Op::Fifo { path: Path::new(OURS).join("answer"), mode: 0o444 });
    if private_network {
        lowering.ops.push(Op::HttpDoor { address: DOOR_ADDRESS });
    }
    // Last: another broker serves it.
    if plan.grant.model.is_some() {
        lowering.ops.push(Op::Door { path: Path::new(OURS).join("model.sock") });
    }
    lowering.seals.reverse();
    lowering.ops.append(&mut lowering.seals);
    lowering.ops.push(Op::Enter);
    Ok(Lowered { ops: lowering.ops, fence, private_network })
}

struct Lowering<'a> {
    plan: &'a Plan,
    found: &'a [Kind],
    ops: Vec<Op>,
    seals: Vec<Op>,
}

impl Lowering<'_> {
    fn kind(&self, id: SourceId) -> Result<&Kind, Failure> {
        let kind = self.found.get(id.0).unwrap_or(&Kind::Missing);
        let source = self.plan.sources.get(id.0);
        match (kind, source) {
            (Kind::Missing, Some(source)) if source.required => {
                Err(Failure::os("looking for", &source.path, std::io::Error::from_raw_os_error(libc::ENOENT)))
            }
            _ => Ok(kind),
        }
    }

    fn intent(&mut self, intent: &Intent) -> Result<(), Failure> {
        let path = intent.path.clone();
        let read_only = intent.access != Access::Write;
        match &intent.what {
            What::Memory { size, .. } if path == Path::new("/") => {
                self.ops.push(Op::Root { size: *size });
                self.seals.push(Op::Seal { path });
            }
            What::Memory { size, mode, owned } => {
                self.stand(&path, true);
                self.ops.push(Op::Memory { path: path.clone(), size: *size, mode: *mode, owned: *owned });
                if read_only {
                    self.seals.push(Op::Seal { path });
                }
            }
            What::Bind(source) => self.bind(intent, *source, false)?,
            What::Device(source) => self.bind(intent, *source, true)?,
            What::Mask(source) => match self.kind(*source)? {
                Kind::Directory => {
                    self.ops.push(Op::Memory { path: path.clone(), size: 4096, mode: 0o755, owned: false });
                    self.seals.push(Op::Seal { path });
                }
                Kind::File => self.ops.push(Op::CoverFile { path }),
                Kind::Missing | Kind::Link(_) => {}
            },
            What::Processes => {
                self.stand(&path, true);
                self.ops.push(Op::Processes { path: path.clone() });
                // Settings of the machine: uid 0 (`--allow-root`) writes to them without any capability. Nobody else can,
                // and a /proc with something mounted in it would keep an inner sandbox from a new one of its own.
                if self.plan.caller.uid == 0 || !self.plan.grant.nesting {
                    self.ops.extend(SETTINGS.map(|name| Op::Freeze { path: path.join(name) }));
                }
            }
            What::Terminals => {
                self.stand(&path, true);
                self.ops.push(Op::Terminals { path });
            }
            What::Queues => {
                self.stand(&path, true);
                self.ops.push(Op::Queues { path });
            }
            What::File { content } => match path.strip_prefix("/etc") {
                // The host's /etc is not ours to write in.
                Ok(below) => {
                    let made = Path::new(OURS).join("etc").join(below);
                    self.ops.push(Op::File { path: made.clone(), content: content.clone() });
                    self.ops.push(Op::Over { path, made });
                }
                Err(_) => self.ops.push(Op::File { path, content: content.clone() }),
            },
            What::Link { to } => self.ops.push(Op::Link { path, to: to.clone() }),
        }
        Ok(())
    }

    fn bind(&mut self, intent: &Intent, source: SourceId, devices: bool) -> Result<(), Failure> {
        let path = intent.path.clone();
        let row = intent.origin == Origin::Table("project".into());
        let directory = match self.kind(source)? {
            Kind::Missing => return Ok(()),
            // What a link leads to has a place, and rows, of its own.
            _ if (row || intent.origin == Origin::Sandbox) && self.behind_link(&path) => return Ok(()),
            // It is mounted as the link that it is: so nobody can put another one in its place.
            Kind::Link(_) if row => false,
            Kind::Link(_) if self.inside_host_tree(&path) => return Ok(()),
            Kind::Link(to) => {
                let to = to.clone();
                self.ops.push(Op::Link { path, to });
                return Ok(());
            }
            Kind::Directory => true,
            Kind::File => false,
        };
        self.stand(&path, directory);
        // A pin that is a file is `.git` of a worktree: it says where git finds hooks and configuration.
        let read_only = (intent.access != Access::Write || (row && !directory)) && !devices;
        self.ops.push(Op::Attach { source, path, read_only, devices });
        Ok(())
    }

    /// Whether a row on the way to `path` is a link.
    fn behind_link(&self, path: &Path) -> bool {
        let is_link =
            |i: &&Intent| matches!(i.what, What::Bind(id) if matches!(self.found.get(id.0), Some(Kind::Link(_))));
        around(self.plan.intents.iter().filter(is_link), path).is_some()
    }

    /// Makes something to mount on, where the covering file system is ours. In a tree of the host it exists.
    fn stand(&mut self, path: &Path, directory: bool) {
        if self.inside_host_tree(path) {
            return;
        }
        self.ops.push(match directory {
            true => Op::Directory { path: path.into() },
            false => Op::File { path: path.into(), content: vec![] },
        });
    }

    /// Whether the nearest intent around `path` shows a host directory.
    fn inside_host_tree(&self, path: &Path) -> bool {
        let standing = self.plan.intents.iter().filter(|i| match &i.what {
            What::Bind(id) | What::Device(id) => matches!(self.found.get(id.0), Some(Kind::Directory)),
            What::Memory { .. } | What::Processes | What::Terminals | What::Queues => true,
            _ => false,
        });
        around(standing, path).is_some_and(|i| matches!(i.what, What::Bind(_)))
    }
}

/// What Landlock shall restate, and whether this kernel can.
fn fence(plan: &Plan, found: &[Kind], facts: &KernelFacts) -> Result<Fence, Failure> {
    let waived = |feature: &str| plan.grant.waived.iter().any(|w| w == feature);
    if facts.landlock == 0 && !waived("landlock") {
        return Err(Failure::plain(
            "Landlock",
            "this kernel has none (5.13 or newer with Landlock enabled is needed, or the waiver `landlock` in policy)",
        ));
    }
    let scopes = facts.landlock >= LANDLOCK_SCOPES;
    if plan.grant.network == Network::Shared && !scopes && !waived("landlock-scopes") && !waived("landlock") {
        return Err(Failure::plain(
            "network `shared`",
            "it needs Landlock scopes (Linux 6.12), which this kernel lacks: use network `none`, or waive \
             `landlock-scopes` in policy (processes inside can then reach abstract sockets of the host)",
        ));
    }
    let shown = |intent: &&Intent| match &intent.what {
        What::Bind(id) | What::Device(id) => matches!(found.get(id.0), Some(Kind::Directory | Kind::File)),
        What::Memory { .. } | What::Processes | What::Terminals | What::Queues => intent.path != Path::new("/"),
        _ => false,
    };
    let rows = |access| -> Vec<PathBuf> {
        let rows = plan.intents.iter().filter(shown).filter(|i| (i.access == Access::Write) == access);
        rows.map(|i| i.path.clone()).collect()
    };
    Ok(Fence {
        landlock: facts.landlock.min(LANDLOCK_KNOWN),
        write: rows(true).into_iter().chain([REQUEST.into()]).collect(),
        read: rows(false),
        files: !plan.grant.nesting && facts.landlock > 0,
        scopes,
        nesting: plan.grant.nesting,
        debug: plan.grant.debug,
    })
}

#[cfg(test)]
mod tests;
