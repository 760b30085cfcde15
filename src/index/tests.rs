use std::fs;
use std::io::ErrorKind;
use std::ops::{Bound, Range};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tantivy::IndexSortByField;
use tantivy::index::{IndexSettings, Order};
use tempfile::TempDir;

use super::schema::Fields;
use super::*;
use crate::evidence::{Comparison, Filter, JourneyId, Literal, Nanos};

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;
const ALWAYS: Range<Nanos> = Nanos(0)..Nanos(u64::MAX);

fn settings(dir: &Path) -> Settings {
    Settings {
        dir: dir.to_owned(),
        bucket: Duration::from_secs(3600),
        keep: Duration::from_secs(24 * 3600),
        bytes_max: 1 << 30,
        memory: 15_000_000,
        text_bytes_max: 1024,
    }
}

fn index() -> (TempDir, Writer, Searcher) {
    let dir = tempfile::tempdir().unwrap();
    let (writer, searcher) = Writer::open(settings(dir.path()), Nanos(0)).unwrap();
    (dir, writer, searcher)
}

fn journey(id: u128, start: u64) -> Document {
    let stored = id.to_string().into_bytes();
    Document { start: Nanos(start), stored, ..Document::new(JourneyId(id)) }
}

/// A running writer replaces files by temporary ones: what is gone by now was never committed.
fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().flatten() {
        let copied = fs::copy(file.path(), to.join(file.file_name()));
        let gone = copied.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        assert!(copied.is_ok() || gone, "{copied:?}");
    }
}

fn texts(values: &[&str]) -> Vec<Arc<str>> {
    values.iter().map(|value| Arc::from(*value)).collect()
}

/// An index with these journeys, committed.
fn index_of(documents: &[Document]) -> (TempDir, Searcher) {
    let (dir, mut writer, searcher) = index();
    for document in documents {
        writer.put(document, Nanos(0)).unwrap();
    }
    writer.commit(Nanos(0), "").unwrap();
    (dir, searcher)
}

fn found(searcher: &Searcher, filter: &Filter) -> Vec<u128> {
    let page = searcher.search(filter, &ALWAYS, 100, None).unwrap();
    page.hits.iter().map(|hit| hit.id.0).collect()
}

fn equal(name: &'static str, literal: Literal) -> Filter {
    Filter::Field { name, is: Comparison::Equal(literal) }
}

fn text(name: &'static str, value: &str) -> Filter {
    equal(name, Literal::Text(value.to_owned()))
}

#[test]
fn what_is_not_committed_does_not_appear() {
    let (_dir, mut writer, searcher) = index();
    writer.put(&journey(1, 1), Nanos(0)).unwrap();
    assert_eq!(found(&searcher, &Filter::All), [0; 0]);
}

#[test]
fn committed_survives_a_crash_and_uncommitted_does_not() {
    let (dir, mut writer, _searcher) = index();
    writer.put(&journey(1, 1), Nanos(0)).unwrap();
    writer.commit(Nanos(0), "to 1").unwrap();
    writer.put(&journey(2, 2), Nanos(0)).unwrap();
    drop(writer);

    let (writer, searcher) = Writer::open(settings(dir.path()), Nanos(0)).unwrap();
    assert_eq!((found(&searcher, &Filter::All), writer.payload()), (vec![1], "to 1"));
}

#[test]
fn a_copy_of_the_files_under_a_running_writer_opens_at_its_last_commit() {
    let (dir, mut writer, _searcher) = index();
    writer.put(&journey(1, 1), Nanos(0)).unwrap();
    writer.commit(Nanos(0), "to 1").unwrap();
    for id in 2..200 {
        writer.put(&journey(id, 2), Nanos(0)).unwrap();
    }
    let image = tempfile::tempdir().unwrap();
    copy_files(&dir.path().join("0"), &image.path().join("0"));

    let (writer, searcher) = Writer::open(settings(image.path()), Nanos(0)).unwrap();
    assert_eq!((found(&searcher, &Filter::All), writer.payload()), (vec![1], "to 1"));
}

