//! A door that is a socket.

use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use tokio::net::UnixStream;
use tonic::transport::Endpoint;

use super::*;

#[tokio::test]
async fn a_generated_client_exports_over_a_unix_socket() {
    let doors = Doors::open(Reply::Accepted).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grpc.sock");
    let listener = Listener::bind(&Address::Unix(path.clone())).await.unwrap();
    let served = serve_grpc(listener, doors.intake.clone(), doors.stop.clone());
    let served = tokio::spawn(served);

    let to = path.clone();
    let connector = tower::service_fn(move |_: ::http::Uri| {
        let to = to.clone();
        async move { UnixStream::connect(to).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    let resource_logs = vec![ResourceLogs { schema_url: "a".to_owned(), ..Default::default() }];
    let request = ExportLogsServiceRequest { resource_logs };
    LogsServiceClient::new(channel).export(request).await.unwrap();

    assert_eq!(doors.only().signal, Signal::Logs);
    doors.stop.cancel();
    served.await.unwrap().unwrap();
    assert!(!path.exists());
}
