//! What is measured of one hop, and under which labels.

use crate::evidence::{Method, Outcome, Symbol};
use crate::join;

/// One hop, as the histograms need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Who called.
    pub caller: Symbol,
    /// Who was called.
    pub callee: Symbol,
    /// The templated route.
    pub route: Symbol,
    /// The HTTP method.
    pub method: Method,
    /// The callee's version.
    pub version: Symbol,
    /// How it ended.
    pub outcome: Outcome,
    /// From the call to the answer, as the caller saw it.
    pub total_ns: u64,
    /// On the way, there and back.
    pub network_ns: Option<u64>,
    /// Inside the callee, with all that it called.
    pub server_ns: Option<u64>,
    /// Inside the callee, without what it called.
    pub self_ns: Option<u64>,
    /// Inside proxies.
    pub proxy_ns: Option<u64>,
}

/// What one series is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels {
    /// Who called.
    pub caller: Symbol,
    /// Who was called.
    pub callee: Symbol,
    /// The HTTP method.
    pub method: Method,
    /// The templated route.
    pub route: Symbol,
    /// The callee's version.
    pub version: Symbol,
    /// How it ended.
    pub outcome: Outcome,
}

/// A part of a hop's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// All of it.
    Total,
    /// On the way.
    Network,
    /// Inside the callee, with all that it called.
    Server,
    /// Inside the callee, without what it called.
    Own,
    /// Inside proxies.
    Proxy,
}

impl Crossing {
    /// The times, in the order of [`Part::ALL`].
    pub(super) fn times(&self) -> [Option<u64>; Part::ALL.len()] {
        [Some(self.total_ns), self.network_ns, self.server_ns, self.self_ns, self.proxy_ns]
    }
}

impl Labels {
    /// The labels of a crossing.
    #[must_use]
    pub fn of(crossing: &Crossing) -> Self {
        Self {
            caller: crossing.caller,
            callee: crossing.callee,
            method: crossing.method,
            route: crossing.route,
            version: crossing.version,
            outcome: crossing.outcome,
        }
    }

    /// The labels that crossings past the budget share. The outcome stays: error ratios over
    /// all series hold although the names are gone.
    #[must_use]
    pub fn overflow(outcome: Outcome) -> Self {
        let other = Symbol::OTHER;
        let method = Method::Other;
        Self { caller: other, callee: other, method, route: other, version: other, outcome }
    }

    /// Whether these are shared by all crossings past the budget.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        *self == Self::overflow(self.outcome)
    }
}

impl Part {
    /// All parts, in the order of [`super::Series::parts`].
    pub const ALL: [Self; 5] = [Self::Total, Self::Network, Self::Server, Self::Own, Self::Proxy];

    /// The name in labels and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Network => "network",
            Self::Server => "server",
            Self::Own => "self",
            Self::Proxy => "proxy",
        }
    }
}

impl From<&join::Hop> for Crossing {
    fn from(hop: &join::Hop) -> Self {
        Self {
            caller: hop.caller,
            callee: hop.callee,
            route: hop.route,
            method: hop.method,
            version: hop.version,
            outcome: hop.outcome,
            total_ns: hop.total_ns,
            network_ns: hop.network_ns,
            server_ns: hop.server_ns,
            self_ns: hop.self_ns,
            proxy_ns: hop.proxy_ns,
        }
    }
}
