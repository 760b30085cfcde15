//! The edge: the terminal, the keys, the signals, the gateway.

use std::error;
use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::super::client::show::plain;
use super::super::client::{Snapshot, Target, look};
use super::{Error, Key, State, draw};

/// How soon the thread that reads keys notices that nobody wants them.
const KEY_WAIT: Duration = Duration::from_millis(100);
/// A person who types faster than this is drawn waits.
const KEYS_MAX: usize = 16;

/// The terminal, in the mode of a program that fills it. A panic gives it back as well: ratatui's
/// hook sees to that.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        drop(ratatui::try_restore());
    }
}

/// Draws the gateway until someone presses `q`, or a signal comes, or the terminal goes.
///
/// # Errors
/// When standard output is no terminal, or one that cannot be used.
pub async fn run(target: Target, interval: Duration) -> Result<(), Error> {
    if !io::stdout().is_terminal() {
        return Err(Error::NoTerminal);
    }
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .into_iter()
        .map(signal)
        .collect::<io::Result<Vec<_>>>()?;
    let mut screen = Screen::open()?;
    let mut keys = keys()?;
    let mut looks = looks(target.clone(), interval);
    let mut state = State::new(target.api);
    loop {
        screen.0.draw(|frame| draw(frame, &state))?;
        tokio::select! {
            Some(looked) = looks.recv() => state.looked(looked),
            key = keys.recv() => match key {
                None | Some(Key::Quit) => return Ok(()),
                Some(key) => state.pressed(key),
            },
            () = any(&mut signals) => return Ok(()),
        }
    }
}

async fn any(signals: &mut [Signal]) {
    let waits = std::future::poll_fn(|context| {
        let come = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        if come { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    });
    waits.await;
}

/// Asks the gateway again and again.
fn looks(target: Target, interval: Duration) -> mpsc::Receiver<Result<Snapshot, String>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let looked = look(&target).await.map(|(_, snapshot)| snapshot);
            if sender.send(looked.map_err(|error| why(&error))).await.is_err() {
                return;
            }
            tokio::time::sleep(interval).await;
        }
    });
    receiver
}

/// What went wrong, and at the root of it what.
fn why(error: &dyn error::Error) -> String {
    match std::iter::successors(error.source(), |cause| cause.source()).last() {
        None => plain(&error.to_string()),
        Some(cause) => plain(&format!("{error}: {cause}")),
    }
}

/// Reads the keys on a thread of its own, since waiting for one blocks. It ends with the receiver,
/// or with the terminal.
fn keys() -> io::Result<mpsc::Receiver<Key>> {
    let (sender, receiver) = mpsc::channel(KEYS_MAX);
    let read = move || {
        while !sender.is_closed() {
            let key = match event::poll(KEY_WAIT) {
                Ok(false) => continue,
                Ok(true) => match event::read() {
                    Ok(Event::Key(event)) => Key::of(event),
                    Ok(Event::Resize(..)) => Some(Key::Redraw),
                    Ok(_) => None,
                    Err(_) => return,
                },
                Err(_) => return,
            };
            if key.is_some_and(|key| sender.blocking_send(key).is_err()) {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(read)?;
    Ok(receiver)
}
