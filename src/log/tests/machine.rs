//! The log on a simulated disk, without threads: writing and syncing are steps of the test, so
//! that every order of them can be had, and had again.

use tokio::sync::oneshot;

use super::super::queue::Pending;
use super::super::writer::Writer;
use super::simfs::{Crash, SimFs};
use super::*;

pub(super) const DIR: &str = "/data/log";

/// A process that has the log open.
pub(super) struct Machine {
    pub(super) disk: SimFs,
    pub(super) settings: Settings,
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Writer,
}

pub(super) type Answer = oneshot::Receiver<Result<Position, Refusal>>;

pub(super) fn tight(ack: Ack) -> Settings {
    Settings {
        segment_bytes: 700,
        bytes_max: 8_000,
        tail_bytes: 0,
        keep: Duration::ZERO,
        ..settings(Path::new(DIR), ack)
    }
}

impl Machine {
    pub(super) fn start(disk: &SimFs, settings: &Settings) -> Result<Self, Error> {
        let shared = Arc::new(Shared::open(settings.clone(), Arc::new(disk.clone()))?);
        let writer = Writer::new(Arc::clone(&shared));
        Ok(Self { disk: disk.clone(), settings: settings.clone(), shared, writer })
    }

    /// On an empty disk.
    pub(super) fn new(settings: &Settings) -> Self {
        Self::start(&SimFs::new(), settings).unwrap()
    }

    /// Writes a group, which is not yet synced.
    pub(super) fn write(&mut self, texts: &[String], received: Nanos) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut group = Vec::new();
        for text in texts {
            let (reply, answer) = oneshot::channel();
            let items = u32::try_from(text.len()).unwrap();
            let digest = Digest(u128::from(crc32fast::hash(text.as_bytes())) + 1);
            let head = Head { received, digest, ..head(items) };
            let clean = Clean::for_test(head, Bytes::copy_from_slice(text.as_bytes()));
            group.push(Pending { packed: Packed::new(&clean, None), reply });
            answers.push(answer);
        }
        self.writer.write(group);
        answers
    }

    /// Writes one batch and waits for it.
    pub(super) fn append(&mut self, text: &str) -> Result<Position, Refusal> {
        let mut answers = self.write(&[text.to_owned()], Nanos(1_000));
        self.shared.settle();
        answers.remove(0).try_recv().unwrap()
    }

    pub(super) fn append_all(&mut self, texts: &[&str]) -> Vec<Position> {
        texts.iter().map(|text| self.append(text).unwrap()).collect()
    }

    pub(super) fn read_all(&self) -> Vec<String> {
        let (texts, errors) = self.drain(self.start_position());
        assert!(errors.is_empty(), "{errors:?}");
        texts
    }

    pub(super) fn drain(&self, from: Position) -> (Vec<String>, Vec<Error>) {
        drain(&mut Reader::new(Arc::clone(&self.shared), from))
    }

    pub(super) fn start_position(&self) -> Position {
        Position(self.shared.state().start())
    }

    pub(super) fn end(&self) -> Position {
        Position(self.shared.state().end)
    }

    pub(super) fn cursor(&self, name: &str) -> super::super::Cursor {
        let at = self.shared.cursors.open(name, self.start_position().0);
        super::super::Cursor::new(Arc::clone(&self.shared), at)
    }

    /// The process stops as it should.
    pub(super) fn close(&mut self) {
        self.writer.seal();
        self.shared.finish();
    }

    /// The process ends, and the next one starts.
    pub(super) fn crash(&mut self, how: Crash) {
        self.disk.crash(how);
        *self = Self::start(&self.disk, &self.settings).unwrap();
    }

    /// Everything of the log that takes room on the disk.
    pub(super) fn bytes_on_disk(&self) -> u64 {
        let sizes = self.disk.sizes(DIR);
        let ours = |name: &str| name.ends_with(".seg") || name.ends_with(".spare");
        sizes.into_iter().filter(|(name, _)| ours(name)).map(|(_, size)| size).sum()
    }
}
