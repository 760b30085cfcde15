//! Why evidence was sent back or went no further.

/// Why a door sent evidence back. Each reason is one series of the refusal counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It is not the protobuf or JSON that it claims to be. The sender must not retry.
    Malformed,
    /// It is larger than the cap. The sender must not retry.
    TooLarge,
    /// The doors hold as much as they may. The sender retries.
    Busy,
    /// The log has no room, or its disk none. The sender retries.
    LogFull,
    /// The log cannot be written. The sender retries.
    LogFailed,
    /// The gateway is shutting down. The sender retries.
    Closing,
}

impl Refusal {
    /// All reasons, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::Malformed,
        Self::TooLarge,
        Self::Busy,
        Self::LogFull,
        Self::LogFailed,
        Self::Closing,
    ];

    /// The label in metrics and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
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
    /// It left the log before it was read.
    Unread,
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
    pub const ALL: [Self; 6] = [
        Self::Corrupt,
        Self::Unread,
        Self::Rejected,
        Self::JourneyFull,
        Self::MailFull,
        Self::IndexFailed,
    ];

    /// The label in metrics and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Unread => "unread",
            Self::Rejected => "rejected",
            Self::JourneyFull => "journey_full",
            Self::MailFull => "mail_full",
            Self::IndexFailed => "index_failed",
        }
    }
}
