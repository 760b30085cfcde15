//! Drive: the loops that carry evidence from one stage to the next.
//!
//! In: what the stage before made. Out: what the stage after takes. Each file is one loop with the
//! queue in front of it; `pipeline` makes the queues and starts the loops.
//! Holds what is in the queues: `INBOX_MAX` inputs for a shard, `mail_max` messages that
//! it could not deliver yet, `CLOSED_MAX` journeys for the finisher, `UNCOMMITTED_MAX` that wait for
//! a commit, both with no more evidence together than a `Room` has. A full queue waits, back to the
//! log, which is read later then.

mod check;
mod delivered;
mod error;
mod exporters;
mod feed;
mod finish;
mod intake;
mod listen;
mod memory;
mod post;
mod reload;
mod repeats;
mod room;
mod shard;
mod shed;
mod tasks;
mod watch;

pub use check::check;
pub(crate) use delivered::Delivered;
pub use error::Error;
pub(crate) use exporters::Exporters;
pub(crate) use feed::Feed;
pub(crate) use finish::{Finish, Finished};
pub(crate) use intake::{EndToEnd, Intake};
pub(crate) use listen::Gates;
pub use listen::{ListenError, Listeners};
pub(crate) use memory::guard;
pub(crate) use post::Post;
pub(crate) use reload::{Reloader, SetLevel};
pub(crate) use repeats::Repeats;
pub(crate) use room::Room;
pub(crate) use shard::{Ends, Inlet, Input, ShardLoop, ask};
pub(crate) use shed::Shed;
pub(crate) use tasks::{Lane, Tasks, Threads, Tokens};
pub(crate) use watch::{Inside, Watched, recover, tick};

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

use crate::evidence::Nanos;

/// Questions that wait for one shard.
pub(crate) const QUESTIONS_MAX: usize = 16;
/// Journeys that wait to be finished.
pub(crate) const CLOSED_MAX: usize = 4096;
/// Finished journeys that wait for a commit. With more, nothing is finished until one succeeds.
pub(crate) const UNCOMMITTED_MAX: usize = 50_000;

/// The clock. Stages take the time as an argument; the loops that call them read it here. It is the
/// wall clock of the start and never goes back: windows would stand still while it did.
#[expect(clippy::disallowed_methods, reason = "the edge of the pure stages")]
pub(crate) fn now() -> Nanos {
    static START: LazyLock<(SystemTime, Instant)> =
        LazyLock::new(|| (SystemTime::now(), Instant::now()));
    let (wall, begun) = *START;
    Nanos::from(wall).after(begun.elapsed())
}
