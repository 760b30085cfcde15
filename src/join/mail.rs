//! What one shard tells another.

use super::{Binding, Home, WeakKey};
use crate::evidence::{Evidence, Nanos, Place};

/// Evidence or messages that go to a shard at once. A batch may have millions.
pub const PIECE_MAX: usize = 1024;
/// Pieces that wait for one shard.
pub const INBOX_MAX: usize = 64;
/// Messages for which a queue has room though fewer than half of them wait.
pub const MAIL_SLACK: usize = 64;

/// Messages that wait at all shards together, while a piece for each is no more than that.
const MAIL_MAX: usize = 100_000;

/// What one shard tells another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mail {
    /// Evidence that came to the wrong shard.
    Admit(Evidence),
    /// A weak key was seen in a journey.
    Bind(Binding),
    /// The evidence belongs to this home.
    Forward {
        /// What was decided; its marks say how.
        evidence: Evidence,
        /// Whose it is.
        home: Home,
    },
    /// Nothing is bound to the first socket pair; what is bound to the second?
    Ask(Evidence),
    /// Evidence waits elsewhere and may ask for this key until then.
    Expect {
        /// The evidence's second socket pair.
        key: WeakKey,
        /// When the evidence began.
        from: Nanos,
        /// When it ended.
        to: Nanos,
        /// When it asks.
        until: Nanos,
    },
    /// Evidence for this home may still be forwarded until then: stay open.
    Await {
        /// The home that is a candidate.
        home: Home,
        /// When the evidence stops waiting.
        until: Nanos,
    },
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// [`Mail::Admit`].
    Admit,
    /// [`Mail::Bind`].
    Bind,
    /// [`Mail::Forward`].
    Forward,
    /// [`Mail::Ask`].
    Ask,
    /// [`Mail::Expect`].
    Expect,
    /// [`Mail::Await`].
    Await,
}

/// Messages that wait at each of so many shards for the others. More are lost, and counted.
#[must_use]
pub fn mail_max(shards: usize) -> usize {
    // What one shard tells itself goes no way.
    if shards < 2 { 0 } else { (MAIL_MAX / shards).max(PIECE_MAX) }
}

impl Mail {
    /// What it is for.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Admit(_) => Subject::Admit,
            Self::Bind(_) => Subject::Bind,
            Self::Forward { .. } => Subject::Forward,
            Self::Ask(_) => Subject::Ask,
            Self::Expect { .. } => Subject::Expect,
            Self::Await { .. } => Subject::Await,
        }
    }

    /// The evidence that it carries, which is nowhere else.
    #[must_use]
    pub fn carries(&self) -> Option<Place> {
        match self {
            Self::Admit(evidence) | Self::Ask(evidence) | Self::Forward { evidence, .. } => {
                Some(evidence.place)
            }
            Self::Bind(_) | Self::Expect { .. } | Self::Await { .. } => None,
        }
    }
}

impl Subject {
    /// All of them, in the order of the enum.
    pub const ALL: [Self; 6] =
        [Self::Admit, Self::Bind, Self::Forward, Self::Ask, Self::Expect, Self::Await];

    /// The label in metrics and status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Bind => "bind",
            Self::Forward => "forward",
            Self::Ask => "ask",
            Self::Expect => "expect",
            Self::Await => "await",
        }
    }
}
