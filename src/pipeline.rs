//! Joins the stages in the order of the data path. Nothing else knows it.
//!
//! ```text
//! doors ─ redact ─▶ log ─┬─▶ feed ─▶ shards ─▶ finish (hops, measure, index)
//!                        └─▶ one exporter per destination
//! ```
//!
//! Doors, exporters and the API are tasks, the exporters on threads of their own; feed, shards and
//! finish compute, and are threads.
//! Nothing is drained at the end: what is open stays in the log, and the next start reads it again
//! from the first batch of which anything was unsettled.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use crate::drive;
use crate::drive::{
    CLOSED_MAX, EndToEnd, Ends, Exporters, Feed, Finish, Gates, Inlet, Inside, Lane, Listeners,
    Post, Reloader, Repeats, Room, SetLevel, ShardLoop, Shed, Tasks, Threads, Tokens, Watched,
    recover, tick,
};
pub use crate::drive::{Error, check};
use crate::evidence::Symbols;
use crate::index::{Current, Describer, Keeper};
use crate::join::{Shard, Table, mail_max};
use crate::ledger::{Holding, Ledger};
use crate::limit::Interner;
use crate::log::Log;
use crate::measure::Hops;
use crate::receive;
use crate::receive::{Intake, Listener};
use crate::redact::Policy;
use crate::serve;
use crate::serve::{Redacted, Sources, Unjoined};
use crate::settings;
use crate::settings::{Ack, Loaded, Settings};

/// A running gateway.
pub struct Gateway {
    log: Log,
    sources: Arc<Sources>,
    reloader: Arc<Reloader>,
    exporters: Arc<Exporters>,
    tokens: Tokens,
    tasks: Tasks,
    threads: Threads,
    deadline: Duration,
}

/// Runs a gateway until SIGINT or SIGTERM. On SIGHUP it reads its settings again, and calls
/// `set_level` with the level of its own log.
///
/// # Errors
/// When it cannot start, or does not stop in time.
pub async fn run(
    loaded: Loaded,
    settings_from: settings::Sources,
    set_level: impl Fn(tracing::Level) + Send + Sync + 'static,
) -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupted = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
    let mut terminated = signal(SignalKind::terminate()).map_err(Error::Signal)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(Error::Signal)?;
    let settings = loaded.settings.clone();
    let listeners = Listeners::bind(&settings).await?;
    listeners.announce();
    let read_again = ReadAgain { loaded, settings_from, set_level: Arc::new(set_level) };
    let gateway = Gateway::start(&settings, listeners, read_again).await?;
    tracing::info!(ack = settings.log.ack.name(), data = %settings.data_dir.display(), "ready");
    let failed = gateway.tokens.failed.clone();
    loop {
        tokio::select! {
            _ = interrupted.recv() => break,
            _ = terminated.recv() => break,
            // What came of it is in the log.
            _ = hung_up.recv() => drop(gateway.reloader.reload().await),
            () = failed.cancelled() => {
                tracing::error!("a thread has died; starting anew mends it");
                break;
            }
        }
    }
    tracing::info!("stopping");
    gateway.stop().await?;
    tracing::info!("stopped");
    if failed.is_cancelled() { Err(Error::Died) } else { Ok(()) }
}

/// What it takes to read the settings again.
struct ReadAgain {
    loaded: Loaded,
    settings_from: settings::Sources,
    set_level: SetLevel,
}

