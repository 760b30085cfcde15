//! One shard of the join.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Finished, Post, QUESTIONS_MAX, Room, now};
use crate::evidence::{Evidence, JourneyId, Nanos, RequestKey};
use crate::join::{Forgotten, Held, INBOX_MAX, Journey, Mail, Out, Table};
use crate::ledger::Reason;
use crate::serve::{ForgottenBindings, Found, Wanted};

/// How often windows are looked at when nothing comes.
const TICK: Duration = Duration::from_millis(50);
/// How long the API waits for the shards.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a shard takes.
pub(crate) enum Input {
    /// Evidence from the log.
    Evidence(Vec<Evidence>),
    /// What another shard has to say.
    Mail(Vec<Mail>),
    /// There is a question.
    Wake,
}

/// The ways into one shard. Questions have their own: evidence may fill the other.
#[derive(Clone)]
pub(crate) struct Inlet {
    pub(crate) evidence: SyncSender<Input>,
    pub(crate) questions: SyncSender<Question>,
}

/// Where what goes into an inlet comes out.
type Outlet = (Receiver<Input>, Receiver<Question>);

impl Inlet {
    /// The ways into a shard, and their other ends.
    pub(crate) fn new() -> (Self, Outlet) {
        let (evidence, inbox) = sync_channel(INBOX_MAX);
        let (questions, asked) = sync_channel(QUESTIONS_MAX);
        (Self { evidence, questions }, (inbox, asked))
    }
}

/// What the API asks of every shard.
pub(crate) struct Question {
    about: About,
    reply: oneshot::Sender<Answer>,
}

#[derive(Clone, Copy)]
enum About {
    Journey(JourneyId),
    Request(RequestKey),
    Held,
}

/// What one shard knows.
#[derive(Default)]
pub(crate) struct Answer {
    journey: Option<Arc<Journey>>,
    name: Option<JourneyId>,
    held: Held,
}

/// A shard with its queues.
pub(crate) struct ShardLoop {
    table: Table,
    ends: Ends,
    out: Out,
    forgotten: Arc<ForgottenBindings>,
    expired: Nanos,
}

/// What a shard is connected to.
pub(crate) struct Ends {
    pub(crate) inbox: Receiver<Input>,
    pub(crate) questions: Receiver<Question>,
    pub(crate) post: Post,
    pub(crate) finisher: SyncSender<Finished>,
    pub(crate) room: Arc<Room>,
    /// The gateway stops.
    pub(crate) halt: CancellationToken,
}

impl ShardLoop {
    pub(crate) fn new(table: Table, ends: Ends) -> Self {
        let (out, forgotten, expired) = (Out::default(), Arc::default(), Nanos::default());
        Self { table, ends, out, forgotten, expired }
    }

    /// What it will have forgotten.
    pub(crate) fn forgotten(&self) -> Arc<ForgottenBindings> {
        Arc::clone(&self.forgotten)
    }

    /// Joins until the gateway stops. What is open then is read from the log at the next start.
    pub(crate) fn run(mut self) {
        while !self.ends.halt.is_cancelled() {
            let input = match self.ends.inbox.recv_timeout(TICK) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let now = now();
            match input {
                Some(Input::Evidence(list)) => {
                    for evidence in &list {
                        self.table.admit(evidence, now, &mut self.out);
                    }
                }
                Some(Input::Mail(list)) => {
                    for mail in list {
                        self.table.receive(mail, now, &mut self.out);
                    }
                }
                Some(Input::Wake) | None => {}
            }
            if now.since(self.expired) >= TICK {
                self.table.expire(now, &mut self.out);
                self.expired = now;
            }
            if !self.pass_on() {
                return;
            }
            while let Ok(Question { about, reply }) = self.ends.questions.try_recv() {
                // Whoever asked may have given up.
                let _gone = reply.send(self.answer(about));
            }
        }
    }

    fn answer(&self, about: About) -> Answer {
        match about {
            About::Journey(id) => Answer { journey: self.table.find(id), ..Answer::default() },
            About::Request(key) => {
                Answer { name: self.table.find_request(key), ..Answer::default() }
            }
            About::Held => Answer { held: self.table.held(), ..Answer::default() },
        }
    }

    /// Hands on what came out; answers whether there is still someone to take it.
    fn pass_on(&mut self) -> bool {
        let mut alive = true;
        // Before the journeys: what they settle may be one of these.
        for (place, kind) in self.out.copied.drain(..) {
            alive &= self.ends.finisher.send(Finished::Copied(place, kind)).is_ok();
        }
        for journey in self.out.closed.drain(..) {
            alive &= self.ends.room.take(&journey, &self.ends.halt);
            alive &= self.ends.finisher.send(Finished::Journey(journey)).is_ok();
        }
        for id in self.out.retracted.drain(..) {
            alive &= self.ends.finisher.send(Finished::Retracted(id)).is_ok();
        }
        for (place, _, reason) in self.out.lost.drain(..) {
            alive &= self.ends.finisher.send(Finished::Lost(place, reason)).is_ok();
        }
        let forgotten = std::mem::take(&mut self.out.forgotten);
        if forgotten != Forgotten::default() {
            self.forgotten.add(forgotten);
        }
        for (shard, mail) in self.out.mail.drain(..) {
            self.ends.post.put(shard, mail);
        }
        for place in self.ends.post.deliver() {
            alive &= self.ends.finisher.send(Finished::Lost(place, Reason::MailFull)).is_ok();
        }
        alive
    }
}

/// Asks all shards for a journey, or for what they hold together.
pub(crate) async fn ask(shards: Arc<Vec<Inlet>>, wanted: Wanted) -> Found {
    let mut found = Found { complete: true, ..Found::default() };
    let name = match wanted {
        Wanted::Journey(id) => Some(id),
        Wanted::Request(key) => {
            let answers = all(&shards, About::Request(key), &mut found.complete).await;
            answers.into_iter().find_map(|answer| answer.name)
        }
        Wanted::Nothing => {
            for answer in all(&shards, About::Held, &mut found.complete).await {
                found.held.journeys += answer.held.journeys;
                found.held.evidence += answer.held.evidence;
                found.held.waiting += answer.held.waiting;
                found.held.bindings += answer.held.bindings;
            }
            None
        }
    };
    if let Some(name) = name {
        let answers = all(&shards, About::Journey(name), &mut found.complete).await;
        found.journey = answers.into_iter().find_map(|answer| answer.journey);
    }
    found
}

/// The answers of the shards; `complete` turns false when one of them is too busy for its own.
async fn all(shards: &[Inlet], about: About, complete: &mut bool) -> Vec<Answer> {
    let mut waiting = Vec::new();
    for shard in shards {
        let (reply, answer) = oneshot::channel();
        match shard.questions.try_send(Question { about, reply }) {
            Ok(()) => {
                // A full inbox keeps the shard awake.
                let _full = shard.evidence.try_send(Input::Wake);
                waiting.push(answer);
            }
            Err(_) => *complete = false,
        }
    }
    let mut answers = Vec::new();
    for answer in waiting {
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answers.push(answer),
            Ok(Err(_)) | Err(_) => *complete = false,
        }
    }
    answers
}
