//! Writes the id filter of each segment beside its other files.

use std::any::Any;
use std::io::Write;

use tantivy::directory::TerminatingWrite;
use tantivy::index::{Segment, SegmentComponent, SegmentReader};
use tantivy::indexer::DocIdMapping;
use tantivy::plugin::{PluginMergeContext, PluginWriter, PluginWriterContext, SegmentPlugin};
use tantivy::schema::document::ErasedDocument;
use tantivy::schema::{Field, Schema, Value};
use tantivy::{DocId, TantivyDocument};

use super::bloom;
use super::lookup::{ID_LOW, REQUEST};

/// Ending of the filter's file.
const EXTENSION: &str = "ids";

/// Keeps a filter of journey ids and request ids with each segment.
pub(super) struct Ids {
    pub(super) id_low: Field,
    pub(super) request: Field,
}

struct IdsWriter {
    id_low: Field,
    request: Field,
    keys: Vec<u64>,
}

/// The filter of a segment; empty, so that everything may be there, where it cannot be read.
pub(super) fn filter(reader: &SegmentReader) -> tantivy::directory::OwnedBytes {
    let file = reader.open_read(component()).ok();
    file.and_then(|file| file.read_bytes().ok())
        .unwrap_or_else(tantivy::directory::OwnedBytes::empty)
}

fn component() -> SegmentComponent {
    SegmentComponent::Custom(EXTENSION.to_owned())
}

fn write(segment: &Segment, keys: &[u64]) -> tantivy::Result<()> {
    let mut file = segment.open_write(component())?;
    file.write_all(&bloom::build(keys))?;
    file.terminate()?;
    Ok(())
}

impl SegmentPlugin for Ids {
    fn extensions(&self) -> &[&str] {
        &[EXTENSION]
    }

    fn create_writer(&self, _: &PluginWriterContext<'_>) -> tantivy::Result<Box<dyn PluginWriter>> {
        let (id_low, request) = (self.id_low, self.request);
        Ok(Box::new(IdsWriter { id_low, request, keys: Vec::new() }))
    }

    fn merge(&self, context: PluginMergeContext<'_>) -> tantivy::Result<()> {
        let mut keys = Vec::new();
        for reader in context.readers {
            for name in [ID_LOW, REQUEST] {
                let Some(column) = reader.fast_fields().column_opt::<u64>(name)? else { continue };
                keys.extend(reader.doc_ids_alive().flat_map(|doc| column.values_for_doc(doc)));
            }
        }
        write(context.target_segment, &keys)
    }
}

impl PluginWriter for IdsWriter {
    fn add_document(
        &mut self,
        _: DocId,
        document: &dyn ErasedDocument,
        _: &Schema,
    ) -> tantivy::Result<()> {
        let Some(document) = document.as_any().downcast_ref::<TantivyDocument>() else {
            return Ok(());
        };
        let ids = document.get_all(self.id_low).chain(document.get_all(self.request));
        self.keys.extend(ids.filter_map(|value| value.as_u64()));
        Ok(())
    }

    fn serialize(
        self: Box<Self>,
        segment: &Segment,
        _: Option<&DocIdMapping>,
    ) -> tantivy::Result<()> {
        write(segment, &self.keys)
    }

    fn mem_usage(&self) -> usize {
        self.keys.capacity() * size_of::<u64>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
