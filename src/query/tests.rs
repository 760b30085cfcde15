use std::ops::Bound;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::evidence::{Comparison, Filter, JourneyId, Literal, Nanos};
use crate::index::{Document, Settings, Writer};

fn filter(text: &str) -> Filter {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn word(text: &str) -> Filter {
    Filter::Word(text.to_owned())
}

fn equal(name: &'static str, literal: Literal) -> Filter {
    Filter::Field { name, is: Comparison::Equal(literal) }
}

fn text(name: &'static str, value: &str) -> Filter {
    equal(name, Literal::Text(value.to_owned()))
}

fn within(name: &'static str, from: Bound<u64>, to: Bound<u64>) -> Filter {
    Filter::Field { name, is: Comparison::Within(from, to) }
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn refused(text: &str) -> Error {
    parse(text).expect_err(text)
}

#[test]
fn the_empty_query_selects_everything() {
    assert_eq!(filter("  "), Filter::All);
}

#[test]
fn words_beside_each_other_must_all_hold() {
    assert_eq!(filter("failed to connect"), filter("failed AND to and connect"));
    assert_eq!(filter("a b"), Filter::And(vec![word("a"), word("b")]));
}

#[test]
fn and_binds_closer_than_or() {
    let expected = Filter::Or(vec![word("a"), Filter::And(vec![word("b"), word("c")])]);
    assert_eq!(filter("a or b c"), expected);
    assert_eq!(filter("a || (b && c)"), expected);
}

#[test]
fn everything_can_be_negated_in_three_ways() {
    let expected = not(text("service", "cart"));
    for query in ["NOT svc:cart", "-svc:cart", "!svc:cart", "not (svc:cart)", "svc:!=cart"] {
        assert_eq!(filter(query), expected, "{query}");
    }
}

#[test]
fn quotes_make_a_phrase_and_a_star_a_prefix() {
    let phrase = Filter::Phrase(vec!["card".to_owned(), "declined".to_owned()]);
    assert_eq!(filter(r#""card declined""#), phrase);
    assert_eq!(filter("time*"), Filter::Prefix("time".to_owned()));
    assert_eq!(filter(r#""AND""#), word("AND"));
    assert_eq!(filter(r#""say \"no\\""#), Filter::Phrase(vec!["say".into(), "\"no\\".into()]));
}

#[test]
fn a_value_needs_no_quotes_for_a_route_or_an_address() {
    assert_eq!(filter("path:/cart/{id}"), text("route", "/cart/{id}"));
    assert_eq!(filter("peer:10.0.0.1:80"), text("peer", "10.0.0.1:80"));
    assert_eq!(filter(r#"route:"GET /cart""#), text("route", "GET /cart"));
}

#[test]
fn a_field_can_be_asked_for_a_prefix_or_any_value() {
    let starts =
        |text: &str| Filter::Field { name: "version", is: Comparison::StartsWith(text.to_owned()) };
    assert_eq!(filter("version:1.2*"), starts("1.2"));
    assert_eq!(filter(r#"version:"1 2"*"#), starts("1 2"));
    assert_eq!(filter("version:*"), Filter::Field { name: "version", is: Comparison::Exists });
}

#[test]
fn numbers_are_compared_by_range_class_and_list() {
    let server_errors = within("status", Bound::Included(500), Bound::Included(599));
    assert_eq!(filter("status:5xx"), server_errors);
    assert_eq!(filter("status_code:[500 to 599]"), server_errors);
    assert_eq!(filter("status:>=500"), within("status", Bound::Included(500), Bound::Unbounded));
    assert_eq!(filter("status:<500"), within("status", Bound::Unbounded, Bound::Excluded(500)));
    assert_eq!(filter("status:[500 TO *]"), filter("status:>=500"));
    let number = |number| equal("status", Literal::Number(number));
    assert_eq!(filter("status:in [500 503]"), Filter::Or(vec![number(500), number(503)]));
}

#[test]
fn a_duration_is_compared_in_its_unit() {
    let slow = within("duration", Bound::Excluded(1_500_000_000), Bound::Unbounded);
    assert_eq!(filter("dur:>1.5s"), slow);
    assert_eq!(filter("duration: > 1500ms"), slow);
}

#[test]
fn a_bare_id_is_looked_up_before_it_is_a_word() {
    let hex = "0af7651916cd43dd8448eb211c80319c";
    let expected = Filter::Or(vec![
        equal("id", Literal::Id(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c)),
        text("request", hex),
        word(hex),
    ]);
    assert_eq!(filter(hex), expected);
    assert_eq!(filter(&format!("\"{hex}\"")), word(hex));
    assert!(matches!(filter("0af76519-16cd-43dd-8448-eb211c80319c"), Filter::Or(_)));
    assert!(matches!(filter("00f067aa0ba902b7"), Filter::Or(_)));
}

#[test]
fn an_unknown_field_is_refused_where_it_is_with_the_nearest_name() {
    let error = refused("failed:true servce:cart");
    assert_eq!((error.at, error.hint.as_deref()), (12, Some("did you mean service?")));
}

#[test]
fn a_value_of_the_wrong_type_is_refused_where_it_is() {
    for (query, at) in [
        ("status:high", 7),
        ("a duration:>5", 12),
        ("failed:maybe", 7),
        ("id:12", 3),
        ("service:>cart", 9),
        ("status:50*", 7),
        ("request:-", 8),
        ("service:[a TO b]", 9),
        ("peer:[::1]:80", 5),
        ("status:[599 TO 500]", 7),
        ("service:\"\"", 8),
    ] {
        assert_eq!(refused(query).at, at, "{query}");
    }
}

#[test]
fn what_is_not_finished_is_refused() {
    for query in [
        "(a",
        "a)",
        "\"a",
        "a AND",
        "OR a",
        "NOT",
        "svc:",
        "status:[1 2",
        "()",
        "status:in []",
        "-",
    ] {
        assert!(parse(query).is_err(), "{query}");
    }
}

#[test]
fn a_star_stands_only_at_the_end() {
    assert_eq!(refused("svc:a*b").at, 5);
    assert_eq!(refused("*lock*").at, 0);
}

#[test]
fn a_query_has_its_longest_its_deepest_and_its_most() {
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(31)).is_ok());
    for deep in [nested(32), nested(4000), "-".repeat(4000) + "a", "NOT ".repeat(40) + "a"] {
        assert!(refused(&deep).message.contains("deeper"), "{deep}");
    }
    assert!(parse(&"a ".repeat(256)).is_ok());
    assert!(refused(&"a OR ".repeat(400)).message.contains("more than"));
    assert!(refused(&"a".repeat(8193)).message.contains("longer"));
}

/// Text that is often nearly a query.
fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop::sample::select(vec![
        "(",
        ")",
        "[",
        "]",
        "\"",
        "-",
        "!",
        "*",
        ":",
        " ",
        " ",
        "AND",
        "or",
        "NOT ",
        "svc:",
        "status:",
        "duration:",
        "failed:",
        "id:",
        "request:",
        ">=",
        "<",
        "!=",
        "5xx",
        "500",
        "1.5s",
        "true",
        " TO ",
        "IN ",
        "cart",
        "/a/{b}",
        "é",
        "\\",
        "0af7651916cd43dd8448eb211c80319c",
    ]);
    prop::collection::vec(fragment, 0..14).prop_map(|parts| parts.concat())
}

/// Text that is always a query.
fn queries() -> impl Strategy<Value = String> {
    let clause = prop::sample::select(vec![
        "cart",
        "*",
        "tim*",
        "\"card declined\"",
        "\"or\"",
        "\"a\\\"b\"",
        "svc:cart",
        "svc:*",
        "route:/a/{b}*",
        "status:5xx",
        "status:[400 TO *]",
        "dur:>1.5s",
        "dur:<=250ms",
        "err:true",
        "id:0af7651916cd43dd8448eb211c80319c",
        "request:a-b",
        "status:IN [500 503]",
        "ns:!=kube",
        "0af7651916cd43dd8448eb211c80319c",
        "\"10.0.0.1 80\"*",
        "evidence:0",
        "dur:0ns",
    ]);
    clause.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
        let many = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            inner.prop_map(|part| format!("NOT ({part})")),
            many.clone().prop_map(|parts| format!("({})", parts.join(" "))),
            many.prop_map(|parts| format!("({})", parts.join(" OR "))),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_within_itself(text in any::<String>()) {
        if let Err(error) = parse(&text) {
            prop_assert!(error.at <= text.len());
        }
    }

    #[test]
    fn nearly_a_query_is_read_or_refused_within_itself(text in fragments()) {
        match parse(&text) {
            Err(error) => prop_assert!(error.at <= text.len()),
            Ok(filter) => prop_assert_eq!(parse(&Canonical(&filter).to_string()), Ok(filter)),
        }
    }

    #[test]
    fn a_filter_is_read_back_from_its_canonical_form(query in queries()) {
        let filter = filter(&query);
        prop_assert_eq!(parse(&Canonical(&filter).to_string()), Ok(filter));
    }
}

fn searcher(dir: &Path) -> crate::index::Searcher {
    let settings = Settings {
        dir: dir.to_owned(),
        bucket: Duration::from_secs(3600),
        keep: Duration::from_secs(3600),
        bytes_max: u64::MAX,
        memory: 15_000_000,
        text_bytes_max: 1024,
    };
    let (mut writer, searcher) = Writer::open(settings, Nanos(0)).unwrap();
    for id in 1..=5 {
        let document = Document {
            start: Nanos(id),
            statuses: vec![500],
            services: vec!["Cart".into()],
            text: "card_declined".to_owned(),
            ..Document::new(JourneyId(id.into()))
        };
        writer.put(&document, Nanos(0)).unwrap();
    }
    writer.commit(Nanos(0), "").unwrap();
    searcher
}

fn ask(q: &str, cursor: Option<String>) -> Ask {
    Ask { q: q.to_owned(), from: Nanos(0), to: Nanos(100), limit: 2, cursor }
}

#[test]
fn pages_of_a_query_follow_each_other_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let searcher = searcher(dir.path());
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let answer = search(&searcher, &ask("svc:cart 5xx OR status:5xx", cursor)).unwrap();
        found.extend(answer.hits.iter().map(|hit| hit.id.0));
        cursor = answer.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, [5, 4, 3, 2, 1]);
}

#[test]
fn a_cursor_belongs_to_its_query_however_that_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let searcher = searcher(dir.path());
    let cursor = search(&searcher, &ask("svc:cart", None)).unwrap().next_cursor;
    assert!(search(&searcher, &ask("SERVICE:\"cart\"", cursor.clone())).is_ok());
    assert!(matches!(search(&searcher, &ask("card", cursor)), Err(Failure::Cursor)));
}

#[test]
fn a_question_out_of_bounds_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let searcher = searcher(dir.path());
    let many = Ask { limit: 1001, ..ask("", None) };
    assert!(matches!(search(&searcher, &many), Err(Failure::Limit { got: 1001 })));
    let backwards = Ask { from: Nanos(200), ..ask("", None) };
    assert!(matches!(search(&searcher, &backwards), Err(Failure::Range)));
}
