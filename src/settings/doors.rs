//! Whether each door may be where it is, and asks as it should.

use std::net::SocketAddr;

use super::checked::{Remote, Settings, Tls};
use super::error::Error;
use super::together::conflict;
use crate::receive::{Address, Auth};

/// Some doors that share a certificate and ask alike.
struct Group<'a> {
    name: &'static str,
    tls: &'a Tls,
    auth: &'a Auth,
    remote: Remote,
    /// The keys and addresses of those that are not off.
    doors: Vec<(&'static str, Address)>,
}

/// Refuses the first door that is not as it should be.
pub(super) fn doors(settings: &Settings) -> Result<(), Error> {
    let (receive, serve) = (&settings.receive, &settings.serve);
    let otlp =
        [("receive.otlp.grpc.listen", &receive.grpc), ("receive.otlp.http.listen", &receive.http)];
    let open = otlp.into_iter().filter_map(|(key, address)| Some((key, address.clone()?)));
    let groups = [
        Group {
            name: "receive",
            tls: &receive.tls,
            auth: &receive.auth,
            remote: receive.allow_remote,
            doors: open.collect(),
        },
        Group {
            name: "serve",
            tls: &serve.tls,
            auth: &serve.auth,
            remote: serve.allow_remote,
            doors: vec![("serve.listen", Address::Tcp(serve.listen))],
        },
    ];
    for group in &groups {
        files(group)?;
        credentials(group)?;
        group.doors.iter().try_for_each(|(key, address)| place(group, key, address))?;
    }
    let doors: Vec<_> = groups.iter().flat_map(|group| &group.doors).collect();
    for (at, (key, address)) in doors.iter().enumerate() {
        if let Some((other, _)) = doors.iter().take(at).find(|door| is_same(&door.1, address)) {
            return Err(conflict(key, format!("is {address}, where {other} listens already")));
        }
    }
    Ok(())
}

/// A certificate needs its key; clients can only be asked for theirs by a door that has one.
fn files(group: &Group<'_>) -> Result<(), Error> {
    let Group { name, tls, .. } = group;
    let key = |file: &str| format!("{name}.tls.{file}");
    let needed = |file: &str, by: &str| {
        Err(conflict(&key(file), format!("is missing: {} needs it", key(by))))
    };
    match (&tls.cert_file, &tls.key_file, &tls.client_ca_file) {
        (Some(_), None, _) => needed("key_file", "cert_file"),
        (None, Some(_), _) => needed("cert_file", "key_file"),
        (None, None, Some(_)) => needed("cert_file", "client_ca_file"),
        (Some(_), Some(_), _) | (None, None, None) => Ok(()),
    }
}

/// A certificate of a client says who it is, and not yet whether it may come in.
fn credentials(group: &Group<'_>) -> Result<(), Error> {
    let Group { name, tls, auth, .. } = group;
    if let Some(problem) = auth.conflict() {
        return Err(conflict(&format!("{name}.auth"), format!("is ambiguous: {problem}")));
    }
    if tls.client_ca_file.is_some() && !auth.asks() {
        let problem = format!(
            "lets nobody in by itself: say in {name}.auth.identities whose certificates are of \
             which tenant, or set {name}.auth.tokens"
        );
        return Err(conflict(&format!("{name}.tls.client_ca_file"), problem));
    }
    if tls.client_ca_file.is_none() && !auth.identities.is_empty() {
        let problem = format!("needs {name}.tls.client_ca_file: nobody shows a certificate");
        return Err(conflict(&format!("{name}.auth.identities"), problem));
    }
    Ok(())
}

fn place(group: &Group<'_>, key: &str, address: &Address) -> Result<(), Error> {
    let Group { name, tls, auth, remote, .. } = group;
    let only_identities = auth.asks() && auth.tokens.is_empty();
    if matches!(address, Address::Unix(_)) && only_identities {
        let problem = format!(
            "is {address}, where nobody shows a certificate: set {name}.auth.tokens, or nobody \
             comes in"
        );
        return Err(conflict(key, problem));
    }
    let secured = tls.cert_file.is_some() && auth.asks();
    if *remote == Remote::Insecurely || secured || !address.is_remote() {
        return Ok(());
    }
    let problem = format!(
        "is {address}, which other machines can reach: set {name}.tls (cert_file, key_file) and \
         {name}.auth (tokens or identities), or {name}.allow_remote to insecurely if the network \
         around it is trusted"
    );
    Err(conflict(key, problem))
}

fn is_same(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Tcp(a), Address::Tcp(b)) => overlap(*a, *b),
        (a, b) => a == b,
    }
}

/// Port 0 is any free port, never the same twice.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && overlap
}
