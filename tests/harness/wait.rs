//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at. Short: what the scenarios measure is in tenths of a second.
const EVERY: Duration = Duration::from_millis(50);

/// What a look at a condition found.
pub enum Seen<T> {
    /// It holds.
    Yes(T),
    /// Not yet; what was seen instead, for the message if it never does.
    NotYet(String),
}

/// Looks until the condition holds and returns what it gave. An error of `look` itself ends the wait at once.
///
/// # Errors
/// At the deadline, with `what` and the last thing seen.
pub async fn until<T, F>(what: &str, patience: Duration, mut look: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<Seen<T>>,
{
    let started = Instant::now();
    loop {
        let seen = match look().await? {
            Seen::Yes(found) => return Ok(found),
            Seen::NotYet(seen) => seen,
        };
        if started.elapsed() >= patience {
            bail!("waited {patience:?} for {what}; last seen: {seen}");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Looks during `period` and fails as soon as the condition does not hold.
pub async fn holds<F>(what: &str, period: Duration, mut look: F) -> Result<()>
where
    F: AsyncFnMut() -> Result<Seen<()>>,
{
    let started = Instant::now();
    while started.elapsed() < period {
        if let Seen::NotYet(seen) = look().await? {
            bail!("{what} held only {:?}; seen: {seen}", started.elapsed());
        }
        tokio::time::sleep(EVERY).await;
    }
    Ok(())
}
