//! Wire: OTLP protobuf as bytes. Lazy views to read it, splices to change it.
//!
//! In: the bytes of an OTLP request. Out: fields that borrow from them, or the same bytes with
//! some ranges replaced. Holds nothing. Nothing is decoded into objects here, and nothing is
//! allocated per field.

mod field;
mod message;
mod short;
mod splice;
mod varint;
pub(crate) mod zstd;

pub use field::{Field, Fields, Value, item};
pub use message::Message;
pub use message::{ANY_VALUE_DEPTH_MAX, Role, role};
pub use short::{digest, same};
pub use splice::{Mark, Splice};
pub use varint::{encoded_len, read_varint, write_varint};

#[cfg(test)]
pub(crate) mod arbitrary;
#[cfg(test)]
mod tests;

/// The bytes are not the protobuf that they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A number, a length or a fixed field goes on past the end of its message.
    #[error("a field goes past the end of its message")]
    Truncated,
    /// A varint has more than 64 bits.
    #[error("a number has more than 64 bits")]
    Overlong,
    /// A tag has field number 0, or a wire type that does not exist.
    #[error("a tag is not a protobuf tag")]
    Tag,
    /// A known field has another wire type than the schema says.
    #[error("field {0} has the wrong wire type")]
    WireType(u32),
    /// A string is not UTF-8.
    #[error("field {0} is not UTF-8")]
    Utf8(u32),
    /// Values or groups are nested deeper than the cap.
    #[error("values are nested too deep")]
    Depth,
    /// More of the request has to be changed than a splice takes.
    #[error("more of the request has to be changed than is allowed")]
    Edits,
    /// The request is larger than 4 GiB, which places cannot address.
    #[error("the request is too large to address")]
    Size,
    /// One list repeats keys that rules of `edit` name, or what these rules write grows past a bound.
    #[error("the edit rules would make too much of the request")]
    Overgrown,
}
