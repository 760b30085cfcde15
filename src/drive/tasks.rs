//! What runs, how it is told to end, and who hears when it dies.

use std::{io, thread};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What is told to end, in this order.
#[derive(Clone, Default)]
pub(crate) struct Tokens {
    /// Doors and exporters: take nothing more, end what is in progress.
    pub(crate) stop: CancellationToken,
    /// Feed, shards, finish and the readers of the log.
    pub(crate) halt: CancellationToken,
    /// The API.
    pub(crate) silence: CancellationToken,
    /// A thread has died.
    pub(crate) failed: CancellationToken,
}

/// What has ended when nothing is left of it.
#[derive(Default)]
pub(crate) struct Tasks {
    pub(crate) doors: Crew,
    pub(crate) others: Crew,
}

/// Tasks that end together.
#[derive(Default)]
pub(crate) struct Crew {
    tasks: JoinSet<()>,
    /// Where they run, if not where they are spawned.
    lane: Option<Handle>,
}

/// Threads for tasks that must get on however busy the others are.
pub(crate) struct Lane(Option<Runtime>);

/// The threads, which end when they are told to.
pub(crate) struct Threads {
    running: Vec<thread::JoinHandle<()>>,
    failed: CancellationToken,
}

/// Tells the gateway when the thread that has it dies.
struct Alarm(CancellationToken);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.cancel();
        }
    }
}

impl Lane {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().thread_name(name).enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    /// A crew that works here.
    pub(crate) fn crew(&self) -> Crew {
        let lane = self.0.as_ref().map(|runtime| runtime.handle().clone());
        Crew { tasks: JoinSet::new(), lane }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Whoever drops it may be a task, which must not wait for threads.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Crew {
    pub(crate) fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        match &self.lane {
            Some(lane) => self.tasks.spawn_on(work, lane),
            None => self.tasks.spawn(work),
        };
    }

    /// A task whose failure an operator should know of.
    pub(crate) fn watch<E: std::error::Error + Send>(
        &mut self,
        what: &'static str,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.spawn(async move {
            if let Err(error) = work.await {
                tracing::error!(%error, what, "has failed");
            }
        });
    }

    /// Waits for the last of them.
    pub(crate) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Threads {
    /// `failed` is cancelled when one of them dies.
    pub(crate) fn new(failed: CancellationToken) -> Self {
        Self { running: Vec::new(), failed }
    }

    pub(crate) fn spawn(
        &mut self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let alarm = Alarm(self.failed.clone());
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _alarm = alarm;
            work();
        })?;
        self.running.push(thread);
        Ok(())
    }

    /// Waits for the last of them.
    pub(crate) fn ended(self) {
        for thread in self.running {
            // One that died has said so.
            let _died = thread.join();
        }
    }
}
