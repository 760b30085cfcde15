//! Joins the stages in the order of the data path: queues, threads, drain. Nothing else knows it.
//!
//! ```text
//! doors ─ redact ─▶ log ─┬─▶ feed ─▶ shards ─▶ finish (hops, measure, index)
//!                        └─▶ one exporter per destination
//! ```
//!
//! Doors, exporters and the API are async tasks. Feed, shards and finish are threads: they compute.
//! Every queue between them is bounded and waits when it is full, back to the log, which is read
//! later then; only mail between shards never waits, or two of them could wait for each other.
//! Nothing is drained at the end: what is open stays in the log, and the next start reads it again
//! from the first batch of which anything was unsettled.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::evidence::{Evidence, Head, JourneyId, Nanos, Place, Position, Signal, Symbols, Tenant};
use crate::export::Outgoing;
use crate::index::{Describer, Keeper};
use crate::join::{Held, Journey, Mail, Out, Shard, Table};
use crate::ledger::{Account, Holding, Ledger, Reason, Refusal};
use crate::limit::Interner;
use crate::log::{Cursor, Log};
use crate::measure::{Crossing, Hops};
use crate::receive::{Intake, Raw, Reply};
use crate::redact::Policy;
use crate::serve::{Found, Redacted, Sources, Wanted};
use crate::settings::Settings;
use crate::{export, index, join, log, normalize, receive, redact, serve};
