//! Evidence: the vocabulary that all stages share.
//!
//! In: nothing. Out: ids, keys, facts, places, symbols, filters. No I/O, no waiting, no clock.

mod facts;
mod filter;
mod id;
mod key;
mod signal;
mod symbol;
mod time;

pub use facts::{Evidence, Facts, Kind, Marks, Method, Outcome};
pub use filter::{Comparison, Filter, Literal};
pub use id::{JourneyId, SpanId, TraceId};
pub use key::{Keys, Protocol, RequestKey, SocketKey, SocketPair};
pub use signal::{Digest, Head, Place, Position, Signal, Source, Tenant};
pub use symbol::{Origin, OriginId, Symbol, Symbols};
pub use time::Nanos;
