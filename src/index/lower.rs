//! Turns a filter into a tantivy query.

use std::ops::Bound;
use std::sync::Arc;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, ExistsQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query,
    RangeQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::Error;
use super::analyzer::{self, terms};
use super::lookup::{Ids, Wanted};
use super::schema::{Fields, Kind, kind};
use crate::evidence::{Comparison, Filter, Literal, RequestKey};

/// How many words the last, unfinished part of a word with several parts may stand for.
const EXPANSIONS_MAX: u32 = 10_000;

type Clause = (Occur, Box<dyn Query>);

/// The query that selects what the filter does.
pub(super) fn lower(fields: &Fields, filter: &Filter) -> Result<Box<dyn Query>, Error> {
    Ok(match filter {
        Filter::All => Box::new(AllQuery),
        Filter::And(parts) => all_of(fields, parts)?,
        Filter::Or(parts) => {
            let parts = parts.iter().map(|part| lower(fields, part));
            Box::new(BooleanQuery::union(parts.collect::<Result<_, _>>()?))
        }
        Filter::Not(part) => all_of(fields, &[Filter::Not(part.clone())])?,
        Filter::Word(word) => words(fields, &terms(&fields.tokenizers, analyzer::TEXT, word)),
        Filter::Phrase(phrase) => {
            let parts = phrase.iter().flat_map(|w| terms(&fields.tokenizers, analyzer::TEXT, w));
            words(fields, &parts.collect::<Vec<_>>())
        }
        Filter::Prefix(word) => {
            prefix(fields.text, &terms(&fields.tokenizers, analyzer::TEXT, word))
        }
        Filter::Field { name, is } => field(fields, name, is)?,
    })
}

/// What is excluded must be excluded from something.
fn all_of(fields: &Fields, parts: &[Filter]) -> Result<Box<dyn Query>, Error> {
    let mut clauses: Vec<Clause> = Vec::new();
    for part in parts {
        clauses.push(match part {
            Filter::Not(inner) => (Occur::MustNot, lower(fields, inner)?),
            other => (Occur::Must, lower(fields, other)?),
        });
    }
    if clauses.iter().all(|(occur, _)| *occur == Occur::MustNot) {
        clauses.push((Occur::Must, Box::new(AllQuery)));
    }
    Ok(Box::new(BooleanQuery::new(clauses)))
}

fn words(fields: &Fields, words: &[String]) -> Box<dyn Query> {
    let mut terms: Vec<Term> =
        words.iter().map(|word| Term::from_field_text(fields.text, word)).collect();
    match terms.len() {
        0 => Box::new(EmptyQuery),
        1 => Box::new(TermQuery::new(terms.swap_remove(0), IndexRecordOption::Basic)),
        _ => Box::new(PhraseQuery::new(terms)),
    }
}

fn prefix(field: Field, parts: &[String]) -> Box<dyn Query> {
    if parts.is_empty() {
        return Box::new(EmptyQuery);
    }
    let terms: Vec<Term> = parts.iter().map(|part| Term::from_field_text(field, part)).collect();
    let single = terms.len() == 1;
    let mut query = PhrasePrefixQuery::new(terms);
    query.set_max_expansions(if single { u32::MAX } else { EXPANSIONS_MAX });
    Box::new(query)
}

fn field(fields: &Fields, name: &'static str, is: &Comparison) -> Result<Box<dyn Query>, Error> {
    let wrong = || Error::Comparison { name };
    match (kind(name).ok_or_else(wrong)?, is) {
        (Kind::Id, Comparison::Exists) => Ok(Box::new(AllQuery)),
        // Any term will do.
        (Kind::Text, Comparison::Exists) => {
            let field = fields.text(name).ok_or_else(wrong)?;
            Ok(prefix(field, &[String::new()]))
        }
        (_, Comparison::Exists) => Ok(Box::new(ExistsQuery::new(name.to_owned(), false))),
        (Kind::Id, Comparison::Equal(Literal::Id(id))) => {
            Ok(Box::new(Wanted::Journeys(Arc::new(Ids::from_iter([*id])))))
        }
        (Kind::Request, Comparison::Equal(literal)) => request(literal).ok_or_else(wrong),
        (Kind::Flag, Comparison::Equal(Literal::Flag(flag))) => {
            let term = Term::from_field_bool(fields.failed, *flag);
            Ok(Box::new(TermQuery::new(term, IndexRecordOption::Basic)))
        }
        (Kind::Number | Kind::Duration, Comparison::Equal(Literal::Number(number))) => {
            let field = fields.number(name).ok_or_else(wrong)?;
            Ok(range(field, Bound::Included(*number), Bound::Included(*number)))
        }
        (Kind::Number | Kind::Duration, Comparison::Within(from, to)) => {
            Ok(range(fields.number(name).ok_or_else(wrong)?, *from, *to))
        }
        (Kind::Text, Comparison::Equal(Literal::Text(text))) => {
            let field = fields.text(name).ok_or_else(wrong)?;
            let value = terms(&fields.tokenizers, analyzer::KEYWORD, text).concat();
            let term = Term::from_field_text(field, &value);
            Ok(Box::new(TermQuery::new(term, IndexRecordOption::Basic)))
        }
        (Kind::Text, Comparison::StartsWith(text)) => {
            let field = fields.text(name).ok_or_else(wrong)?;
            Ok(prefix(field, &terms(&fields.tokenizers, analyzer::KEYWORD, text)))
        }
        _ => Err(wrong()),
    }
}

/// The index holds digests of request ids, so a text is digested first.
fn request(literal: &Literal) -> Option<Box<dyn Query>> {
    let key = match literal {
        Literal::Number(key) => Some(*key),
        Literal::Text(text) => RequestKey::new(text).map(|key| key.0.get()),
        Literal::Id(_) | Literal::Flag(_) => return None,
    };
    Some(key.map_or_else(
        || Box::new(EmptyQuery) as Box<dyn Query>,
        |key| Box::new(Wanted::Request(key)),
    ))
}

/// A range without an end is written with the last number; tantivy wants one term at least.
fn range(field: Field, from: Bound<u64>, to: Bound<u64>) -> Box<dyn Query> {
    let term = |number| Term::from_field_u64(field, number);
    let from = match from {
        Bound::Unbounded => Bound::Included(0),
        bounded => bounded,
    };
    Box::new(RangeQuery::new(from.map(term), to.map(term)))
}
