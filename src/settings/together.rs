//! Values that are right by themselves and wrong together.

use std::time::Duration;

use super::checked::Settings;
use super::doors::doors;
use super::error::Error;
use super::memory::sum;
use super::unit::show_bytes;

/// A segment is deleted as a whole: with fewer than four there is hardly anything to trim.
const SEGMENTS_MIN: u64 = 4;

/// Refuses the first two values that do not go together.
pub(super) fn check(settings: &Settings) -> Result<(), Error> {
    doors(settings)?;
    sizes(settings)?;
    times(settings)?;
    let bounds = settings.memory();
    let memory_max = settings.memory_max;
    if sum(&bounds) > memory_max {
        return Err(Error::Memory { bounds, memory_max });
    }
    Ok(())
}

fn sizes(settings: &Settings) -> Result<(), Error> {
    let (receive, log) = (&settings.receive, &settings.log);
    if log.segment_bytes > log.bytes_max / SEGMENTS_MIN {
        let (one, all) = (show_bytes(log.segment_bytes), show_bytes(log.bytes_max));
        let problem = format!(
            "is {one} and log.bytes_max {all}: the log is trimmed by whole segments and needs \
             room for {SEGMENTS_MIN}"
        );
        return Err(conflict("log.segment_bytes", problem));
    }
    let largest = receive.request_bytes_max.saturating_add(receive.encoded_bytes_max);
    if largest > receive.inflight_bytes_max {
        let problem = "is less than receive.request_bytes_max and receive.encoded_bytes_max \
                       together: such a request would be told to retry for ever";
        return Err(conflict("receive.inflight_bytes_max", problem.to_owned()));
    }
    Ok(())
}

fn times(settings: &Settings) -> Result<(), Error> {
    let (join, index) = (&settings.join, &settings.index);
    let pairs = [
        ("join.quiet", join.quiet, "join.longest", join.longest),
        ("join.rootless", join.rootless, "join.longest", join.longest),
        ("index.bucket", index.bucket, "index.keep", index.keep),
    ];
    let is_longer = |pair: &&(&str, Duration, &str, Duration)| pair.1 > pair.3;
    match pairs.iter().find(is_longer) {
        Some((key, _, longer, _)) => {
            Err(conflict(key, format!("must not be longer than {longer}")))
        }
        None => Ok(()),
    }
}

pub(super) fn conflict(key: &str, problem: String) -> Error {
    Error::Conflict { key: key.to_owned(), problem }
}
