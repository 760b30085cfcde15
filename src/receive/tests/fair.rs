use ::http::Request;
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::*;

const KIB: usize = 1 << 10;

async fn logs_client(doors: &Doors) -> LogsServiceClient<Channel> {
    let endpoint = Endpoint::new(format!("http://{}", doors.grpc)).unwrap();
    LogsServiceClient::new(endpoint.connect().await.unwrap())
}

fn logs(bytes: usize) -> ExportLogsServiceRequest {
    let schema_url = "a".repeat(bytes);
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { schema_url, ..Default::default() }],
    }
}

type Posts = Client<HttpConnector, Body>;

/// One connection that carries as many requests as it is given.
fn connection() -> Posts {
    client(true)
}

fn send(doors: &Doors, over: &Posts) -> JoinHandle<u16> {
    let request = Request::post(format!("http://{}/v1/logs", doors.http));
    let request = request.header("content-type", "application/x-protobuf");
    let request = request.body(Body::new(Full::new(Bytes::from(vec![1; 99 * KIB])))).unwrap();
    let over = over.clone();
    tokio::spawn(async move { over.request(request).await.unwrap().status().as_u16() })
}

#[tokio::test]
async fn a_connection_that_sends_all_it_can_leaves_room_for_another() {
    let settings = Settings { inflight_bytes_max: 1000 * KIB, ..settings() };
    let doors = Doors::with(Reply::Accepted, settings).await;
    doors.gate.forget_permits(1_000_000);
    let greedy = connection();
    let mut sent = vec![send(&doors, &greedy)];
    doors.holds(1).await;
    sent.extend((1..20).map(|_| send(&doors, &greedy)));
    // Seven of them fit above the quarter that is kept for others.
    doors.holds(7).await;
    while doors.tally(Source::OtlpHttp).refused(Refusal::Busy) < 13 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    let modest = send(&doors, &connection());
    doors.holds(8).await;
    doors.gate.add_permits(100);

    assert_eq!(modest.await.unwrap(), 200);
    let mut answers = Vec::new();
    for one in sent {
        answers.push(one.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, [[200; 7].as_slice(), &[503; 13]].concat());
    assert_eq!(doors.intake.budget_left_bytes(), 1000 * KIB);
}

#[tokio::test]
async fn while_memory_is_short_every_request_is_sent_back_and_counted() {
    let doors = Doors::open(Reply::Accepted).await;
    let mut client = logs_client(&doors).await;
    assert!(doors.intake.counters().memory().measured(96, 100));
    let status = client.export(logs(1)).await.unwrap_err();
    assert_eq!((status.code(), status.details().is_empty()), (Code::Unavailable, false));
    assert_eq!(doors.tally(Source::OtlpGrpc).refused(Refusal::Memory), 1);
    assert_eq!(doors.got(), []);

    assert!(doors.intake.counters().memory().measured(80, 100));
    client.export(logs(1)).await.unwrap();
}

#[tokio::test]
async fn heads_that_claim_much_take_little_until_it_comes() {
    let settings = Settings { request_bytes_max: 4096 * KIB, ..settings() };
    let doors = Doors::with(Reply::Accepted, settings).await;
    let head = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";
    let head = format!("{head}content-length: 4000000\r\n\r\n");
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(doors.http).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        open.push(stream);
    }
    while doors.intake.budget_left_bytes() > 4096 * KIB {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(send(&doors, &connection()).await.unwrap(), 200);
    assert_eq!(doors.intake.budget_left_bytes(), 4096 * KIB);
}
