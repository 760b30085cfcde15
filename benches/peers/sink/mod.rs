//! Sink: takes what a gateway sends on, and knows of every item whether it came.
//!
//! In: OTLP over gRPC and HTTP/1.1. Out: counts. It can be told to be slow, to refuse, or to be down.

mod count;
mod serve;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hopline::evidence::Signal;
use tokio::net::TcpListener;
use tokio::sync::watch;

use count::Counter;
pub(crate) use count::Counts;

use crate::shape::Protocol;

/// How the sink behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes everything, after so long.
    Takes(Duration),
    /// Answers "retry later".
    Refuses,
    /// Ends connections at once.
    Down,
}

/// A running sink. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Sink {
    counter: Arc<Mutex<Counter>>,
    requests: Arc<AtomicU64>,
    mood: watch::Sender<Mood>,
}

impl Sink {
    /// Takes gRPC and HTTP at two addresses, and orders at the third, on a thread of its own.
    pub(crate) fn start(signal: Signal, [grpc, http, control]: [&str; 3]) -> std::io::Result<Self> {
        let sink = Self {
            counter: Arc::new(Mutex::new(Counter::new(signal))),
            requests: Arc::default(),
            mood: watch::Sender::new(Mood::Takes(Duration::ZERO)),
        };
        let listen = |address: &str| {
            let listener = std::net::TcpListener::bind(address).map_err(|error| {
                std::io::Error::new(error.kind(), format!("{address}: {error}"))
            })?;
            listener.set_nonblocking(true)?;
            Ok::<_, std::io::Error>(listener)
        };
        let listeners = [listen(grpc)?, listen(http)?, listen(control)?];
        let own = sink.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let [grpc, http, control] =
                    listeners.map(|listener| TcpListener::from_std(listener).unwrap());
                tokio::join!(
                    serve::listen(own.clone(), grpc, Protocol::Grpc),
                    serve::listen(own.clone(), http, Protocol::Http),
                    serve::control(own.clone(), control),
                );
            });
        });
        Ok(sink)
    }

    /// What came so far.
    pub(crate) fn counts(&self) -> Counts {
        let requests = self.requests.load(Ordering::Relaxed);
        Counts { requests, ..self.counter.lock().unwrap().counts() }
    }

    /// Forgets what came, and expects items of `signal` from now on.
    pub(crate) fn reset(&self, signal: Signal) {
        *self.counter.lock().unwrap() = Counter::new(signal);
        self.requests.store(0, Ordering::Relaxed);
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}
