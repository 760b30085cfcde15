//! Faults of the machine: disks that fill up, fail or lose power, too little memory, too few
//! files. Each needs something of the machine; where it is missing the test says loudly that it
//! was skipped.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::gateway::{Gateway, Plan};
use crate::support::otlp::{attribute, send_traces, span, traces};
use crate::support::sink::Sink;
use crate::support::{dead_address, eventually, run, skipped};

/// A file system in a file, on a loop device.
struct Disk {
    folder: TempDir,
    mounted: Vec<PathBuf>,
}

impl Disk {
    /// `None` where the machine does not allow it.
    fn new(mib: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(mib << 20).unwrap();
        let mut disk = Self { folder, mounted: Vec::new() };
        let made = run("mkfs.ext4", &["-q", "-F", &text(&image)]);
        (made && disk.mount("image", "mounted").is_some()).then_some(disk)
    }

    fn mount(&mut self, image: &str, at: &str) -> Option<PathBuf> {
        let (image, at) = (self.folder.path().join(image), self.folder.path().join(at));
        std::fs::create_dir_all(&at).unwrap();
        let is_mounted = run("mount", &["-o", "loop", &text(&image), &text(&at)]);
        is_mounted.then(|| {
            self.mounted.push(at.clone());
            at
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("mounted/data")
    }

    /// The disk as it would be after a power cut now: without what is only in memory.
    fn after_power_loss(&mut self) -> PathBuf {
        let image = |name: &str| self.folder.path().join(name);
        std::fs::copy(image("image"), image("copy")).unwrap();
        self.mount("copy", "after").unwrap().join("data")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for at in &self.mounted {
            run("umount", &["-l", &text(at)]);
        }
    }
}

#[tokio::test]
async fn every_acknowledged_trace_survives_a_power_cut() {
    let Some(mut disk) = Disk::new(256) else { return skipped("loop devices and mkfs.ext4") };
    let sink = Sink::start().await;
    let export = format!("export.otlp.sink.endpoint={}", sink.endpoint);
    let settings = vec![export, "log.bytes_max=64MiB".to_owned(), "log.segment_bytes=1MiB".into()];
    let plan = Plan { settings, data: Some(disk.data()), ..Plan::default() };
    let mut gateway = Gateway::start_as(plan).await;
    for id in 1..=300 {
        send_traces(&gateway.grpc(), padded(id)).await.unwrap();
    }

    gateway.kill();
    let after = disk.after_power_loss();
    gateway.move_to(after);
    gateway.restart().await;

    gateway.settled().await;
    for id in 1..=300_u64 {
        let journey = gateway.get(&format!("/api/v1/journeys/{id:032x}")).await;
        assert_eq!(journey["id"], format!("{id:032x}"));
    }
}

#[tokio::test]
async fn a_full_disk_is_refused_and_goes_on_when_there_is_room() {
    let Some(disk) = Disk::new(48) else { return skipped("loop devices and mkfs.ext4") };
    // What everyone has read would make room by itself.
    let dead = dead_address();
    let export = format!("export.otlp.dead.endpoint=http://{dead}");
    let log = ["log.bytes_max=1GiB", "log.segment_bytes=4MiB", "log.compression=none"];
    let settings = [vec![export], log.map(str::to_owned).into()].concat();
    let plan = Plan { settings, data: Some(disk.data()), ..Plan::default() };
    let gateway = Gateway::start_as(plan).await;
    let ballast = disk.folder.path().join("mounted/ballast");
    std::fs::write(&ballast, vec![7; 20 << 20]).unwrap();

    let mut id = 0;
    let refused = loop {
        id += 1;
        if let Err(status) = send_traces(&gateway.grpc(), padded(id)).await {
            break status;
        }
        assert!(id < 5_000, "48 MiB never filled up");
    };
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");

    std::fs::remove_file(ballast).unwrap();
    eventually("there is room again", || async {
        send_traces(&gateway.grpc(), padded(id)).await.ok()
    })
    .await;
    let _sink = Sink::start_at(&dead.to_string()).await;
    gateway.settled().await;
    assert_eq!(gateway.found(&format!("id:{id:032x}")).await.len(), 1);
}

#[tokio::test]
async fn a_failing_sync_is_never_an_ok() {
    let inject = "inject=fdatasync:error=EIO:when=20";
    let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject];
    if !run("strace", &["-o", "/dev/null", "true"]) {
        return skipped("strace");
    }
    let wrapper = wrapper.iter().map(|it| (*it).to_owned()).collect();
    let mut gateway = Gateway::start_as(Plan { wrapper, ..Plan::default() }).await;

    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for id in 1..=60 {
        match send_traces(&gateway.grpc(), padded(id)).await {
            Ok(()) => acknowledged.push(id),
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
                refused += 1;
            }
        }
    }

