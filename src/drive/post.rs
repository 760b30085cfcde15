//! The mail of one shard to the others.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use super::{Inlet, Input};
use crate::evidence::Place;
use crate::join::{MAIL_SLACK, Mail, PIECE_MAX};
use crate::serve::LostMail;

/// Mail waits here when its receiver has no room for it. Waiting for room could wait for ever: the
/// receiver may be waiting for room at the sender.
pub(crate) struct Post {
    peers: Vec<Peer>,
    /// Messages that wait for all peers together. More are lost and counted: the oldest of the peer
    /// for which most wait.
    waiting_max: usize,
    lost: Arc<LostMail>,
}

struct Peer {
    inlet: SyncSender<Input>,
    waiting: VecDeque<Mail>,
}

impl Post {
    /// `shards` are all of them, the sender included.
    pub(crate) fn new(shards: &[Inlet], waiting_max: usize, lost: Arc<LostMail>) -> Self {
        let peer = |shard: &Inlet| Peer { inlet: shard.evidence.clone(), waiting: VecDeque::new() };
        Self { peers: shards.iter().map(peer).collect(), waiting_max, lost }
    }

    pub(super) fn put(&mut self, shard: usize, mail: Mail) {
        if let Some(peer) = self.peers.get_mut(shard) {
            peer.waiting.push_back(mail);
        }
    }

    /// Hands over what there is room for. Answers the evidence in what is lost of the rest.
    pub(super) fn deliver(&mut self) -> Vec<Place> {
        let mut lost = Vec::new();
        let mut all = 0_usize;
        for Peer { inlet, waiting } in &mut self.peers {
            hand_over(inlet, waiting);
            all += waiting.len();
        }
        while all > self.waiting_max
            && let Some(fullest) = self.peers.iter_mut().max_by_key(|peer| peer.waiting.len())
        {
            let more = (all - self.waiting_max).min(fullest.waiting.len());
            all -= more;
            for mail in fullest.waiting.drain(..more) {
                self.lost.add(mail.subject());
                lost.extend(mail.carries());
            }
        }
        // Each may have been the fullest at some time, and would keep the memory of that.
        for Peer { waiting, .. } in &mut self.peers {
            if waiting.capacity() > 2 * waiting.len() + MAIL_SLACK {
                waiting.shrink_to(waiting.len());
            }
        }
        lost
    }
}

