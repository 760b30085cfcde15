//! The real binary, on ports of its own and in a folder of its own.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{eventually, free_port, http};

/// A running gateway. It is killed when this goes out of scope.
pub(crate) struct Gateway {
    process: Child,
    folder: TempDir,
    pub(crate) ports: Ports,
    plan: Plan,
}

/// How a gateway is started.
#[derive(Default)]
pub(crate) struct Plan {
    /// `key=value` settings.
    pub(crate) settings: Vec<String>,
    /// The text of its file of settings.
    pub(crate) file: String,
    /// Where its data lies; in a folder of its own otherwise.
    pub(crate) data: Option<PathBuf>,
    /// What runs it, such as `strace` with its options.
    pub(crate) wrapper: Vec<String>,
}

/// Where it listens.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) grpc: u16,
    pub(crate) http: u16,
    pub(crate) api: u16,
}

impl Gateway {
    /// Starts the gateway with further `key=value` settings and waits until it is ready.
    pub(crate) async fn start(settings: &[&str]) -> Self {
        Self::start_with_file("", settings).await
    }

    /// The same without waiting, for a test that waits in its own way.
    pub(crate) fn start_unwaited(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|it| (*it).to_owned()).collect();
        Self::begin(Plan { settings, ..Plan::default() })
    }

    /// Starts the gateway with this file of settings as well.
    pub(crate) async fn start_with_file(text: &str, settings: &[&str]) -> Self {
        let settings = settings.iter().map(|it| (*it).to_owned()).collect();
        Self::start_as(Plan { settings, file: text.to_owned(), ..Plan::default() }).await
    }

    /// Starts the gateway as planned and waits until it is ready.
    pub(crate) async fn start_as(plan: Plan) -> Self {
        let gateway = Self::begin(plan);
        gateway.ready().await;
        gateway
    }

    fn begin(plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(file(folder.path()), &plan.file).unwrap();
        let ports = Ports { grpc: free_port(), http: free_port(), api: free_port() };
        let process = spawn(folder.path(), ports, &plan);
        Self { process, folder, ports, plan }
    }

    /// Replaces the file of settings.
    pub(crate) fn write_file(&self, text: &str) {
        std::fs::write(file(self.folder.path()), text).unwrap();
    }

    /// Has it read its settings again.
    pub(crate) async fn reload(&self) -> http::Answer {
        http::post(&self.api("/api/v1/reload"), "text/plain", Vec::new()).await.unwrap()
    }

    async fn ready(&self) {
        let url = self.api("/readyz");
        eventually("the gateway is ready", || async {
            http::get(&url).await.filter(|answer| answer.status == 200)
        })
        .await;
    }

    /// SIGKILL: no chance to save anything.
    pub(crate) fn kill(&mut self) {
        end(&mut self.process);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// The process, for what only the system can do to it.
    pub(crate) fn pid(&self) -> String {
        self.process.id().to_string()
    }

    /// Starts again on the same folder and the same ports.
    pub(crate) async fn restart(&mut self) {
        self.process = spawn(self.folder.path(), self.ports, &self.plan);
        self.ready().await;
    }

    /// SIGTERM, and what it wrote to stderr until it was gone.
    pub(crate) fn stop(mut self) -> (TempDir, String) {
        let pid = self.process.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let status = self.process.wait().unwrap();
        let log = self.own_log();
        assert!(status.success(), "the gateway ended with {status}:\n{log}");
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        (folder, log)
    }

    pub(crate) fn own_log(&self) -> String {
        let mut text = String::new();
        let path = self.folder.path().join("own.log");
        std::fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn data(&self) -> PathBuf {
        data(self.folder.path(), &self.plan)
    }

    /// Moves its data; to be called between a kill and a restart.
    pub(crate) fn move_to(&mut self, data: PathBuf) {
        self.plan.data = Some(data);
    }

    pub(crate) fn api(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.api)
    }

    pub(crate) fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.grpc)
    }

    pub(crate) fn otlp_http(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.http)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = http::get(&self.api(path)).await.expect("the API answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    /// Waits until a search finds something.
    pub(crate) async fn found(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/v1/search?q={}", escape(query));
        eventually(&format!("a search for {query} finds something"), || async {
            let answer = self.get(&path).await;
            let hits = answer.get("hits")?.as_array()?.clone();
            (!hits.is_empty()).then_some(hits)
        })
        .await
    }

    /// Waits until every account balances and nothing is held.
    pub(crate) async fn settled(&self) -> Value {
        eventually("the ledger is at rest", || async {
            let status = self.get("/api/v1/status").await;
            let signals = status.get("ledger")?.get("signals")?.as_array()?.clone();
            let at_rest = signals.iter().all(|signal| {
                let accounts = signal["consumers"].as_array().into_iter().flatten();
                signal["imbalance"] == 0
                    && accounts.clone().all(|it| it["imbalance"] == 0 && it["held"] == 0)
            });
            at_rest.then_some(status)
        })
        .await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already, which is what was wanted.
        end(&mut self.process);
    }
}

/// SIGKILL for the gateway and what wraps it.
fn end(process: &mut Child) {
    let group = format!("-{}", process.id());
    Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status().unwrap();
    process.wait().unwrap();
}

fn data(folder: &Path, plan: &Plan) -> PathBuf {
    plan.data.clone().unwrap_or_else(|| folder.join("data"))
}

fn spawn(folder: &Path, ports: Ports, plan: &Plan) -> Child {
    let log =
        std::fs::File::options().create(true).append(true).open(folder.join("own.log")).unwrap();
    let words = plan.wrapper.iter().map(String::as_str);
    let mut words = words.chain([env!("CARGO_BIN_EXE_hopline"), "run", "--config"]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).arg(file(folder));
    let listen = |key: &str, port: u16| format!("{key}=127.0.0.1:{port}");
    let own = [
        listen("receive.otlp.grpc.listen", ports.grpc),
        listen("receive.otlp.http.listen", ports.http),
        listen("serve.listen", ports.api),
        format!("data_dir={}", data(folder, plan).display()),
        "join.quiet=500ms".to_owned(),
        "join.rootless=2s".to_owned(),
        "join.weak_wait=500ms".to_owned(),
        "index.commit=200ms".to_owned(),
    ];
    for setting in own.iter().chain(&plan.settings) {
        command.args(["--set", setting]);
    }
    // A group of its own, so that what wraps it goes with it.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn file(folder: &Path) -> PathBuf {
    folder.join("gateway.yaml")
}

pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