impl Gateway {
    /// Opens log and index, starts every stage, and opens the doors last.
    async fn start(
        settings: &Settings,
        listeners: Listeners,
        read_again: ReadAgain,
    ) -> Result<Self, Error> {
        let gates = Gates::open(settings)?;
        let key = settings.pseudonym_key();
        let key = key.map_err(|error| Error::Key(settings.data_dir.clone(), error))?;
        let policy = Arc::new(ArcSwap::from_pointee(Policy::new(&settings.for_redact(key))?));
        let log = Log::open(settings.for_log())?;
        let mut parts = Parts::new(settings, log)?;
        let joined = parts.join(settings)?;
        let join = joined.watched.as_ref().map(|it| it.account.consumer().to_owned());
        parts.exporters.apply(&settings.export).await;
        parts.exporters.forget_all_but(&settings.export, join.as_deref());

        let reloader = Arc::new(Reloader {
            sources: read_again.settings_from,
            loaded: tokio::sync::Mutex::new(read_again.loaded),
            policy: Arc::clone(&policy),
            gates: gates.clone(),
            exporters: Arc::clone(&parts.exporters),
            join,
            set_level: read_again.set_level,
        });
        let intake = parts.intake(Arc::clone(&policy), settings, &gates);
        let exporters = Arc::clone(&parts.exporters);
        let (doors, inflight_max) = (intake.clone(), settings.receive.inflight_bytes_max);
        let sources = Arc::new(Sources {
            ack: settings.log.ack.name(),
            started: drive::now(),
            inflight: Arc::new(move || {
                let held = inflight_max.saturating_sub(doors.budget_left_bytes());
                (held as u64, inflight_max as u64)
            }),
            log: parts.log.clone(),
            ledger: Arc::clone(&parts.ledger),
            symbols: Arc::clone(&parts.symbols),
            hops: Arc::clone(&parts.measures),
            index: joined.index,
            ask: joined.shards.map(ask),
            doors: Arc::clone(intake.counters()),
            gates: vec![("otlp", gates.otlp.clone()), ("api", gates.api.clone())],
            exports: Arc::clone(&exporters.shown),
            reload: Arc::clone(&reloader).handle(),
            bounds: settings.memory().into_iter().map(|it| (it.name, it.bytes)).collect(),
            policy: Arc::clone(&policy),
            unjoined: parts.unjoined.clone(),
            redacted: Arc::clone(&parts.redacted),
            ready: AtomicBool::new(false),
        });
        let api = serve::serve(
            listeners.api,
            gates.api.clone(),
            Arc::clone(&sources),
            parts.tokens.silence.clone(),
        );
        parts.tasks.others.watch("the API", api);
        let guard = drive::guard(
            Arc::clone(intake.counters()),
            settings.memory_max,
            parts.tokens.halt.clone(),
        );
        parts.tasks.others.spawn(guard);
        parts.doors(listeners.grpc, listeners.http, intake, settings);
        let Parts { log, tokens, mut tasks, threads, .. } = parts;
        gates.watch(&mut tasks.others, &tokens.halt);
        let ticking =
            tick(log.clone(), joined.watched, Arc::clone(&exporters), tokens.halt.clone());
        tasks.others.spawn(ticking);
        sources.ready.store(true, Ordering::Release);
        let deadline = settings.deadline();
        Ok(Self { log, sources, reloader, exporters, tokens, tasks, threads, deadline })
    }

    /// Closes the doors, lets requests in progress end, commits what is finished, saves cursors.
    ///
    /// # Errors
    /// When that takes longer than `shutdown.deadline`.
    pub async fn stop(self) -> Result<(), Error> {
        let deadline = self.deadline;
        tokio::time::timeout(deadline, self.wind_down())
            .await
            .map_err(|_| Error::Deadline(deadline))
    }

    async fn wind_down(mut self) {
        self.sources.ready.store(false, Ordering::Release);
        self.tokens.stop.cancel();
        self.tasks.doors.ended().await;
        self.tokens.halt.cancel();
        // A reload in progress may have destinations in its hands; there is none after this one.
        let _last = self.reloader.loaded.lock().await;
        self.exporters.ended().await;
        let (log, threads) = (self.log.clone(), self.threads);
        let closed = tokio::task::spawn_blocking(move || {
            threads.ended();
            // The last commit and the last answers have moved the cursors.
            log.close();
        });
        if closed.await.is_err() {
            tracing::error!("the log could not be closed for a fault");
        }
        self.tokens.silence.cancel();
        self.tasks.others.ended().await;
    }
}

/// What the stages share while they are put together.
struct Parts {
    ledger: Arc<Ledger>,
    symbols: Arc<Symbols>,
    measures: Arc<Mutex<Hops>>,
    redacted: Arc<Redacted>,
    unjoined: Unjoined,
    log: Log,
    exporters: Arc<Exporters>,
    tokens: Tokens,
    tasks: Tasks,
    threads: Threads,
}

/// What the rest of the path needs of the join; nothing when there is none.
#[derive(Default)]
struct Joined {
    shards: Option<Vec<Inlet>>,
    index: Option<Current>,
    watched: Option<Watched>,
}

impl Parts {
    fn new(settings: &Settings, log: Log) -> Result<Self, Error> {
        let (tokens, ledger) = (Tokens::default(), Arc::new(Ledger::new()));
        let exporters = Exporters {
            log: log.clone(),
            ledger: Arc::clone(&ledger),
            delivered: Arc::default(),
            tokens: tokens.clone(),
            lane: Lane::new("export").map_err(Error::Thread)?,
            admitting: Arc::default(),
            shown: Arc::default(),
            running: Mutex::default(),
        };
        Ok(Self {
            ledger,
            symbols: Arc::new(Symbols::new(settings.limit.symbols_max)),
            measures: Arc::new(Mutex::new(Hops::new(settings.for_measure()))),
            redacted: Arc::default(),
            unjoined: Unjoined {
                mail_max: mail_max(settings.join.shards.max(1)),
                ..Unjoined::default()
            },
            log,
            exporters: Arc::new(exporters),
            threads: Threads::new(tokens.failed.clone()),
            tokens,
            tasks: Tasks::default(),
        })
    }

