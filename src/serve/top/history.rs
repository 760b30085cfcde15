//! The last rates of each row.

use std::collections::{BTreeMap, VecDeque};

use super::super::client::show::spark;
use super::super::client::{PerSecond, Rates};

/// The widest line of values on a terminal of 200 columns.
const VALUES_MAX: usize = 64;

/// What is followed over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Series {
    Requests,
    Refused,
    Sent,
}

type Name = (Series, String);

/// The names are those of the latest status: what is gone from it is forgotten.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<Name, VecDeque<u64>>);

impl History {
    pub(super) fn push(&mut self, rates: &Rates) {
        let mut now: BTreeMap<Name, PerSecond> = BTreeMap::new();
        for source in &rates.sources {
            now.insert((Series::Requests, source.source.clone()), source.requests);
            now.insert((Series::Refused, source.source.clone()), source.refused);
        }
        for export in &rates.exports {
            now.insert((Series::Sent, export.name.clone()), export.items);
        }
        self.0.retain(|name, _| now.contains_key(name));
        for (name, rate) in now {
            let values = self.0.entry(name).or_default();
            if values.len() >= VALUES_MAX {
                values.pop_front();
            }
            values.push_back(rate.0);
        }
    }

    /// The last values as a line of `width` characters at most.
    pub(super) fn line(&self, series: Series, name: &str, width: usize) -> String {
        let values = self.0.get(&(series, name.to_owned()));
        values.map_or_else(String::new, |values| spark(values.iter().copied(), width))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::client::ExportRate;
    use super::*;

    fn rates(name: &str, items: u64) -> Rates {
        let items = PerSecond(items);
        let export = ExportRate { name: name.to_owned(), items };
        Rates { exports: vec![export], ..Rates::default() }
    }

    #[test]
    fn only_so_many_values_are_kept() {
        let mut history = History::default();
        for value in 0..200 {
            history.push(&rates("tempo", value));
        }
        let line = history.line(Series::Sent, "tempo", 1000);
        assert_eq!(line.chars().count(), VALUES_MAX);
    }

    #[test]
    fn what_is_gone_from_the_status_is_forgotten() {
        let mut history = History::default();
        history.push(&rates("tempo", 1));
        history.push(&rates("jaeger", 1));
        assert_eq!(history.line(Series::Sent, "tempo", 9), "");
    }
}
