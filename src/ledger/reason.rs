//! Why evidence was sent back or went no further.

/// Why a door sent evidence back. Each reason is one series of the refusal counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It is not the protobuf or JSON that it claims to be. The sender must not retry.
    Malformed,
    /// It lacks what every such item must have, an id. The sender must not retry.
    Invalid,
    /// It is larger than the cap. The sender must not retry.
    TooLarge,
    /// The doors hold as much as they may, or this sender its share of it. The sender retries.
    Busy,
    /// The process has hardly any memory left. The sender retries.
    Memory,
    /// Its body comes too slowly. The sender retries.
    Slow,
    /// The sender's own deadline is over: nobody waits for the answer. The sender retries.
    Deadline,
    /// The log has no room, or its disk none. The sender retries.
    LogFull,
    /// The log cannot be written. The sender retries.
    LogFailed,
    /// The gateway is shutting down. The sender retries.
    Closing,
    /// It is in the log, and not yet with every destination. The sender retries, and waits on.
    Undelivered,
}

impl Refusal {
    /// All reasons, in the order of the enum.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Invalid,
        Self::TooLarge,
        Self::Busy,
        Self::Memory,
        Self::Slow,
        Self::Deadline,
        Self::LogFull,
        Self::LogFailed,
        Self::Closing,
        Self::Undelivered,
    ];

    /// Whether the sender may send the same again.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Malformed | Self::Invalid | Self::TooLarge => false,
            Self::Busy
            | Self::Memory
            | Self::Slow
            | Self::Deadline
            | Self::LogFull
            | Self::LogFailed
            | Self::Closing
            | Self::Undelivered => true,
        }
    }

    /// The label in metrics and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
            Self::Memory => "memory",
            Self::Slow => "slow",
            Self::Deadline => "deadline",
            Self::LogFull => "log_full",
            Self::LogFailed => "log_failed",
            Self::Closing => "closing",
            Self::Undelivered => "undelivered",
        }
    }
}

/// Why admitted evidence went no further. Each reason is one series of the loss counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its bytes in the log are damaged.
    Corrupt,
    /// It left the log before it was read.
    Unread,
    /// A destination refused it for good.
    Rejected,
    /// It has no place in any request to a destination, even alone.
    TooLarge,
    /// A destination was further behind than it may be.
    Backlog,
    /// Its journey holds as much evidence as a journey may.
    JourneyFull,
    /// Messages between shards came faster than the other shard took them.
    MailFull,
    /// The index could not take it.
    IndexFailed,
    /// The index was too far behind: the gateway rather took more evidence in.
    Shed,
}

impl Reason {
    /// All reasons, in the order of the enum.
    pub const ALL: [Self; 9] = [
        Self::Corrupt,
        Self::Unread,
        Self::Rejected,
        Self::TooLarge,
        Self::Backlog,
        Self::JourneyFull,
        Self::MailFull,
        Self::IndexFailed,
        Self::Shed,
    ];

    /// The label in metrics and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Unread => "unread",
            Self::Rejected => "rejected",
            Self::TooLarge => "too_large",
            Self::Backlog => "backlog",
            Self::JourneyFull => "journey_full",
            Self::MailFull => "mail_full",
            Self::IndexFailed => "index_failed",
            Self::Shed => "shed",
        }
    }
}
