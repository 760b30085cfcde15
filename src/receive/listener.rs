//! Where a door is: a TCP address, or a Unix socket.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

const UNIX: &str = "unix:";

/// `sun_path` has 108 bytes on Linux and 104 elsewhere; a name beside it is needed for a moment.
const PATH_BYTES_MAX: usize = 96;

/// The user and the group of the process may connect.
const MODE: u32 = 0o660;

/// Where a door is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `127.0.0.1:4317`
    Tcp(SocketAddr),
    /// `unix:/run/hopline/grpc.sock`
    Unix(PathBuf),
}

/// A door's listener.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener, Socket),
}

/// A socket's file, which goes with its listener.
#[derive(Debug)]
struct Socket {
    path: PathBuf,
    inode: u64,
}

/// What a client came over.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Address {
    /// Whether another machine may reach it.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().to_canonical().is_loopback())
    }
}

impl FromStr for Address {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let Some(path) = text.strip_prefix(UNIX) else {
            return text.parse().map(Self::Tcp).map_err(drop);
        };
        let path = PathBuf::from(path);
        let is_file = path.is_absolute() && path.file_name().is_some();
        let fits = path.as_os_str().len() <= PATH_BYTES_MAX;
        (is_file && fits).then_some(Self::Unix(path)).ok_or(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self(Kind::Tcp(listener))
    }
}

impl Listener {
    /// Takes the address. A socket that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// When the address is taken, or not ours.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => Ok(TcpListener::bind(address).await?.into()),
            Address::Unix(path) => {
                refuse_taken(path).await?;
                let (listener, socket) = bind(path)?;
                Ok(Self(Kind::Unix(listener, socket)))
            }
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<Address> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Kind::Unix(_, socket) => Ok(Address::Unix(socket.path.clone())),
        }
    }

    /// The next client, and the address it came from. Nothing is lost when this is dropped.
    pub(super) async fn accept(&self) -> io::Result<(Stream, Option<IpAddr>)> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Some(peer.ip())))
            }
            Kind::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A gateway that was started since may have put its own socket there.
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _gone = std::fs::remove_file(&self.path);
        }
    }
}

/// Only a socket without a listener may be replaced.
async fn refuse_taken(path: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is no socket"));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // One that is too busy to answer is in use as well.
        Ok(_) | Err(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// Bound under another name first: nobody may connect before the mode is right, and the old socket
/// is replaced in one step.
fn bind(path: &Path) -> io::Result<(UnixListener, Socket)> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    if std::fs::symlink_metadata(&beside).is_ok_and(|it| it.file_type().is_socket()) {
        std::fs::remove_file(&beside)?;
    }
    let listener = UnixListener::bind(&beside)?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(MODE))?;
    let inode = inode(&beside)?;
    std::fs::rename(&beside, path)?;
    Ok((listener, Socket { path: path.to_owned(), inode }))
}

fn inode(path: &Path) -> io::Result<u64> {
    Ok(std::fs::symlink_metadata(path)?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(folder: &tempfile::TempDir) -> (PathBuf, Address) {
        let path = folder.path().join("door.sock");
        (path.clone(), Address::Unix(path))
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["127.0.0.1:4317", "[::1]:4317", "unix:/run/hopline/grpc.sock"] {
            assert_eq!(text.parse::<Address>().map(|it| it.to_string()), Ok(text.to_owned()));
        }
        let long = format!("unix:/{}", "a".repeat(PATH_BYTES_MAX));
        for text in ["unix:", "unix:run/a.sock", "unix:/", "localhost:1", &long] {
            assert_eq!(text.parse::<Address>(), Err(()), "{text}");
        }
    }

    #[test]
    fn only_this_machine_reaches_a_socket_and_a_loopback_address() {
        let remote = ["unix:/a", "127.0.0.2:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "0.0.0.0:1"];
        let remote = remote.map(|text| text.parse::<Address>().unwrap().is_remote());
        assert_eq!(remote, [false, false, false, false, true]);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, address) = socket(&folder);
        // Its process has died: the file stays and nobody listens.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());

        let live = Listener::bind(&address).await.unwrap();

        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, MODE);
        let refused = Listener::bind(&address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(live);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, address) = socket(&folder);
        std::fs::write(&path, "precious").unwrap();

        assert!(Listener::bind(&address).await.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[tokio::test]
    async fn a_socket_that_another_took_over_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, address) = socket(&folder);
        let first = Listener::bind(&address).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let _second = Listener::bind(&address).await.unwrap();

        drop(first);

        assert!(UnixStream::connect(&path).await.is_ok());
    }
}
