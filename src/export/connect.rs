//! Connections to a destination: direct or through a proxy, plain or with TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::tls::Trust;
use super::{Destination, Error};

/// For the address, the proxy and the handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a proxy may say before it lets the connection through.
const PROXY_HEAD_BYTES_MAX: usize = 8 << 10;

/// Makes connections. The environment is not asked for a proxy: only the settings are.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    dial: HttpConnector,
    proxy: Option<Arc<Through>>,
    trust: Arc<Trust>,
}

/// A proxy that CONNECT is asked of, for plain connections too: so what it is told, its password
/// above all, never goes further.
#[derive(Debug)]
struct Through {
    uri: Uri,
    authorization: Option<HeaderValue>,
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Connecting = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

impl Connector {
    pub(super) fn new(destination: &Destination) -> Result<Self, Error> {
        let wrong = || Error::Proxy { name: destination.name.clone() };
        let through = destination.proxy.as_ref().map(|proxy| {
            let uri: Uri = proxy.endpoint.parse().map_err(|_| wrong())?;
            if uri.scheme_str() != Some("http") || uri.port().is_none() || uri.path() != "/" {
                return Err(wrong());
            }
            Ok(Arc::new(Through { uri, authorization: proxy.authorization.clone() }))
        });
        let mut dial = HttpConnector::new();
        dial.enforce_http(false);
        dial.set_nodelay(true);
        let trust = Arc::new(Trust::new(destination.tls.clone(), destination.protocol));
        Ok(Self { dial, proxy: through.transpose()?, trust })
    }

    async fn connect(mut self, uri: Uri) -> io::Result<Stream> {
        let host = uri.host().unwrap_or_default().to_owned();
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let target = self.proxy.as_ref().map_or(uri, |proxy| proxy.uri.clone());
        let mut stream = self.dial.call(target).await.map_err(io::Error::other)?;
        if let Some(proxy) = &self.proxy {
            proxy.tunnel(stream.inner_mut(), &host, port).await?;
        }
        if !is_tls {
            return Ok(MaybeHttpsStream::Http(stream));
        }
        let trust = Arc::clone(&self.trust);
        let config = tokio::task::spawn_blocking(move || trust.config()).await??;
        // An IPv6 address stands in brackets, which are no part of its name.
        let name = self.trust.server_name().unwrap_or(&host).trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, TokioIo::new(stream)).await?;
        Ok(MaybeHttpsStream::Https(TokioIo::new(stream)))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let connecting = self.clone().connect(uri);
        Box::pin(async {
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
            tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(late)?
        })
    }
}

impl Through {
    async fn tunnel(&self, stream: &mut TcpStream, host: &str, port: u16) -> io::Result<()> {
        let mut head = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(authorization) = &self.authorization {
            head.push_str("Proxy-Authorization: ");
            head.push_str(authorization.to_str().map_err(io::Error::other)?);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await?;
        let answer = read_head(stream).await?;
        let status = answer.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        match status {
            Some(code) if code.starts_with('2') => Ok(()),
            Some(code) => Err(io::Error::other(format!("the proxy answered HTTP {code}"))),
            None => Err(io::Error::other("what the proxy answered is not HTTP")),
        }
    }
}

/// The head of an answer, and not a byte more: what follows is the destination's. That makes it a
/// call for each byte, once in the life of a connection.
async fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == PROXY_HEAD_BYTES_MAX {
            return Err(io::Error::other("the head of the proxy's answer does not end"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A proxy's user and password as it wants to be told.
pub(super) fn basic(user_and_password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "Basic ".to_owned();
    for group in user_and_password.as_bytes().chunks(3) {
        let bits =
            (0..3).fold(0, |bits, at| bits << 8 | group.get(at).copied().map_or(0, usize::from));
        for at in 0..4 {
            let digit = DIGITS.get(bits >> (18 - 6 * at) & 63).filter(|_| at <= group.len());
            text.push(digit.map_or('=', |digit| char::from(*digit)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_told_in_base64() {
        let told = ["a:b", "user:pass", "user:päss?", "", "ab:cd"].map(basic);
        let expected = [
            "Basic YTpi",
            "Basic dXNlcjpwYXNz",
            "Basic dXNlcjpww6Rzcz8=",
            "Basic ",
            "Basic YWI6Y2Q=",
        ];
        assert_eq!(told, expected);
    }
}
