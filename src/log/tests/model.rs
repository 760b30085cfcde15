//! Whatever is done in whatever order, the log is a list.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Append(usize),
    /// The cursor passes this many batches.
    Advance(usize),
    Trim,
    Reopen,
    /// The process is killed.
    Kill,
    /// The process is killed in the middle of a write, which leaves this many bytes.
    Tear(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..300_usize).prop_map(Act::Append),
        // So long that they are packed.
        2 => (17_000..20_000_usize).prop_map(Act::Append),
        3 => (0..4_usize).prop_map(Act::Advance),
        2 => Just(Act::Trim),
        1 => Just(Act::Reopen),
        1 => Just(Act::Kill),
        1 => (1..100_usize).prop_map(Act::Tear),
    ]
}

/// The log beside the list that it has to equal.
struct Rig {
    dir: tempfile::TempDir,
    log: Log,
    appended: Vec<(Position, String)>,
    /// How many of them the cursor has passed, and had when it was saved last.
    passed: usize,
    saved: usize,
}

fn tight(dir: &Path) -> Settings {
    let (segment_bytes, bytes_max) = (300, 4_000);
    Settings { segment_bytes, bytes_max, tail_bytes: 600, ..settings(dir, Ack::Memory) }
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(tight(dir.path())).unwrap();
        let _cursor = log.cursor("index");
        Self { dir, log, appended: Vec::new(), passed: 0, saved: 0 }
    }

    fn apply(&mut self, act: &Act) {
        match act {
            Act::Append(length) => self.append(*length),
            Act::Advance(count) => {
                self.passed = (self.passed + count).min(self.appended.len());
                let next = self.appended.get(self.passed);
                let to = next.map_or(self.log.end(), |(position, _)| *position);
                self.log.cursor("index").advance(to);
            }
            Act::Trim => {
                self.log.trim(Nanos(u64::MAX));
                self.saved = self.passed;
            }
            Act::Reopen => {
                self.log.close();
                self.saved = self.passed;
                self.log = Log::open(tight(self.dir.path())).unwrap();
            }
            Act::Kill => self.kill(0),
            Act::Tear(bytes) => self.kill(*bytes),
        }
    }

    fn append(&mut self, length: usize) {
        let text = "x".repeat(length);
        match append(&self.log, &text) {
            Ok(position) => {
                assert!(self.appended.last().is_none_or(|(last, _)| *last < position));
                self.appended.push((position, text));
            }
            Err(refusal) => {
                assert_eq!(refusal, Refusal::LogFull);
                let Position(cursor) = self.log.cursor("index").get();
                assert!(self.log.end().0 - cursor > 2_000, "refused with room to spare");
            }
        }
    }

    fn kill(&mut self, torn: usize) {
        let image = crash_image(self.dir.path());
        if let Some(last) = segment_files(image.path()).pop() {
            let mut bytes = fs::read(&last).unwrap();
            bytes.extend(vec![0xf7; torn]);
            fs::write(last, bytes).unwrap();
        }
        self.log = Log::open(tight(image.path())).unwrap();
        self.dir = image;
        // A full log saves the cursor to make room, so it may have been saved since.
        let cursor = self.log.cursor("index").get();
        let passed = self.appended.iter().filter(|(position, _)| *position < cursor).count();
        assert!((self.saved..=self.passed).contains(&passed));
        self.passed = passed;
    }

    fn check(&self) {
        let cursor = self.log.cursor("index").get();
        assert!(self.log.start() <= cursor);
        let ahead = &self.appended[self.passed..];
        let (texts, errors) = drain(&mut self.log.reader(cursor));
        assert!(errors.is_empty(), "{errors:?}");
        assert!(texts.iter().eq(ahead.iter().map(|(_, text)| text)));
        let items: usize = ahead.iter().map(|(_, text)| text.len()).sum();
        assert_eq!(self.log.items(cursor), [0, items as u64, 0]);
        for (position, text) in ahead {
            assert_eq!(self.log.read(*position).unwrap().payload.plain, text.as_bytes());
        }
        assert!(self.log.status().bytes <= 4_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_log_is_the_list_of_what_it_acknowledged(acts in prop::collection::vec(act(), 1..60)) {
        let mut rig = Rig::new();
        for act in &acts {
            rig.apply(act);
            rig.check();
        }
    }
}
