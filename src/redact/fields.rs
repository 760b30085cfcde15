//! Whether single fields are what OTLP says they are.

use crate::wire::{Field, Fields, Malformed, Message, Role, Value, read_varint, role};

/// Whether an `AnyValue` holds values of its own.
pub(super) fn holds_list(value: &[u8]) -> Result<bool, Malformed> {
    for field in Fields::new(value) {
        if let Role::Into(_) = role(Message::AnyValue, field?.number) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a field that holds no string has the wire type that its role asks for.
pub(super) fn check(field: &Field<'_>, role: Role) -> Result<(), Malformed> {
    let fits = match (role, field.value) {
        (Role::Unknown, _)
        | (Role::Id | Role::Blob, Value::Bytes(_))
        | (Role::Varint | Role::Varints, Value::Varint(_))
        | (Role::Fixed64 | Role::Fixed64s, Value::Fixed64(_))
        | (Role::Fixed32, Value::Fixed32(_)) => true,
        (Role::Fixed64s, Value::Bytes(packed)) => packed.len().is_multiple_of(8),
        (Role::Varints, Value::Bytes(packed)) => return packed_varints(packed),
        _ => false,
    };
    if fits { Ok(()) } else { Err(Malformed::WireType(field.number)) }
}

fn packed_varints(mut packed: &[u8]) -> Result<(), Malformed> {
    while !packed.is_empty() {
        let (_, length) = read_varint(packed)?;
        packed = packed.get(length..).unwrap_or_default();
    }
    Ok(())
}