    assert!(refused >= 1, "the sync never failed");
    assert!(acknowledged.len() > 30, "the log did not go on after the failure");
    assert!(gateway.get("/api/v1/status").await["log"]["poisoned"].as_u64() >= Some(1));
    gateway.kill();
    gateway.restart().await;
    gateway.settled().await;
    for id in acknowledged {
        let journey = gateway.get(&format!("/api/v1/journeys/{id:032x}")).await;
        assert_eq!(journey["id"], format!("{id:032x}"));
    }
}

#[tokio::test]
async fn a_door_survives_running_out_of_files() {
    if !run("prlimit", &["--version"]) {
        return skipped("prlimit");
    }
    let wrapper = ["prlimit", "--nofile=96"].map(str::to_owned).to_vec();
    let gateway = Gateway::start_as(Plan { wrapper, ..Plan::default() }).await;
    let address = format!("127.0.0.1:{}", gateway.ports.grpc);
    let crowd: Vec<_> =
        (0..200).filter_map(|_| std::net::TcpStream::connect(&address).ok()).collect();
    assert!(crowd.len() > 90);

    drop(crowd);

    eventually("the door is open again", || async {
        send_traces(&gateway.grpc(), padded(1)).await.ok()
    })
    .await;
    gateway.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_little_memory_it_refuses_and_is_not_killed() {
    let Some(group) = MemoryGroup::new(300) else { return skipped("memory control groups") };
    let dead = dead_address();
    let settings = [
        "memory_max=256MiB",
        "index.memory=15MiB",
        "receive.request_bytes_max=8MiB",
        "receive.encoded_bytes_max=4MiB",
        "receive.inflight_bytes_max=20MiB",
        "log.tail_bytes=8MiB",
        "log.queue_bytes_max=8MiB",
        "limit.series_max=50",
        "limit.symbols_max=20000",
        "join.evidence_max=100000",
        "join.journeys_max=20000",
        "join.bindings_max=20000",
        "join.remembered_evidence_max=50000",
        "receive.repeats_max=10000",
        "export.defaults.batch_bytes_max=1MiB",
    ];
    let mut settings: Vec<_> = settings.map(str::to_owned).to_vec();
    settings.push(format!("export.otlp.dead.endpoint=http://{dead}"));
    let wrapper = group.wrapper();
    let mut gateway = Gateway::start_as(Plan { settings, wrapper, ..Plan::default() }).await;

    let senders: Vec<_> = (0..8_u64)
        .map(|sender| {
            let endpoint = gateway.grpc();
            tokio::spawn(async move {
                let mut admitted = 0;
                for id in 0..20 {
                    let id = sender * 1_000 + id + 1;
                    admitted += usize::from(send_traces(&endpoint, large(id)).await.is_ok());
                }
                admitted
            })
        })
        .collect();
    let mut admitted = 0;
    for sender in senders {
        admitted += sender.await.unwrap();
    }

    assert!(admitted > 0, "nothing was admitted at all");
    assert!(gateway.is_running(), "the gateway was killed:\n{}", gateway.own_log());
    let sink = Sink::start_at(&dead.to_string()).await;
    eventually("the destination has everything that was admitted", || async {
        (sink.spans().len() == admitted * 200).then_some(())
    })
    .await;
    gateway.settled().await;
}

/// A memory control group (version 1), which goes when this does.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    fn new(mib: u64) -> Option<Self> {
        let path = PathBuf::from(format!("/sys/fs/cgroup/memory/hopline-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        let group = Self(path);
        let limit = (mib << 20).to_string();
        std::fs::write(group.0.join("memory.limit_in_bytes"), limit).ok()?;
        Some(group)
    }

    fn wrapper(&self) -> Vec<String> {
        let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.0.display());
        ["sh", "-c", &enter, "sh"].map(str::to_owned).to_vec()
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Its last process may still be ending.
        std::fs::remove_dir(&self.0).ok();
    }
}

/// One trace of about 8 KiB.
fn padded(id: u64) -> opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest {
    let mut root = span(u128::from(id), id, 0, 2, 1);
    root.attributes = vec![attribute("padding", &"x".repeat(8 << 10))];
    traces("padded", vec![root])
}

/// 200 spans of one trace, about 1.6 MiB.
fn large(id: u64) -> opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest {
    let spans = (1..=200).map(|number| {
        let mut span = span(u128::from(id), id * 1_000 + number, id * 1_000 + 1, 3, 1);
        span.attributes = vec![attribute("padding", &"x".repeat(8 << 10))];
        span
    });
    traces("large", spans.collect())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