#[test]
fn a_crash_before_the_old_version_is_deleted_is_mended_by_the_replay() {
    let (dir, mut writer, _searcher) = index();
    writer.put(&Document { evidence: 1, ..journey(1, 1) }, Nanos(0)).unwrap();
    writer.commit(Nanos(0), "a").unwrap();
    let image = tempfile::tempdir().unwrap();
    copy_files(&dir.path().join("0"), image.path());
    let amended = Document { evidence: 2, ..journey(1, 2) };
    writer.replace(&amended, Nanos(HOUR)).unwrap();
    writer.commit(Nanos(HOUR), "b").unwrap();
    drop(writer);
    fs::remove_dir_all(dir.path().join("0")).unwrap();
    copy_files(image.path(), &dir.path().join("0"));

    let (mut writer, searcher) = Writer::open(settings(dir.path()), Nanos(HOUR)).unwrap();
    assert_eq!(searcher.get(JourneyId(1)).map(|hit| hit.evidence), Some(2));
    writer.put_replayed(&amended, Nanos(HOUR)).unwrap();
    writer.commit(Nanos(HOUR), "c").unwrap();
    assert_eq!(found(&searcher, &Filter::All), [1]);
}

#[test]
fn the_payload_of_the_last_commit_counts_whatever_the_clock_did() {
    let (dir, mut writer, _searcher) = index();
    for (now, payload) in [(5 * HOUR, "first"), (0, "second")] {
        writer.put(&journey(u128::from(now), 1), Nanos(now)).unwrap();
        writer.commit(Nanos(now), payload).unwrap();
    }
    drop(writer);
    let (writer, _) = Writer::open(settings(dir.path()), Nanos(0)).unwrap();
    assert_eq!(writer.payload(), "second");
}

#[test]
fn a_replaced_journey_is_there_once_with_its_new_summary() {
    let (_dir, mut writer, searcher) = index();
    writer.put(&journey(1, 1), Nanos(0)).unwrap();
    writer.commit(Nanos(0), "a").unwrap();
    let amended = Document { stored: b"new".to_vec(), ..journey(1, 1) };
    writer.replace(&amended, Nanos(0)).unwrap();
    writer.commit(Nanos(0), "b").unwrap();

    let page = searcher.search(&Filter::All, &ALWAYS, 10, None).unwrap();
    let stored: Vec<_> = page.hits.iter().map(|hit| hit.stored.as_slice()).collect();
    assert_eq!(stored, [b"new"]);
}

#[test]
fn a_journey_put_and_replaced_in_one_commit_is_there_once() {
    let (_dir, mut writer, searcher) = index();
    writer.put(&journey(1, 1), Nanos(0)).unwrap();
    writer.replace(&journey(1, 2), Nanos(0)).unwrap();
    writer.commit(Nanos(0), "").unwrap();
    assert_eq!(found(&searcher, &Filter::All), [1]);
}

#[test]
fn a_journey_of_an_older_bucket_is_replaced_across_buckets() {
    let (dir, mut writer, searcher) = index();
    for (hour, start) in [(0, 1), (1, 2), (2, 3)] {
        writer.put(&journey(start, hour), Nanos(hour * HOUR)).unwrap();
        writer.commit(Nanos(hour * HOUR), "").unwrap();
    }
    writer.replace(&journey(1, 9), Nanos(2 * HOUR)).unwrap();
    writer.replace(&journey(2, 8), Nanos(2 * HOUR)).unwrap();
    writer.commit(Nanos(2 * HOUR), "end").unwrap();
    assert_eq!(found(&searcher, &Filter::All), [1, 2, 3]);

    drop(writer);
    let (writer, searcher) = Writer::open(settings(dir.path()), Nanos(2 * HOUR)).unwrap();
    assert_eq!((found(&searcher, &Filter::All), writer.payload()), (vec![1, 2, 3], "end"));
}

