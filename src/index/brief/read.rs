//! From the bytes of a journey to its summary.

use std::collections::BTreeMap;

use super::{CLOSED, FORMAT, KINDS, METHODS, OUTCOMES, PLACEMENT, SIDES};
use crate::evidence::{JourneyId, Symbols};
use crate::index::document::STORED_BYTES_MAX;
use crate::index::{Entry, HopLine, OriginLine, PlaceLine, Summary};
use crate::join::Closed;
use crate::wire::read_varint;

/// What an index of an earlier version has stored.
const JSON: u8 = b'{';

/// `None` for bytes that no version has stored.
pub(crate) fn read(stored: &[u8]) -> Option<Summary> {
    if stored.len() > STORED_BYTES_MAX {
        return None;
    }
    match stored.split_first()? {
        (&FORMAT, rest) => Reader::new(rest)?.summary(),
        (&JSON, _) => serde_json::from_slice(stored).ok(),
        _ => None,
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    names: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn new(stored: &'a [u8]) -> Option<Self> {
        let mut reader = Self { rest: stored, names: Vec::new() };
        for _ in 0..reader.number()? {
            // What refers to a name copies it: a long one would be much in no time.
            let bytes = reader.count().filter(|bytes| *bytes <= Symbols::BYTES_MAX)?;
            let name = reader.bytes(bytes)?;
            reader.names.push(std::str::from_utf8(name).ok()?);
        }
        Some(reader)
    }

    /// The fields in the order in which they were written.
    fn summary(&mut self) -> Option<Summary> {
        let id = JourneyId(u128::from_be_bytes(self.bytes(16)?.try_into().ok()?)).to_string();
        let mut summary = Summary {
            trace_id: (self.number()? == 1).then(|| id.clone()),
            id,
            start_ns: self.number()?,
            duration_ns: self.number()?,
            ..Summary::default()
        };
        let outcome = self.one_of(&OUTCOMES)?;
        outcome.name().clone_into(&mut summary.outcome);
        summary.failed = outcome.is_failure();
        summary.entry = self.entry()?;
        for number in [&mut summary.ambiguous, &mut summary.truncated, &mut summary.revision] {
            *number = self.narrow()?;
        }
        summary.closed = self.one_of(&CLOSED)?.map_or("open", Closed::name).to_owned();
        summary.evidence = self.evidence()?;
        summary.services = self.list(Self::name)?;
        summary.services.sort_unstable();
        summary.hops_omitted = self.count()?;
        let start_ns = summary.start_ns;
        summary.hops = self.list(|reader| reader.hop(start_ns))?;
        summary.places_omitted = self.count()?;
        let mut batch = 0;
        summary.places = self.list(|reader| reader.place(&mut batch))?;
        summary.origins = self.list(Self::origin)?;
        Some(summary)
    }

    fn entry(&mut self) -> Option<Entry> {
        Some(Entry {
            service: self.name()?,
            route: self.name()?,
            method: self.one_of(&METHODS)?.name().to_owned(),
            status: self.narrow()?,
        })
    }

    fn evidence(&mut self) -> Option<BTreeMap<String, u32>> {
        let counts: Vec<u32> = self.list(Self::narrow)?;
        let seen = KINDS.into_iter().zip(counts).filter(|(_, count)| *count > 0);
        Some(seen.map(|(kind, count)| (kind.name().to_owned(), count)).collect())
    }

    fn hop(&mut self, start_ns: u64) -> Option<HopLine> {
        let mut hop = HopLine {
            caller: self.name()?,
            callee: self.name()?,
            route: self.name()?,
            version: self.name()?,
            detail: self.name()?,
            method: self.one_of(&METHODS)?.name().to_owned(),
            outcome: self.one_of(&OUTCOMES)?.name().to_owned(),
            sides: self.one_of(&SIDES)?.name().to_owned(),
            status: self.narrow()?,
            start_ns: start_ns.wrapping_add(self.number()?),
            total_ns: self.number()?,
            ..HopLine::default()
        };
        let known = self.number()?;
        let times = [&mut hop.network_ns, &mut hop.server_ns, &mut hop.self_ns, &mut hop.proxy_ns];
        for (bit, time) in times.into_iter().enumerate() {
            if known >> bit & 1 == 1 {
                *time = Some(self.number()?);
            }
        }
        Some(hop)
    }

    fn place(&mut self, batch: &mut u64) -> Option<PlaceLine> {
        *batch = batch.wrapping_add(self.number()?);
        Some(PlaceLine {
            batch: *batch,
            offset: self.narrow()?,
            kind: self.narrow()?,
            origin: self.narrow()?,
            marks: self.narrow()?,
        })
    }

    fn origin(&mut self) -> Option<OriginLine> {
        let mut names = BTreeMap::new();
        for part in PLACEMENT {
            let name = self.name()?;
            if !name.is_empty() {
                names.insert(part.to_owned(), name);
            }
        }
        Some(OriginLine(names))
    }

    /// A list that says how long it is. What it says is not believed: it ends where the bytes end.
    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.number()?).map(|_| each(self)).collect()
    }

    /// The first where a later version knows one more.
    fn one_of<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        let at = self.count()?;
        list.get(at).or(list.first()).copied()
    }

    fn name(&mut self) -> Option<String> {
        match self.count()?.checked_sub(1) {
            None => Some(String::new()),
            Some(at) => self.names.get(at).map(|&name| name.to_owned()),
        }
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    fn count(&mut self) -> Option<usize> {
        self.narrow()
    }

    fn narrow<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    fn number(&mut self) -> Option<u64> {
        let (number, taken) = read_varint(self.rest).ok()?;
        self.bytes(taken)?;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_only_a_later_version_knows_is_the_first() {
        let mut reader = Reader { rest: &[1, 99, 2], names: Vec::new() };
        let read = [0; 3].map(|_| reader.one_of(&OUTCOMES).unwrap().name());
        assert_eq!(read, ["success", "unknown", "client_error"]);
    }
}
