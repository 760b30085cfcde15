//! Values that are right by themselves and wrong together.

use std::net::SocketAddr;
use std::time::Duration;

use super::checked::Settings;
use super::error::Error;
use super::memory::sum;
use super::unit::show_bytes;
use crate::receive::WINDOW_BYTES_MAX;

/// A segment is deleted as a whole: with fewer than four there is hardly anything to trim.
const SEGMENTS_MIN: u64 = 4;

/// Refuses the first two values that do not go together.
pub(super) fn check(settings: &Settings) -> Result<(), Error> {
    let doors = doors(settings);
    for (place, (key, address, allowed_by, is_allowed)) in doors.iter().enumerate() {
        if !is_allowed && !address.ip().is_loopback() {
            return Err(remote(key, *address, allowed_by));
        }
        if let Some((other, ..)) = doors.iter().take(place).find(|door| is_same(door.1, *address)) {
            let problem = format!("is {address}, where {other} listens already");
            return Err(conflict(key, problem));
        }
    }
    sizes(settings)?;
    times(settings)?;
    let bounds = settings.memory();
    let memory_max = settings.memory_max;
    if sum(&bounds) > memory_max {
        return Err(Error::Memory { bounds, memory_max });
    }
    Ok(())
}

/// A key, its address, the key that allows it to be remote, and whether that does.
type Door = (&'static str, SocketAddr, &'static str, bool);

fn doors(settings: &Settings) -> Vec<Door> {
    let (receive, serve) = (&settings.receive, &settings.serve);
    let otlp =
        [("receive.otlp.grpc.listen", receive.grpc), ("receive.otlp.http.listen", receive.http)];
    let open = otlp.into_iter().filter_map(|(key, address)| Some((key, address?)));
    let allowed = receive.allow_remote;
    open.map(|(key, address)| (key, address, "receive.allow_remote", allowed))
        .chain([("serve.listen", serve.listen, "serve.allow_remote", serve.allow_remote)])
        .collect()
}

/// Port 0 is any free port, never the same twice.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && overlap
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
    let window = WINDOW_BYTES_MAX.min(receive.request_bytes_max);
    let parts = [receive.encoded_bytes_max, window];
    let largest = parts.into_iter().fold(receive.request_bytes_max, usize::saturating_add);
    if largest > receive.inflight_bytes_max {
        let problem = "is less than receive.request_bytes_max, receive.encoded_bytes_max and the \
                       8MiB that decompression needs together: such a request would be told to \
                       retry for ever";
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

fn remote(key: &str, address: SocketAddr, allowed_by: &str) -> Error {
    let problem = format!(
        "is {address}, which other machines can reach, and whoever reaches it is asked for no \
         name or password; set {allowed_by} to true if the network around it is trusted"
    );
    conflict(key, problem)
}

fn conflict(key: &str, problem: String) -> Error {
    Error::Conflict { key: key.to_owned(), problem }
}
