//! Through a proxy.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A proxy that keeps what it was told and answers every CONNECT with `answer`.
struct Middle {
    endpoint: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Middle {
    async fn open(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let head = head(&mut client).await;
                    let target = head.split(' ').nth(1).unwrap().to_owned();
                    kept.lock().unwrap().push(head);
                    client.write_all(answer.as_bytes()).await.unwrap();
                    let mut server = TcpStream::connect(target).await.unwrap();
                    // A connection that ends is no news to either.
                    let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { endpoint, heads }
    }
}

async fn head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn requests_go_through_the_proxy_and_its_password_no_further() {
    let first = Sink::open().await;
    for own in both(&destination(&first)) {
        let sink = Sink::open().await;
        let middle = Middle::open("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").await;
        let proxy = Some(Proxy::new(middle.endpoint.clone(), "user:pass"));
        let endpoint = format!("http://{}", sink.address);
        let run = Run::start(Destination { proxy, endpoint, ..own });
        run.feed_spans(names(0..5)).await;

        assert_eq!(run.finish().await.done(Signal::Traces), 5);
        let head = middle.heads.lock().unwrap().first().unwrap().clone();
        let expected = format!(
            "CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\
             Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n",
            sink.address
        );
        assert_eq!(head, expected);
        assert_eq!(sink.headers().get("proxy-authorization"), None);
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_asked_again() {
    let cases = [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "the proxy answered HTTP 407"),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", "what the proxy answered is not HTTP"),
    ];
    for (answer, expected) in cases {
        let sink = Sink::open().await;
        let middle = Middle::open(answer).await;
        let proxy = Some(Proxy::new(middle.endpoint.clone(), ""));
        let run = Run::start(Destination { proxy, ..destination(&sink) });
        run.feed_spans(names(0..1)).await;
        until("it was asked again", || middle.heads.lock().unwrap().len() > 2).await;

        assert_eq!(run.health.summary().last_error.as_deref(), Some(expected));
        assert_eq!((sink.arrived(), run.hand.items(Signal::Traces)), (0, 1));
        run.halt().await;
    }
}

#[tokio::test]
async fn a_proxy_that_is_none_is_an_error() {
    for endpoint in ["proxy:3128", "https://proxy:3128", "http://proxy", "http://proxy:1/path"] {
        let proxy = Some(Proxy::new(endpoint.to_owned(), ""));
        let run = Run::start(Destination { proxy, ..Destination::new("wrong", "http://a:1") });
        let error = run.task.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "destination wrong: the proxy is not http://host:port");
    }
}
