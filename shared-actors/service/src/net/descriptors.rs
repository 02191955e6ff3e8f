//! File descriptors: a process may open as many files as its hard limit allows, if it raises its
//! soft limit first. Otherwise, it notices the lower limit only when opening a file fails.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use shared_actors::fits;
use thiserror::Error;

/// Descriptors that are not for clients: databases, Kafka, Redis, logs, threads.
const RESERVED: u64 = 256;
/// The fewest client connections that make a process useful.
const FEWEST_CONNECTIONS: u64 = 16;

/// The limit on open files is too low to accept clients.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "the open-file limit is {limit}, but this process needs {RESERVED} files and at least {FEWEST_CONNECTIONS} more for \
     clients: raise the limit (ulimit -n, LimitNOFILE=, ulimits: in compose.yaml)"
)]
pub struct TooFewDescriptors {
    limit: u64,
}

/// Raises the limit on open files as far as the process may. If it is still too low, lowers the
/// connection limits to what it allows and logs a warning.
///
/// # Errors
/// The limit on open files is too low to accept clients at all.
pub fn provide_descriptors<const N: usize>(
    limits: [&mut usize; N],
) -> Result<(), TooFewDescriptors> {
    let wanted = limits.iter().fold(0_usize, |sum, limit| sum.saturating_add(**limit));
    let allowed = allowed(wanted, raise())?;
    if allowed < wanted {
        for limit in limits {
            *limit = share(*limit, wanted, allowed);
        }
    }
    Ok(())
}

/// What remains of `limit` if only `allowed` of the `wanted` connections are possible, but at least
/// 1.
fn share(limit: usize, wanted: usize, allowed: usize) -> usize {
    assert!(limit <= wanted, "{limit} of {wanted}");
    fits::<u128, usize>(limit as u128 * allowed as u128 / wanted as u128).max(1)
}

fn raise() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return u64::MAX };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(error) => {
            tracing::warn!(%error, soft, hard, "the open-file limit cannot be raised");
            soft
        }
    }
}

fn allowed(wanted: usize, limit: u64) -> Result<usize, TooFewDescriptors> {
    let room = limit.checked_sub(RESERVED).filter(|room| *room >= FEWEST_CONNECTIONS);
    let room: usize = fits(room.ok_or(TooFewDescriptors { limit })?);
    if room < wanted {
        tracing::warn!(
            limit,
            wanted,
            allowed = room,
            "the open-file limit is too low for the configured connections: accepting fewer"
        );
    }
    Ok(room.min(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_files_bounds_the_connections() {
        assert_eq!(allowed(4096, 20_000), Ok(4096));
        assert_eq!(allowed(10_000, 1024), Ok(768));
        assert_eq!(allowed(10_000, RESERVED + FEWEST_CONNECTIONS), Ok(16));
        assert_eq!((share(10_000, 14_096, 768), share(4096, 14_096, 768)), (544, 223));
        assert_eq!(allowed(10_000, 271), Err(TooFewDescriptors { limit: 271 }));
    }
}
