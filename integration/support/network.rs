//! A real network of two machines, and the cable between them.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::run;

/// The hardware address of the far end.
const FAR_END: &str = "02:00:00:00:00:02";

/// A namespace beside this machine's, and a veth pair as the cable to it.
///
/// The namespace has no name: `cat` in it keeps it, and ends with its input. So it goes with the
/// test, whatever becomes of that.
pub(crate) struct Network {
    keeper: Child,
    cable: String,
    far: Ipv4Addr,
}

impl Network {
    /// `None` where the machine does not allow it.
    pub(crate) fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (pid, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut keep = Command::new("unshare");
        keep.args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let keeper = keep.stderr(Stdio::null()).spawn().ok()?;
        // Four addresses each, of those that are set aside for tests of networks (RFC 2544).
        let first = Ipv4Addr::new(198, 18, 0, 0).to_bits() + (pid * 8 + number % 8) % 32_768 * 4;
        let (near, far) = (Ipv4Addr::from_bits(first + 1), Ipv4Addr::from_bits(first + 2));
        let mut network = Self { keeper, cable: format!("hop{pid}-{number}"), far };
        network.is_kept()?;
        network.is_laid(near).then_some(network)
    }

    /// What is written to the keeper comes back once it is in the namespace.
    fn is_kept(&mut self) -> Option<()> {
        self.keeper.stdin.as_mut()?.write_all(b"!").ok()?;
        self.keeper.stdout.as_mut()?.read_exact(&mut [0]).ok()
    }

    fn is_laid(&self, near: Ipv4Addr) -> bool {
        let (cable, far) = (&*self.cable, &*self.far.to_string());
        let (near_net, far_net) = (format!("{near}/30"), format!("{far}/30"));
        let pid = self.keeper.id().to_string();
        let peer = ["peer", "name", "far", "address", FAR_END, "netns", &pid];
        ip(&[&["link", "add", cable, "type", "veth"][..], &peer].concat())
            && ip(&["addr", "add", &near_net, "dev", cable])
            && ip(&["link", "set", cable, "up"])
            // Known for good. Otherwise this side would notice that nobody answers for the
            // address, and tell the senders, which no network between two machines does.
            && ip(&["neigh", "replace", far, "lladdr", FAR_END, "nud", "permanent", "dev", cable])
            && self.ip_there(&["addr", "add", &far_net, "dev", "far"])
            && self.ip_there(&["link", "set", "far", "up"])
    }

    /// A listener at the far end. A socket stays where it was made, whoever uses it.
    pub(crate) fn listen(&self) -> TcpListener {
        let (namespace, far) = (File::open(self.namespace()).unwrap(), self.far);
        let listen = move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            TcpListener::bind((far, 0)).unwrap()
        };
        let listener = std::thread::spawn(listen).join().unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    }

    /// From now on packets vanish, both ways, and nobody says so.
    pub(crate) fn cut(&self) {
        assert!(self.ip_there(&["link", "set", "far", "down"]), "the cable cannot be cut");
    }

    pub(crate) fn mend(&self) {
        assert!(self.ip_there(&["link", "set", "far", "up"]), "the cable cannot be mended");
    }

    fn ip_there(&self, arguments: &[&str]) -> bool {
        let enter = format!("--net={}", self.namespace());
        run("nsenter", &[&[enter.as_str(), "ip"], arguments].concat())
    }

    fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.keeper.id())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Both ends go with either, and at once; the namespace with its last socket.
        ip(&["link", "del", &self.cable]);
        self.keeper.kill().ok();
        self.keeper.wait().ok();
    }
}

fn ip(arguments: &[&str]) -> bool {
    run("ip", arguments)
}