#[test]
fn a_retracted_journey_is_gone() {
    let (_dir, mut writer, searcher) = index();
    writer.put(&journey(1, 1), Nanos(0)).unwrap();
    writer.put(&journey(2, 2), Nanos(0)).unwrap();
    writer.commit(Nanos(0), "a").unwrap();
    writer.retract(JourneyId(1)).unwrap();
    writer.commit(Nanos(0), "b").unwrap();
    assert_eq!(found(&searcher, &Filter::All), [2]);
}

#[test]
fn replaying_the_log_indexes_nothing_twice() {
    let (_dir, mut writer, searcher) = index();
    let whole = Document { evidence: 5, ..journey(1, 1) };
    writer.put(&whole, Nanos(0)).unwrap();
    writer.commit(Nanos(0), "a").unwrap();

    let (less, more) =
        (Document { evidence: 4, ..journey(1, 1) }, Document { evidence: 6, ..journey(2, 2) });
    writer.put_replayed(&less, Nanos(HOUR)).unwrap();
    writer.put_replayed(&more, Nanos(HOUR)).unwrap();
    writer.commit(Nanos(HOUR), "b").unwrap();

    let page = searcher.search(&Filter::All, &ALWAYS, 10, None).unwrap();
    let evidence: Vec<_> = page.hits.iter().map(|hit| (hit.id.0, hit.evidence)).collect();
    assert_eq!(evidence, [(2, 6), (1, 5)]);
}

#[test]
fn more_than_memory_is_committed_early_under_the_last_payload() {
    let dir = tempfile::tempdir().unwrap();
    let tiny = Settings { memory: 1, ..settings(dir.path()) };
    let (mut writer, searcher) = Writer::open(tiny, Nanos(0)).unwrap();
    writer.commit(Nanos(0), "before").unwrap();
    writer.put(&journey(1, 1), Nanos(0)).unwrap();
    writer.replace(&journey(1, 2), Nanos(0)).unwrap();

    assert_eq!(searcher.get(JourneyId(1)).map(|hit| hit.start), Some(Nanos(2)));
    assert_eq!((searcher.status().docs, writer.payload()), (1, "before"));
}

#[test]
fn old_buckets_are_retired_whole_and_the_current_one_never() {
    let (dir, mut writer, searcher) = index();
    for hour in [0, 1, 30] {
        writer.put(&journey(u128::from(hour), hour), Nanos(hour * HOUR)).unwrap();
        writer.commit(Nanos(hour * HOUR), "").unwrap();
    }
    let retired = writer.retire(Nanos(26 * HOUR)).unwrap();
    assert_eq!((retired.buckets, retired.docs), (2, 2));
    assert_eq!(found(&searcher, &Filter::All), [30]);
    assert!(!dir.path().join("0").exists());

    assert_eq!(writer.retire(Nanos(u64::MAX)).unwrap(), Retired::default());
}

#[test]
fn the_oldest_bucket_is_retired_when_there_are_too_many_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let small = Settings { bytes_max: 1, ..settings(dir.path()) };
    let (mut writer, searcher) = Writer::open(small, Nanos(0)).unwrap();
    for hour in [0, 1] {
        writer.put(&journey(u128::from(hour), hour), Nanos(hour * HOUR)).unwrap();
        writer.commit(Nanos(hour * HOUR), "").unwrap();
    }
    assert_eq!(writer.retire(Nanos(HOUR)).unwrap().buckets, 1);
    assert_eq!(found(&searcher, &Filter::All), [1]);
}

#[test]
fn a_damaged_bucket_is_moved_aside_and_the_others_are_read() {
    let (dir, mut writer, _searcher) = index();
    for hour in [0, 1] {
        writer.put(&journey(u128::from(hour), hour), Nanos(hour * HOUR)).unwrap();
        writer.commit(Nanos(hour * HOUR), "").unwrap();
    }
    drop(writer);
    fs::write(dir.path().join("0/meta.json"), "{").unwrap();

    let (_writer, searcher) = Writer::open(settings(dir.path()), Nanos(HOUR)).unwrap();
    assert_eq!((found(&searcher, &Filter::All), searcher.status().unreadable), (vec![1], 1));
}

