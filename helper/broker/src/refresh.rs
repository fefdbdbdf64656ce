//! The one task that mints: first at once, then ahead of time, then again and again if it fails.

use std::time::Duration;

use agent_aws_protocol::BrokerToHelper;

use crate::cause::{Cause, Kind};
use crate::clock::Now;
use crate::mint::Minter;
use crate::schedule::{Window, backoff};
use crate::source::{Source, SourceReader};
use crate::supervisor::{Renewal, Supervisor};
use crate::vault::Vault;

/// How often the clocks are looked at while waiting: timers do not run while the machine sleeps, and do not see that
/// somebody set the wall clock.
const LOOK: Duration = Duration::from_secs(15);
/// How long the supervisor may think about a renewal before clients are told that this is what is waited for.
const RENEWAL: Duration = Duration::from_secs(10);

/// Keeps the vault filled until the identity is revoked or can never be had.
pub(crate) async fn keep_fresh(
    supervisor: &Supervisor<'_>,
    minter: &Minter,
    reader: &SourceReader,
    mut source: Source,
    vault: &Vault,
) {
    let mut failures = 0;
    loop {
        match minter.mint(&source).await {
            Ok(minted) => {
                // Nothing that could mint is held while nothing is to be minted.
                drop(source);
                failures = 0;
                let window = minted.window;
                vault.put(minted.answer, window);
                supervisor.tell(&BrokerToHelper::Minted(minted.session));
                wait_until_due(window, vault).await;
            }
            Err(cause) => {
                failures += 1;
                let Some(pause) = fail(&cause, failures, minter.duration(), supervisor, vault) else {
                    return;
                };
                tokio::time::sleep(pause).await;
                if vault.window().is_none() {
                    // Still the first mint, which was granted already, from the source that came with it.
                    continue;
                }
                drop(source);
            }
        }
        let Some(fresh) = renew(supervisor, reader, vault, &mut failures, minter.duration()).await else {
            return;
        };
        source = fresh;
    }
}

/// Records a failure, tells it, and says how long to wait; none if there is nothing to wait for.
fn fail(
    cause: &Cause,
    failures: u32,
    duration: Duration,
    supervisor: &Supervisor<'_>,
    vault: &Vault,
) -> Option<Duration> {
    vault.fail(&cause.text);
    let window = vault.window();
    let left = window.map(|w| w.left(Now::read())).unwrap_or_default();
    let lifetime = window.map_or(duration, |w| w.lifetime());
    let pause = backoff(failures, cause.kind, lifetime, left, fastrand::f64());
    let seconds = u32::try_from(pause.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    supervisor.tell(&BrokerToHelper::Failed {
        cause: cause.text.clone(),
        retry: (cause.kind == Kind::Passing).then_some(seconds),
    });
    (cause.kind != Kind::Last).then_some(pause)
}

async fn wait_until_due(window: Window, vault: &Vault) {
    loop {
        let wait = window.wait(Now::read());
        if wait.is_zero() {
            return;
        }
        let _ = tokio::time::timeout(wait.min(LOOK), vault.wanted()).await;
    }
}

/// Asks for leave and a fresh source until both are there; none if the identity is revoked.
async fn renew(
    supervisor: &Supervisor<'_>,
    reader: &SourceReader,
    vault: &Vault,
    failures: &mut u32,
    duration: Duration,
) -> Option<Source> {
    loop {
        let mut asked = std::pin::pin!(supervisor.renew());
        let renewal = match tokio::time::timeout(RENEWAL, &mut asked).await {
            Ok(renewal) => renewal,
            Err(_) => {
                vault.fail("the supervisor has not yet allowed the renewal");
                asked.await
            }
        };
        let taken = match renewal {
            Renewal::Granted(file) => reader.take(file),
            Renewal::Undecided(why) => Err(Cause::passing(why)),
            Renewal::Revoked(why) => {
                vault.revoke(&why);
                return None;
            }
        };
        match taken {
            Ok(source) => return Some(source),
            Err(cause) => {
                *failures += 1;
                tokio::time::sleep(fail(&cause, *failures, duration, supervisor, vault)?).await;
            }
        }
    }
}
