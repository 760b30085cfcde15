use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::ledger::Refusal;
use crate::receive::{Raw, Settings, Turn};

/// What was handed over: the `uuid` of each flow, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn take(&self, raw: Raw) {
        let request = ExportLogsServiceRequest::decode(raw.bytes).unwrap();
        let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        let pairs = scopes.flat_map(|scope| scope.log_records).flat_map(|log| log.attributes);
        for pair in pairs.filter(|pair| pair.key == "hopline.flow.uuid") {
            let Some(Value::StringValue(uuid)) = pair.value.unwrap().value else { panic!() };
            self.0.lock().unwrap().push(uuid);
        }
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    async fn reaches(&self, expected: &[&str]) {
        for _ in 0..500 {
            if self.all() == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.all(), expected);
    }
}

struct Run {
    seen: Seen,
    intake: Intake,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Run {
    /// Follows `dir/flows.log`; the first `refusals` batches are refused.
    fn start(dir: &TempDir, refusals: usize) -> Self {
        let seen = Seen::default();
        let (to, left) = (seen.clone(), Arc::new(Mutex::new(refusals)));
        let handle = move |raw: Raw, _: Turn| {
            let (to, left) = (to.clone(), Arc::clone(&left));
            let reply = async move {
                let mut left = left.lock().unwrap();
                if *left > 0 {
                    *left -= 1;
                    return Reply::Refused { refusal: Refusal::LogFull, message: String::new() };
                }
                to.take(raw);
                Reply::Accepted
            };
            Box::pin(reply) as std::pin::Pin<Box<dyn Future<Output = Reply> + Send>>
        };
        let poll_interval = Duration::from_millis(10);
        let settings = Settings { line_bytes_max: 1000, poll_interval, ..Settings::default() };
        let intake = Intake::new(Arc::new(handle), settings);
        let stop = CancellationToken::new();
        let (path, marks) = (dir.path().join("flows.log"), dir.path().join("marks"));
        let task = tokio::spawn(follow(path, intake.clone(), marks, stop.clone()));
        Self { seen, intake, stop, task }
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn flow(uuid: &str) -> String {
    format!("{{\"verdict\":\"FORWARDED\",\"uuid\":\"{uuid}\"}}\n")
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn lines_are_handed_over_once_they_are_whole() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("flows.log");
    let run = Run::start(&dir, 0);
    let second = flow("2");
    let (begin, end) = second.split_at(20);
    append(&path, &format!("{}{begin}", flow("1")));
    run.seen.reaches(&["1"]).await;

    append(&path, end);

    run.seen.reaches(&["1", "2"]).await;
    run.end().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_last_run_ended() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("flows.log");
    append(&path, &(flow("1") + &flow("2")));
    let run = Run::start(&dir, 0);
    run.seen.reaches(&["1", "2"]).await;
    run.end().await;
    append(&path, &flow("3"));

    let run = Run::start(&dir, 0);

    run.seen.reaches(&["3"]).await;
    run.end().await;
}

#[tokio::test]
async fn a_file_that_was_rotated_while_nobody_looked_is_read_to_its_end_first() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("flows.log");
    append(&path, &flow("1"));
    let run = Run::start(&dir, 0);
    run.seen.reaches(&["1"]).await;
    run.end().await;
    append(&path, &flow("2"));
    fs::rename(&path, dir.path().join("flows.log.1")).unwrap();
    append(&path, &flow("3"));

    let run = Run::start(&dir, 0);

    run.seen.reaches(&["2", "3"]).await;
    run.end().await;
}

#[tokio::test]
async fn rotation_loses_no_line_not_even_the_last_without_its_end() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("flows.log");
    append(&path, &flow("1"));
    let run = Run::start(&dir, 0);
    run.seen.reaches(&["1"]).await;
    append(&path, &(flow("2") + flow("3").trim_end()));
    fs::rename(&path, dir.path().join("flows.log.1")).unwrap();

    append(&path, &flow("4"));

    run.seen.reaches(&["1", "2", "3", "4"]).await;
    run.end().await;
}

#[tokio::test]
async fn a_file_that_was_cut_is_read_again_from_its_start() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("flows.log");
    append(&path, &(flow("1") + &flow("2")));
    let run = Run::start(&dir, 0);
    run.seen.reaches(&["1", "2"]).await;

    fs::write(&path, flow("3")).unwrap();

    run.seen.reaches(&["1", "2", "3"]).await;
    run.end().await;
}

#[tokio::test]
async fn a_refusal_that_passes_is_waited_out() {
    let dir = TempDir::new().unwrap();
    append(&dir.path().join("flows.log"), &(flow("1") + &flow("2")));
    let run = Run::start(&dir, 2);

    run.seen.reaches(&["1", "2"]).await;
    assert_eq!(run.intake.counters().of(Source::Flows).refused(Refusal::LogFull), 2);
    run.end().await;
}

#[tokio::test]
async fn a_line_that_never_ends_is_rejected_and_not_held() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("flows.log");
    append(&path, &(flow("1") + &"x".repeat(300_000)));
    let run = Run::start(&dir, 0);
    run.seen.reaches(&["1"]).await;

    append(&path, &format!("xx\n{}", flow("2")));

    run.seen.reaches(&["1", "2"]).await;
    assert_eq!(run.intake.counters().of(Source::Flows).rejected(), 1);
    run.end().await;
}

#[tokio::test]
async fn more_lines_than_a_batch_holds_come_in_order() {
    let dir = TempDir::new().unwrap();
    let uuids: Vec<_> = (0..2000).map(|number| number.to_string()).collect();
    let text: String = uuids.iter().map(|uuid| flow(uuid)).collect();
    append(&dir.path().join("flows.log"), &text);
    let run = Run::start(&dir, 0);

    run.seen.reaches(&uuids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(run.intake.counters().of(Source::Flows).requests() >= 4);
    run.end().await;
}

#[tokio::test]
async fn a_checkpoint_of_another_file_does_not_count() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("flows.log");
    append(&path, &flow("1"));
    let run = Run::start(&dir, 0);
    run.seen.reaches(&["1"]).await;
    run.end().await;
    // The same inode with other content, as after a restore.
    fs::write(&path, flow("9") + &flow("8")).unwrap();

    let run = Run::start(&dir, 0);

    run.seen.reaches(&["9", "8"]).await;
    run.end().await;
}
