//! Why evidence was sent back or went no further.

/// Why a door sent evidence back. Each reason is one series of the refusal counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It is not the protobuf or JSON that it claims to be. The sender must not retry.
    Malformed,
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
}

impl Refusal {
    /// All reasons, in the order of the enum.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::TooLarge,
        Self::Busy,
        Self::Memory,
        Self::Slow,
        Self::Deadline,
        Self::LogFull,
        Self::LogFailed,
        Self::Closing,
    ];

    /// Whether the sender may send the same again.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Malformed | Self::TooLarge => false,
            Self::Busy
            | Self::Memory
            | Self::Slow
            | Self::Deadline
            | Self::LogFull
            | Self::LogFailed
            | Self::Closing => true,
        }
    }

    /// The label in metrics and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
            Self::Memory => "memory",
            Self::Slow => "slow",
            Self::Deadline => "deadline",
            Self::LogFull => "log_full",
            Self::LogFailed => "log_failed",
            Self::Closing => "closing",
        }
    }
}

/// Why admitted evidence went no further. Each reason is one series of the loss counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Its bytes in the log are damaged.
    Corrupt,
    /// A destination refused it for good.
    Rejected,
    /// Its journey holds as much evidence as a journey may.
    JourneyFull,
    /// Messages between shards came faster than the other shard took them.
    MailFull,
    /// The index could not take it.
    IndexFailed,
}

impl Reason {
    /// All reasons, in the order of the enum.
    pub const ALL: [Self; 5] =
        [Self::Corrupt, Self::Rejected, Self::JourneyFull, Self::MailFull, Self::IndexFailed];

    /// The label in metrics and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Rejected => "rejected",
            Self::JourneyFull => "journey_full",
            Self::MailFull => "mail_full",
            Self::IndexFailed => "index_failed",
        }
    }
}
