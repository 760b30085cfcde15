//! Values that are right by themselves and wrong together.

use std::time::Duration;

use super::checked::{Ack, Log, Settings};
use super::destination::{Destination, WhenFull};
use super::doors::doors;
use super::error::Error;
use super::memory::sum;
use super::unit::show_bytes;
use crate::export::Protocol;
use crate::wire::zstd::WINDOW_BYTES_MAX;

/// A segment is deleted as a whole: with fewer than four there is hardly anything to trim.
const SEGMENTS_MIN: u64 = 4;

/// Refuses the first two values that do not go together.
pub(super) fn check(settings: &Settings) -> Result<(), Error> {
    doors(settings)?;
    if settings.log.ack == Ack::EndToEnd && settings.export.is_empty() {
        let problem = "is e2e, and there is no destination: nothing would ever be done";
        return Err(conflict("log.ack", problem.to_owned()));
    }
    if !settings.join.enabled && settings.index.enabled {
        let problem = "is false, and index.enabled is true: there would be no journeys to index";
        return Err(conflict("join.enabled", problem.to_owned()));
    }
    if !settings.join.enabled && settings.export.is_empty() {
        let problem = "is false, and there is no destination: nothing would read the evidence";
        return Err(conflict("join.enabled", problem.to_owned()));
    }
    sizes(settings)?;
    times(settings)?;
    settings.export.iter().try_for_each(|destination| way_out(destination, &settings.log))?;
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

/// What a destination is told that another of its values takes the meaning from.
fn way_out(destination: &Destination, log: &Log) -> Result<(), Error> {
    let fault = |key: &str, problem: &str| {
        let name = &destination.name;
        Err(conflict(&format!("export.otlp.{name}.{key}"), problem.to_owned()))
    };
    let Destination { endpoint, endpoints, tls, .. } = destination;
    let all = || endpoints.iter().map(|(_, endpoint)| endpoint).chain([endpoint]);
    let path = endpoint.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    if destination.protocol == Protocol::Grpc {
        if path.is_some_and(|(_, path)| !path.is_empty()) {
            return fault("endpoint", "has a path, which only protocol http can use");
        }
        if let Some((signal, _)) = endpoints.first() {
            let key = format!("{}_endpoint", signal.name());
            return fault(&key, "is for protocol http; over grpc all signals have one endpoint");
        }
    }
    let files = [("ca_file", &tls.ca_file), ("cert_file", &tls.cert_file)];
    let given = files.iter().find(|(_, file)| file.is_some()).map(|(key, _)| *key);
    let given = given.or(tls.server_name.as_ref().map(|_| "server_name"));
    if let Some(key) = given.filter(|_| !all().any(|endpoint| endpoint.starts_with("https://"))) {
        return fault(key, "is of no use: the endpoint does not begin with https://");
    }
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => return fault("key_file", "must be given with cert_file"),
        (None, Some(_)) => return fault("cert_file", "must be given with key_file"),
        _ => {}
    }
    if destination.proxy.is_none() && !destination.proxy_auth.is_empty() {
        return fault("proxy_auth", "is of no use without proxy");
    }
    let room = log.bytes_max.saturating_sub(2 * log.segment_bytes);
    if destination.when_full == WhenFull::DropOldest && destination.backlog_max > room {
        return fault(
            "backlog_max",
            "is more than log.bytes_max less two of log.segment_bytes: \
                                     the log would be full before anything is dropped",
        );
    }
    Ok(())
}

pub(super) fn conflict(key: &str, problem: String) -> Error {
    Error::Conflict { key: key.to_owned(), problem }
}