#[test]
fn a_bucket_whose_texts_are_columns_too_is_read_and_written_on() {
    let dir = tempfile::tempdir().unwrap();
    let before = dir.path().join("0");
    fs::create_dir(&before).unwrap();
    let newest_first = IndexSortByField { field: "start".to_owned(), order: Order::Desc };
    let fields = Fields { schema: Fields::schema_of_before(), ..Fields::new() };
    let index = tantivy::Index::builder()
        .schema(fields.schema.clone())
        .tokenizers(fields.tokenizers.clone())
        .settings(IndexSettings { sort_by_field: Some(newest_first), ..IndexSettings::default() })
        .register_plugin(Arc::new(plugin::Ids { id_low: fields.id_low, request: fields.request }))
        .create_in_dir(&before)
        .unwrap();
    let of_cart = |id| Document { services: texts(&["Cart"]), ..journey(id, 1) };
    let mut writer = index.writer_with_num_threads(1, 15_000_000).unwrap();
    writer.add_document(of_cart(1).lower(&fields, &settings(dir.path())).unwrap().0).unwrap();
    writer.commit().unwrap();
    drop((writer, index));

    let (mut writer, searcher) = Writer::open(settings(dir.path()), Nanos(0)).unwrap();
    writer.put(&of_cart(2), Nanos(0)).unwrap();
    writer.put(&journey(3, 1), Nanos(0)).unwrap();
    writer.commit(Nanos(0), "").unwrap();

    let exists = Filter::Field { name: "service", is: Comparison::Exists };
    for filter in [text("service", "cart"), exists] {
        let mut found = found(&searcher, &filter);
        found.sort_unstable();
        assert_eq!(found, [1, 2]);
    }
}

#[test]
fn a_truncated_segment_moves_its_bucket_aside() {
    let (dir, mut writer, _searcher) = index();
    writer.put(&journey(1, 1), Nanos(0)).unwrap();
    writer.commit(Nanos(0), "").unwrap();
    drop(writer);
    for file in fs::read_dir(dir.path().join("0")).unwrap().flatten() {
        if file.path().extension().is_some_and(|ending| ending == "fast") {
            fs::write(file.path(), b"short").unwrap();
        }
    }
    let (_writer, searcher) = Writer::open(settings(dir.path()), Nanos(0)).unwrap();
    assert_eq!((searcher.status().docs, searcher.status().unreadable), (0, 1));
}

#[test]
fn a_writer_whose_directory_vanished_says_why_and_stays_dead() {
    let (dir, mut writer, _searcher) = index();
    fs::remove_dir_all(dir.path().join("0")).unwrap();
    writer.put(&journey(1, 1), Nanos(0)).unwrap();
    let error = writer.commit(Nanos(0), "").unwrap_err();
    assert!(matches!(error, Error::Write { bucket: 0, .. }), "{error:?}");
    assert!(matches!(writer.put(&journey(1, 1), Nanos(0)), Err(Error::Dead)));
}