fn hand_over(inlet: &SyncSender<Input>, waiting: &mut VecDeque<Mail>) {
    while !waiting.is_empty() {
        let bag = waiting.drain(..waiting.len().min(PIECE_MAX)).collect();
        // A shard that is gone needs no mail: the next start reads the log again.
        if let Err(TrySendError::Full(Input::Mail(bag))) = inlet.try_send(Input::Mail(bag)) {
            bag.into_iter().rev().for_each(|mail| waiting.push_front(mail));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::mpsc::sync_channel;

    use tokio_util::sync::CancellationToken;

    use super::super::{Ends, Finished, Room, ShardLoop};
    use super::*;
    use crate::evidence::{Evidence, Facts, Keys, Nanos, Position, RequestKey, TraceId};
    use crate::join::tests::settings;
    use crate::join::{Binding, Home, INBOX_MAX, Shard, Subject, Table, WeakKey};
    use crate::ledger::Reason;

    const COUNT: usize = 2;

    /// The first piece of evidence with this place whose trace is at home on shard 0, and whose
    /// request key on shard 1.
    fn evidence(batch: u64) -> Evidence {
        let request = |number| RequestKey(NonZeroU64::new(number).unwrap());
        let far = |key: &RequestKey| Shard::of_key(WeakKey::Request(*key), COUNT) == 1;
        let near = |trace: &TraceId| Shard::of_journey((*trace).into(), COUNT) == 0;
        let trace = |number: u8| TraceId::from_slice(&[number; 16]).unwrap();
        let keys = Keys {
            trace: (1..).map(trace).find(near),
            request: (1 + batch * 1000..).map(request).find(far),
            ..Keys::default()
        };
        let place = Place { batch: Position(batch), offset: 0 };
        Evidence { keys, facts: Facts::default(), place }
    }

    fn each_subject() -> [Mail; 6] {
        let [first, second, third] = [1, 2, 3].map(evidence);
        let key = first.keys.request.map(WeakKey::Request).unwrap();
        let home = Home::Alone(first.place);
        let [from, to, until] = [Nanos(1), Nanos(2), Nanos(3)];
        [
            Mail::Admit(first),
            Mail::Bind(Binding { key, home, from, to, replaces: None }),
            Mail::Forward { evidence: second, home },
            Mail::Ask(third),
            Mail::Expect { key, from, to, until },
            Mail::Await { home, until },
        ]
    }

    fn fill(inlet: &Inlet) {
        for _ in 0..INBOX_MAX {
            inlet.evidence.try_send(Input::Wake).unwrap_or_else(|_| panic!("there is room"));
        }
    }

    fn counts(lost: &LostMail) -> Vec<u64> {
        lost.counts().map(|(_, count)| count).collect()
    }

    #[test]
    fn each_lost_message_is_counted_by_what_it_was_for() {
        let (inlet, _outlet) = Inlet::new();
        fill(&inlet);
        let lost = Arc::<LostMail>::default();
        let mut post = Post::new(&[inlet], 1, Arc::clone(&lost));
        each_subject().into_iter().for_each(|mail| post.put(0, mail));

        let places = post.deliver();

        assert_eq!(places.into_iter().map(|place| place.batch.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(counts(&lost), [1, 1, 1, 1, 1, 0], "the newest waits");
        post.put(0, each_subject()[1]);
        assert_eq!((post.deliver(), counts(&lost)), (Vec::new(), vec![1; 6]));
    }

    #[test]
    fn what_waits_for_all_peers_together_is_bounded_and_the_fullest_gives_way() {
        let shards = [1, 2, 3].map(|_| Inlet::new());
        let inlets = shards.each_ref().map(|(inlet, _)| inlet.clone());
        inlets.iter().for_each(fill);
        let lost = Arc::<LostMail>::default();
        let mut post = Post::new(&inlets, 10, Arc::clone(&lost));
        for (shard, count) in [(0, 2), (1, 30), (2, 4)] {
            (0..count).for_each(|batch| post.put(shard, Mail::Admit(evidence(batch % 3))));
        }

        assert_eq!(post.deliver().len(), 26);

        let waiting: Vec<_> = post.peers.iter().map(|peer| peer.waiting.len()).collect();
        assert_eq!((waiting, counts(&lost)[0]), (vec![2, 4, 4], 26));
    }

    #[test]
    fn a_queue_that_was_long_does_not_keep_its_memory() {
        let (inlet, (inbox, _)) = Inlet::new();
        fill(&inlet);
        let mut post = Post::new(&[inlet], 10_000, Arc::default());
        (0..9000).for_each(|batch| post.put(0, Mail::Admit(evidence(batch % 3))));
        post.deliver();
        assert!(post.peers[0].waiting.capacity() >= 9000);

        inbox.try_iter().for_each(drop);
        post.deliver();

        assert!(post.peers[0].waiting.is_empty());
        assert!(post.peers[0].waiting.capacity() <= MAIL_SLACK);
    }

    #[test]
    fn what_there_is_room_for_arrives_whole_and_in_order() {
        let (inlet, (inbox, _)) = Inlet::new();
        let lost = Arc::<LostMail>::default();
        let mut post = Post::new(&[inlet], 1, Arc::clone(&lost));
        let sent: Vec<_> = (0..3000).map(|batch| Mail::Admit(evidence(batch % 7))).collect();
        sent.iter().for_each(|mail| post.put(0, *mail));

        assert_eq!(post.deliver(), []);

        let bags = inbox.try_iter().map(|input| match input {
            Input::Mail(bag) => bag,
            Input::Evidence(_) | Input::Wake => panic!("there is nothing but mail"),
        });
        let bags: Vec<_> = bags.collect();
        assert_eq!(bags.iter().map(Vec::len).collect::<Vec<_>>(), [1024, 1024, 952]);
        assert_eq!((bags.concat(), counts(&lost)), (sent, vec![0; 6]));
    }

    #[test]
    fn a_shard_whose_peer_takes_nothing_counts_every_binding_that_is_lost() {
        let (own, (inbox, questions)) = Inlet::new();
        let ((unused, _own), (peer, _peer)) = (Inlet::new(), Inlet::new());
        fill(&peer);
        let lost = Arc::<LostMail>::default();
        let (finisher, finished) = sync_channel(100);
        let post = Post::new(&[unused, peer], 3, Arc::clone(&lost));
        let room = Arc::new(Room::new(1000));
        let halt = CancellationToken::new();
        let ends = Ends { inbox, questions, post, finisher, room, halt };
        let table = Table::new(settings(), Shard { index: 0, count: COUNT });
        let list = (0..10).map(evidence).collect();
        own.evidence.try_send(Input::Evidence(list)).unwrap_or_else(|_| panic!("there is room"));
        drop(own);

        ShardLoop::new(table, ends).run();

        let bind = Subject::ALL.iter().position(|it| *it == Subject::Bind).unwrap();
        assert_eq!(counts(&lost)[bind], 10 - 3);
        let is_loss = |it: &Finished| matches!(it, Finished::Lost(_, Reason::MailFull));
        assert_eq!(finished.try_iter().filter(is_loss).count(), 0, "no evidence is lost with them");
    }
}
