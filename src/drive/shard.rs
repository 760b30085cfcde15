//! One shard of the join, and the mail between shards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Finished, MAIL_MAX, now};
use crate::evidence::{Evidence, JourneyId, Nanos, Place, RequestKey};
use crate::join::{Held, Journey, Mail, Out, Table};
use crate::ledger::Reason;
use crate::serve::{Found, Wanted};

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
    /// A question of the API.
    Question(Question, oneshot::Sender<Answer>),
    /// The log is closed.
    Stop,
}

/// What the API asks of every shard.
#[derive(Clone, Copy)]
pub(crate) enum Question {
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
    inbox: Receiver<Input>,
    peers: Vec<SyncSender<Input>>,
    finisher: SyncSender<Finished>,
    /// Mail that its receiver had no room for. Waiting for room could wait for ever: the receiver
    /// may be waiting for room here.
    undelivered: Vec<VecDeque<Mail>>,
    out: Out,
    expired: Nanos,
}

impl ShardLoop {
    pub(crate) fn new(
        table: Table,
        inbox: Receiver<Input>,
        peers: Vec<SyncSender<Input>>,
        finisher: SyncSender<Finished>,
    ) -> Self {
        let undelivered = peers.iter().map(|_| VecDeque::new()).collect();
        let (out, expired) = (Out::default(), Nanos::default());
        Self { table, inbox, peers, finisher, undelivered, out, expired }
    }

    /// Joins until it is told to stop. What is open then is read from the log at the next start.
    pub(crate) fn run(mut self) {
        loop {
            let input = match self.inbox.recv_timeout(TICK) {
                Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
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
                Some(Input::Question(question, reply)) => {
                    // Whoever asked may have given up.
                    let _gone = reply.send(self.answer(question));
                }
                Some(Input::Stop) | None => {}
            }
            if now.since(self.expired) >= TICK || now < self.expired {
                self.table.expire(now, &mut self.out);
                self.expired = now;
            }
            if !self.pass_on() {
                return;
            }
        }
    }

    fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Journey(id) => Answer { journey: self.table.find(id), ..Answer::default() },
            Question::Request(key) => {
                Answer { name: self.table.find_request(key), ..Answer::default() }
            }
            Question::Held => Answer { held: self.table.held(), ..Answer::default() },
        }
    }

    /// Hands on what came out; answers whether there is still someone to take it.
    fn pass_on(&mut self) -> bool {
        let mut alive = true;
        for journey in self.out.closed.drain(..) {
            alive &= self.finisher.send(Finished::Journey(journey)).is_ok();
        }
        for id in self.out.retracted.drain(..) {
            alive &= self.finisher.send(Finished::Retracted(id)).is_ok();
        }
        for (place, _) in self.out.copied.drain(..) {
            alive &= self.finisher.send(Finished::Copied(place)).is_ok();
        }
        for (place, _, reason) in self.out.lost.drain(..) {
            alive &= self.finisher.send(Finished::Lost(place, reason)).is_ok();
        }
        for (shard, mail) in self.out.mail.drain(..) {
            if let Some(waiting) = self.undelivered.get_mut(shard) {
                waiting.push_back(mail);
            }
        }
        for (peer, waiting) in self.peers.iter().zip(&mut self.undelivered) {
            deliver(peer, waiting);
            while waiting.len() > MAIL_MAX {
                if let Some(place) = waiting.pop_front().and_then(|mail| evidence_of(&mail)) {
                    alive &= self.finisher.send(Finished::Lost(place, Reason::MailFull)).is_ok();
                }
            }
        }
        alive
    }
}

fn deliver(peer: &SyncSender<Input>, waiting: &mut VecDeque<Mail>) {
    if waiting.is_empty() {
        return;
    }
    let mail = waiting.drain(..).collect();
    if let Err(TrySendError::Full(Input::Mail(mail))) = peer.try_send(Input::Mail(mail)) {
        waiting.extend(mail);
    }
}

/// The evidence that would be lost with a message.
fn evidence_of(mail: &Mail) -> Option<Place> {
    match mail {
        Mail::Admit(evidence) | Mail::Ask(evidence) | Mail::Forward { evidence, .. } => {
            Some(evidence.place)
        }
        Mail::Bind(_) | Mail::Expect { .. } | Mail::Await { .. } => None,
    }
}

/// Asks all shards for a journey, and for what they hold together.
pub(crate) async fn ask(shards: Arc<Vec<SyncSender<Input>>>, wanted: Wanted) -> Found {
    let name = match wanted {
        Wanted::Journey(id) => Some(id),
        Wanted::Request(key) => {
            let answers = all(&shards, Question::Request(key)).await;
            answers.into_iter().find_map(|answer| answer.name)
        }
        Wanted::Nothing => {
            let mut held = Held::default();
            for answer in all(&shards, Question::Held).await {
                held.journeys += answer.held.journeys;
                held.evidence += answer.held.evidence;
                held.waiting += answer.held.waiting;
                held.bindings += answer.held.bindings;
            }
            return Found { journey: None, held };
        }
    };
    let Some(name) = name else { return Found::default() };
    let answers = all(&shards, Question::Journey(name)).await;
    let journey = answers.into_iter().find_map(|answer| answer.journey);
    Found { journey, held: Held::default() }
}

/// A shard that is too busy to take a question does not answer it.
async fn all(shards: &[SyncSender<Input>], question: Question) -> Vec<Answer> {
    let mut answers = Vec::new();
    for shard in shards {
        let (reply, answer) = oneshot::channel();
        if shard.try_send(Input::Question(question, reply)).is_ok()
            && let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, answer).await
        {
            answers.push(answer);
        }
    }
    answers
}