#[test]
fn pages_over_buckets_and_equal_starts_have_no_gap_and_no_repeat() {
    let (_dir, mut writer, searcher) = index();
    // Arrival and start disagree, and every start is there four times.
    for id in 0..60_u64 {
        let now = Nanos(id % 3 * HOUR);
        writer.put(&journey(id.into(), 1000 - id % 15), now).unwrap();
        if id % 7 == 0 {
            writer.commit(now, &id.to_string()).unwrap();
        }
    }
    writer.commit(Nanos(0), "end").unwrap();

    let mut expected: Vec<_> = (0..60).map(|id| (1000 - id % 15, u128::from(id))).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = searcher.search(&Filter::All, &ALWAYS, 7, after).unwrap();
        pages.extend(page.hits.iter().map(|hit| (hit.start.0, hit.id.0)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(pages, expected);
}

#[test]
fn the_range_takes_its_first_moment_and_not_its_last() {
    let (_dir, searcher) = index_of(&[1, 2, 3, 4].map(|id| journey(id.into(), id)));
    let page = searcher.search(&Filter::All, &(Nanos(2)..Nanos(4)), 10, None).unwrap();
    assert_eq!(page.hits.iter().map(|hit| hit.id.0).collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn a_journey_is_found_by_its_id_and_by_its_request_ids() {
    let requests = vec![7, 8];
    let (_dir, searcher) =
        index_of(&[Document { requests, ..journey(u128::MAX - 1, 5) }, journey(2, 6)]);
    assert_eq!(searcher.get(JourneyId(u128::MAX - 1)).map(|hit| hit.start), Some(Nanos(5)));
    assert_eq!(searcher.get(JourneyId(3)), None);
    assert_eq!(searcher.by_request(8).len(), 1);
    assert_eq!(found(&searcher, &equal("id", Literal::Id(2))), [2]);
}

#[test]
fn two_ids_with_one_lower_half_are_told_apart() {
    let (_dir, searcher) = index_of(&[journey(1, 1), journey(1 | 1 << 64, 2)]);
    assert_eq!(searcher.get(JourneyId(1)).map(|hit| hit.start), Some(Nanos(1)));
}

#[test]
fn words_phrases_and_prefixes_are_found_without_regard_to_case() {
    let said =
        Document { text: "Payment failed: card_declined by BANK".to_owned(), ..journey(1, 1) };
    let (_dir, searcher) = index_of(&[said, journey(2, 2)]);
    let word = |word: &str| found(&searcher, &Filter::Word(word.to_owned()));
    let phrase = |words: &[&str]| {
        found(&searcher, &Filter::Phrase(words.iter().map(|&w| w.into()).collect()))
    };
    assert_eq!(word("bank"), [1]);
    assert_eq!(word("declined"), [1]);
    assert_eq!(word("CARD_DECLINED"), [1]);
    assert_eq!(word("declined_card"), [0; 0]);
    assert_eq!(phrase(&["failed", "card"]), [1]);
    assert_eq!(phrase(&["card", "failed"]), [0; 0]);
    assert_eq!(found(&searcher, &Filter::Prefix("Decl".to_owned())), [1]);
    assert_eq!(found(&searcher, &Filter::Prefix("card_decl".to_owned())), [1]);
    assert_eq!(found(&searcher, &Filter::Prefix("eclined".to_owned())), [0; 0]);
}

#[test]
fn whole_values_are_compared_without_regard_to_case() {
    let cart = Document { services: texts(&["Cart-API", "db"]), ..journey(1, 1) };
    let (_dir, searcher) = index_of(&[cart, journey(2, 2)]);
    let starts =
        |text: &str| Filter::Field { name: "service", is: Comparison::StartsWith(text.to_owned()) };
    assert_eq!(found(&searcher, &text("service", "cart-api")), [1]);
    assert_eq!(found(&searcher, &text("service", "cart")), [0; 0]);
    assert_eq!(found(&searcher, &starts("CART")), [1]);
    let exists = Filter::Field { name: "service", is: Comparison::Exists };
    assert_eq!(found(&searcher, &exists), [1]);
}

#[test]
fn a_range_takes_any_of_the_values() {
    let (_dir, searcher) = index_of(&[
        Document { statuses: vec![200, 503], ..journey(1, 1) },
        Document { statuses: vec![404], ..journey(2, 2) },
    ]);
    let within = |from, to| Filter::Field { name: "status", is: Comparison::Within(from, to) };
    assert_eq!(found(&searcher, &within(Bound::Included(500), Bound::Unbounded)), [1]);
    assert_eq!(found(&searcher, &within(Bound::Unbounded, Bound::Excluded(404))), [1]);
    assert_eq!(found(&searcher, &equal("status", Literal::Number(404))), [2]);
}

#[test]
fn what_is_excluded_is_excluded_inside_an_or_as_well() {
    let (_dir, searcher) = index_of(&[
        Document { failed: true, ..journey(1, 1) },
        Document { methods: texts(&["GET"]), ..journey(2, 2) },
        journey(3, 3),
    ]);
    let failed = equal("failed", Literal::Flag(true));
    let not_get = Filter::Not(Box::new(text("method", "GET")));
    assert_eq!(found(&searcher, &not_get), [3, 1]);
    let both = Filter::And(vec![failed.clone(), not_get.clone()]);
    assert_eq!(found(&searcher, &both), [1]);
    let either = Filter::Or(vec![failed, Filter::Not(Box::new(not_get))]);
    assert_eq!(found(&searcher, &either), [2, 1]);
}

#[test]
fn a_field_compared_against_its_kind_is_refused() {
    let (_dir, searcher) = index_of(&[]);
    let wrong = text("duration", "long");
    let refused = searcher.search(&wrong, &ALWAYS, 1, None);
    assert!(matches!(refused, Err(Error::Comparison { name: "duration" })));
}

#[test]
fn a_text_that_is_too_long_is_cut_marked_and_counted() {
    let long = Document { text: format!("{} tail", "é".repeat(600)), ..journey(1, 1) };
    let (_dir, searcher) = index_of(&[long, journey(2, 2)]);
    assert_eq!(found(&searcher, &Filter::Word("tail".to_owned())), [0; 0]);
    assert_eq!(found(&searcher, &text("detail", TEXT_CUT)), [1]);
    assert_eq!(searcher.status().texts_cut, 1);
}

#[test]
fn a_value_that_is_too_long_is_cut_and_counted_and_still_found() {
    let long = "x".repeat(70_000);
    let (_dir, searcher) = index_of(&[Document { services: texts(&[&long]), ..journey(1, 1) }]);
    assert_eq!(found(&searcher, &text("service", &long)), [1]);
    assert_eq!(searcher.status().values_cut, 1);
}

#[test]
fn a_summary_that_is_too_large_is_refused() {
    let (_dir, mut writer, _searcher) = index();
    let large = Document { stored: vec![0; 70_000], ..journey(1, 1) };
    assert!(matches!(writer.put(&large, Nanos(0)), Err(Error::Stored { bytes: 70_000, .. })));
}

#[test]
fn the_status_counts_what_is_there() {
    let (_dir, searcher) = index_of(&[journey(1, 5), journey(2, 9)]);
    let status = searcher.status();
    assert_eq!((status.buckets, status.docs), (1, 2));
    assert!(status.oldest <= Some(Nanos(5)) && status.newest >= Some(Nanos(9)));
    assert!(status.bytes > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]
    /// Against a list: any mix of puts, versions, retractions, commits, hours and merges.
    #[test]
    fn the_index_holds_the_last_version_of_each_journey(
        steps in prop::collection::vec((0..12_u64, 0..6_u64, 0..50_u64, 0..4_u64), 1..60),
    ) {
        let (_dir, mut writer, searcher) = index();
        let mut model = std::collections::BTreeMap::new();
        for (at, (id, what, start, hour)) in steps.into_iter().enumerate() {
            let (now, id) = (Nanos(hour * HOUR), u128::from(id));
            let document = Document { evidence: u32::try_from(at).unwrap(), ..journey(id, start) };
            match what {
                0 => {
                    writer.retract(JourneyId(id)).unwrap();
                    model.remove(&id);
                }
                1 => writer.commit(now, &at.to_string()).unwrap(),
                2 if !model.contains_key(&id) => {
                    writer.put(&document, now).unwrap();
                    model.insert(id, start);
                }
                3 => {
                    writer.put_replayed(&document, now).unwrap();
                    model.insert(id, start);
                }
                _ => {
                    writer.replace(&document, now).unwrap();
                    model.insert(id, start);
                }
            }
        }
        writer.commit(Nanos(0), "end").unwrap();
        let mut expected: Vec<_> = model.into_iter().map(|(id, start)| (start, id)).collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        let page = searcher.search(&Filter::All, &ALWAYS, 100, None).unwrap();
        let found: Vec<_> = page.hits.iter().map(|hit| (hit.start.0, hit.id.0)).collect();
        prop_assert_eq!(found, expected);
    }
}
