//! The fields of the language and their other names.

use super::Error;
use crate::index::{Kind, kind};

/// Canonical names, each followed by its aliases.
const FIELDS: [&[&str]; 20] = [
    &["service", "svc"],
    &["namespace", "ns"],
    &["workload"],
    &["pod"],
    &["node"],
    &["zone"],
    &["cluster"],
    &["version"],
    &["route", "path"],
    &["method"],
    &["peer"],
    &["kind"],
    &["detail", "flags"],
    &["outcome"],
    &["status", "status_code"],
    &["duration", "dur"],
    &["evidence"],
    &["failed", "err"],
    &["id", "trace", "trace_id"],
    &["request", "request_id"],
];

/// How unlike a known name may be to be suggested.
const DISTANCE_MAX: usize = 2;

/// A field that the query names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// The field of this name or alias, in either case.
pub(super) fn find(name: &str, at: usize) -> Result<Field, Error> {
    let known = |names: &&&[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let canonical = FIELDS.iter().find(known).and_then(|names| names.first());
    let found = canonical.and_then(|name| Some(Field { name, kind: kind(name)? }));
    found.ok_or_else(|| {
        let error = Error::new(at, format!("there is no field {name:?}"));
        error.hint(nearest(name).map_or_else(
            || "put the text in quotes to search for it".to_owned(),
            |nearest| format!("did you mean {nearest}?"),
        ))
    })
}

fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let distances = FIELDS.iter().flat_map(|names| names.iter()).map(|known| {
        let distance = strsim::osa_distance(&name, known);
        (distance, *known)
    });
    let (_, known) = distances.filter(|(distance, _)| *distance <= DISTANCE_MAX).min()?;
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_language_is_one_of_the_index() {
        for names in FIELDS {
            assert!(names.iter().all(|name| find(name, 0).is_ok()), "{names:?}");
        }
    }

    #[test]
    fn an_alias_is_its_field_in_either_case() {
        assert_eq!(find("SVC", 0).map(|field| field.name), Ok("service"));
    }
}