    /// Feed, shards and finish, with the queues between them.
    fn join(&mut self, settings: &Settings) -> Result<Joined, Error> {
        if !settings.join.enabled {
            return Ok(Joined::default());
        }
        let keeper = self.keeper(settings)?;
        let index = keeper.as_ref().map(Keeper::current);
        let account = self.ledger.open(if keeper.is_some() { "index" } else { "join" });
        let cursor = self.log.cursor(account.consumer());
        // An index that is new, or older than the cursor says, is made again from the log.
        let from =
            keeper.as_ref().map_or(cursor.get(), |keeper| keeper.complete_to().min(cursor.get()));
        let from = from.max(self.log.start());
        recover(&self.log, from, &account);
        let fed = Arc::new(AtomicU64::new(from.0));
        let holding = Arc::new(Holding::new());
        let (finisher, finished) = sync_channel(CLOSED_MAX);
        let count = settings.join.shards.max(1);
        let room = Arc::new(Room::new(settings.join.closed_evidence_max()));
        let (shards, outlets): (Vec<_>, Vec<_>) = (0..count).map(|_| Inlet::new()).unzip();
        for (index, (inbox, questions)) in outlets.into_iter().enumerate() {
            let table = Table::new(settings.for_shard(), Shard { index, count });
            let post = Post::new(&shards, mail_max(count), Arc::clone(&self.unjoined.lost_mail));
            let (finisher, room) = (finisher.clone(), Arc::clone(&room));
            let halt = self.tokens.halt.clone();
            let ends = Ends { inbox, questions, post, finisher, room, halt };
            let shard = ShardLoop::new(table, ends);
            self.unjoined.forgotten.push(shard.forgotten());
            self.threads
                .spawn(&format!("join-{index}"), move || shard.run())
                .map_err(Error::Thread)?;
        }
        // The finisher ends when the last shard has.
        drop(finisher);
        let finish = Finish {
            inbox: finished,
            symbols: Arc::clone(&self.symbols),
            measures: Arc::clone(&self.measures),
            keeper,
            commit: settings.index.commit,
            holding: Arc::clone(&holding),
            room,
            is_leaving: false,
            account: Arc::clone(&account),
            log: self.log.clone(),
            cursor,
            shed: Shed::default(),
            fed: Arc::clone(&fed),
            replay_end: self.log.end(),
            halt: self.tokens.halt.clone(),
        };
        self.threads.spawn("finish", move || finish.run()).map_err(Error::Thread)?;
        let feed = Feed {
            reader: self.log.reader(from),
            interner: Interner::new(Arc::clone(&self.symbols)),
            shards: shards.clone(),
            holding: Arc::clone(&holding),
            account: Arc::clone(&account),
            fed: Arc::clone(&fed),
            runtime: Handle::current(),
            halt: self.tokens.halt.clone(),
        };
        self.threads.spawn("feed", move || feed.run()).map_err(Error::Thread)?;
        let watched = Watched { account, inside: Inside::Join { fed, holding } };
        Ok(Joined { shards: Some(shards), index, watched: Some(watched) })
    }

    fn keeper(&self, settings: &Settings) -> Result<Option<Keeper>, Error> {
        if !settings.index.enabled {
            return Ok(None);
        }
        let index = settings.for_index();
        let symbols = Arc::clone(&self.symbols);
        let describer =
            Describer::new(Arc::clone(&symbols), self.log.clone(), index.text_bytes_max);
        Ok(Some(Keeper::open(index, describer, symbols, drive::now())?))
    }

    fn intake(&self, policy: Arc<ArcSwap<Policy>>, settings: &Settings, gates: &Gates) -> Intake {
        let delivered = Arc::clone(&self.exporters.delivered);
        let timeout = settings.log.e2e_timeout;
        let receive = &settings.receive;
        let intake = drive::Intake {
            policy,
            log: self.log.clone(),
            ledger: Arc::clone(&self.ledger),
            redacted: Arc::clone(&self.redacted),
            items_max: receive.request_items_max,
            admitting: Arc::clone(&self.exporters.admitting),
            repeats: receive.repeat_window.map(|it| {
                let repeats = Repeats::new(it, receive.repeats_max);
                repeats.recall(&self.log, drive::now());
                repeats
            }),
            end_to_end: (settings.log.ack == Ack::EndToEnd)
                .then_some(EndToEnd { delivered, timeout }),
            warned: AtomicU64::new(0),
        };
        Intake::behind(gates.otlp.clone(), intake.handle(), settings.for_doors())
    }

    fn doors(
        &mut self,
        grpc: Option<Listener>,
        http: Option<Listener>,
        intake: Intake,
        settings: &Settings,
    ) {
        let stop = self.tokens.stop.clone();
        let doors = &mut self.tasks.doors;
        for path in settings.receive.follow.clone() {
            let checkpoints = settings.data_dir.join("follow");
            let followed = receive::follow(path, intake.clone(), checkpoints, stop.clone());
            doors.watch("a followed file", followed);
        }
        if let Some(grpc) = grpc {
            let served = receive::serve_grpc(grpc, intake.clone(), stop.clone());
            doors.watch("OTLP over gRPC", served);
        }
        if let Some(http) = http {
            doors.watch("OTLP over HTTP", receive::serve_http(http, intake, stop));
        }
    }
}

/// How the API asks the shards.
fn ask(shards: Vec<Inlet>) -> serve::Ask {
    let shards = Arc::new(shards);
    Arc::new(move |wanted| Box::pin(drive::ask(Arc::clone(&shards), wanted)))
}
