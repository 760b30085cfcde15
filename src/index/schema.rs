//! The fields of a journey's document, and how each is stored.

use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::TokenizerManager;

use super::analyzer;

/// The value of `detail` that marks a journey whose text was cut.
pub const TEXT_CUT: &str = "text_cut";

/// What the values of a field are, and so how it can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole texts, compared without regard to case.
    Text,
    /// Numbers.
    Number,
    /// Nanoseconds.
    Duration,
    /// Yes or no.
    Flag,
    /// The id of the journey.
    Id,
    /// Request ids, of which the index holds digests.
    Request,
}

/// The text fields, in the order of [`Fields::texts`].
pub(super) const TEXTS: [&str; 14] = [
    "service",
    "namespace",
    "workload",
    "pod",
    "node",
    "zone",
    "cluster",
    "version",
    "route",
    "method",
    "peer",
    "kind",
    "detail",
    "outcome",
];

const NUMBERS: [&str; 4] = ["start", "duration", "status", "evidence"];

/// The kind of a field by its canonical name; `None` where there is no such field.
#[must_use]
pub fn kind(name: &str) -> Option<Kind> {
    match name {
        "id" => Some(Kind::Id),
        "request" => Some(Kind::Request),
        "failed" => Some(Kind::Flag),
        "duration" => Some(Kind::Duration),
        _ if NUMBERS.contains(&name) => Some(Kind::Number),
        _ if TEXTS.contains(&name) => Some(Kind::Text),
        _ => None,
    }
}

/// The handles of all fields.
#[derive(Clone)]
pub(super) struct Fields {
    pub(super) schema: Schema,
    pub(super) tokenizers: TokenizerManager,
    pub(super) id_high: Field,
    pub(super) id_low: Field,
    pub(super) request: Field,
    pub(super) start: Field,
    pub(super) duration: Field,
    pub(super) status: Field,
    pub(super) evidence: Field,
    pub(super) failed: Field,
    pub(super) texts: [Field; TEXTS.len()],
    pub(super) text: Field,
    pub(super) stored: Field,
}

impl Fields {
    /// Ids and numbers are columns only: as terms, two random ids cost a third of the throughput.
    /// Texts are terms only: as columns too, they cost a twelfth.
    pub(super) fn new() -> Self {
        Self::with(&keyword())
    }

    /// As the first version made buckets: every text was a column too. The handles are the same.
    pub(super) fn schema_of_before() -> Schema {
        Self::with(&keyword().set_fast("raw")).schema
    }

    fn with(keyword: &TextOptions) -> Self {
        let mut builder = Schema::builder();
        let mut column = |name| builder.add_u64_field(name, FAST);
        let (id_high, id_low) = (column("id_high"), column("id_low"));
        let (request, start, duration) = (column("request"), column("start"), column("duration"));
        let (status, evidence) = (column("status"), column("evidence"));
        // The commonest filter of all: as a term it reads a list, not the whole column.
        let failed = builder.add_bool_field("failed", INDEXED | FAST);
        let texts = TEXTS.map(|name| builder.add_text_field(name, keyword.clone()));
        let text = builder.add_text_field("text", full_text());
        let stored = builder.add_bytes_field("stored", STORED);
        Self {
            schema: builder.build(),
            tokenizers: analyzer::tokenizers(),
            id_high,
            id_low,
            request,
            start,
            duration,
            status,
            evidence,
            failed,
            texts,
            text,
            stored,
        }
    }

    /// The column of a number field.
    pub(super) fn number(&self, name: &str) -> Option<Field> {
        match name {
            "start" => Some(self.start),
            "duration" => Some(self.duration),
            "status" => Some(self.status),
            "evidence" => Some(self.evidence),
            _ => None,
        }
    }

    /// The field of whole texts.
    pub(super) fn text(&self, name: &str) -> Option<Field> {
        let mut pairs = TEXTS.iter().zip(self.texts);
        pairs.find_map(|(known, field)| (*known == name).then_some(field))
    }
}

/// Nothing is ranked by relevance, so no field keeps norms.
fn keyword() -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(analyzer::KEYWORD)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false);
    TextOptions::default().set_indexing_options(indexing)
}

fn full_text() -> TextOptions {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(analyzer::TEXT)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions)
        .set_fieldnorms(false);
    TextOptions::default().set_indexing_options(indexing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_kind_has_a_handle() {
        let fields = Fields::new();
        assert!(TEXTS.iter().all(|name| fields.text(name).is_some()));
        assert!(NUMBERS.iter().all(|name| fields.number(name).is_some()));
    }
}
