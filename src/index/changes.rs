//! What is to become of journeys that may already be indexed: collected until the commit, then
//! decided all at once against what the buckets have.

use std::collections::{BTreeMap, HashMap};

use tantivy::TantivyDocument;

use super::lookup::Ids;
use super::snapshot::Copy;

type ById<T> = HashMap<u128, T, foldhash::fast::RandomState>;

/// What a new version of a journey does to those before it.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// It takes their place. A version that was made from more evidence is not one of its own: the
    /// journey was forgotten and opened anew, and both stay.
    Replace(TantivyDocument, u64),
    /// It takes their place if it was made from more evidence than each of them.
    Improve(TantivyDocument, u64),
    /// There is none any more.
    Retract,
}

/// At most one change per journey.
#[derive(Default)]
pub(super) struct Changes {
    by_id: ById<Change>,
}

/// What has to be done.
#[derive(Default)]
pub(super) struct Plan {
    /// Journeys to delete in the bucket that is written to.
    pub(super) here: Ids,
    /// Journeys to delete in other buckets.
    pub(super) elsewhere: BTreeMap<u64, Ids>,
    /// Documents to add, after the deletes.
    pub(super) add: Vec<TantivyDocument>,
}

impl Changes {
    /// Keeps the change; of two for one journey, a certain one wins, then the later one, unless
    /// the earlier one was made from more evidence.
    pub(super) fn insert(&mut self, id: u128, change: Change) {
        let change = match (self.by_id.get(&id), change) {
            (Some(Change::Improve(_, known)), Change::Improve(_, evidence))
                if *known > evidence =>
            {
                return;
            }
            (Some(Change::Replace(..) | Change::Retract), Change::Improve(document, evidence)) => {
                Change::Replace(document, evidence)
            }
            (_, change) => change,
        };
        self.by_id.insert(id, change);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn has(&self, id: u128) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn ids(&self) -> Ids {
        self.by_id.keys().copied().collect()
    }

    /// Decides every change. `copies` are all versions that readers can see.
    pub(super) fn plan(self, copies: Vec<Copy>, current_s: u64) -> Plan {
        let mut by_id: ById<Vec<Copy>> = ById::default();
        for copy in copies {
            by_id.entry(copy.id).or_default().push(copy);
        }
        let mut plan = Plan::default();
        for (id, change) in self.by_id {
            let copies = by_id.remove(&id).unwrap_or_default();
            let best = copies.iter().max_by_key(|copy| copy.rank()).copied();
            let document = match (change, best) {
                (Change::Improve(_, evidence), Some(best)) if best.evidence >= evidence => {
                    // A crash may have left an older version beside it.
                    let others = copies.iter().filter(|copy| copy.bucket_s != best.bucket_s);
                    plan.delete(id, others, current_s);
                    continue;
                }
                (Change::Replace(document, evidence), Some(best)) if best.evidence > evidence => {
                    plan.add.push(document);
                    continue;
                }
                (Change::Improve(document, _) | Change::Replace(document, _), _) => Some(document),
                (Change::Retract, _) => None,
            };
            // Readers do not see yet what was put since the last commit.
            plan.here.insert(id);
            plan.delete(id, copies.iter(), current_s);
            plan.add.extend(document);
        }
        plan
    }
}

impl Plan {
    fn delete<'a>(&mut self, id: u128, copies: impl Iterator<Item = &'a Copy>, current_s: u64) {
        for copy in copies {
            if copy.bucket_s == current_s {
                self.here.insert(id);
            } else {
                self.elsewhere.entry(copy.bucket_s).or_default().insert(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tantivy::DocAddress;

    use super::*;

    const CURRENT_S: u64 = 7200;

    fn copy(evidence: u64, bucket_s: u64) -> Copy {
        Copy { id: 1, evidence, bucket_s, view: 0, address: DocAddress::new(0, 0) }
    }

    fn plan(change: Change, copies: Vec<Copy>) -> Plan {
        let mut changes = Changes::default();
        changes.insert(1, change);
        changes.plan(copies, CURRENT_S)
    }

    fn improve(evidence: u64) -> Change {
        Change::Improve(TantivyDocument::new(), evidence)
    }

    #[test]
    fn a_replayed_journey_with_no_more_evidence_is_dropped() {
        let plan = plan(improve(5), vec![copy(5, CURRENT_S)]);
        assert!(plan.add.is_empty() && plan.here.is_empty() && plan.elsewhere.is_empty());
    }

    #[test]
    fn a_replayed_journey_with_more_evidence_replaces_the_indexed_one_where_it_is() {
        let plan = plan(improve(6), vec![copy(5, 3600)]);
        assert_eq!(plan.add.len(), 1);
        assert!(plan.elsewhere.get(&3600).is_some_and(|ids| ids.contains(&1)));
    }

    #[test]
    fn the_lesser_of_two_versions_that_a_crash_left_is_deleted() {
        let plan = plan(improve(5), vec![copy(4, 3600), copy(5, CURRENT_S)]);
        assert!(plan.add.is_empty() && plan.here.is_empty());
        assert!(plan.elsewhere.get(&3600).is_some_and(|ids| ids.contains(&1)));
    }

    #[test]
    fn of_two_replayed_versions_the_one_with_more_evidence_stays() {
        let mut changes = Changes::default();
        changes.insert(1, improve(5));
        changes.insert(1, improve(4));
        assert!(changes.plan(vec![copy(4, CURRENT_S)], CURRENT_S).add.len() == 1);
    }

    #[test]
    fn a_journey_that_was_forgotten_and_opened_anew_stays_beside_its_larger_self() {
        let change = Change::Replace(TantivyDocument::new(), 2);
        let plan = plan(change, vec![copy(10, CURRENT_S)]);
        assert_eq!(plan.add.len(), 1);
        assert!(plan.here.is_empty() && plan.elsewhere.is_empty());
    }

    #[test]
    fn a_retracted_journey_is_deleted_and_not_added() {
        let plan = plan(Change::Retract, vec![copy(5, 3600)]);
        assert!(plan.add.is_empty() && plan.here.contains(&1));
        assert!(plan.elsewhere.contains_key(&3600));
    }
}
