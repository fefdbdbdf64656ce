//! What of the machine a broker reaches whose source starts no program: files that are read to find and trust STS, and
//! the ports of STS, of name servers and of the source. By Landlock, as far as the kernel has it; where it has none,
//! the filter of system calls and the rights of the user are what holds.

use std::path::{Path, PathBuf};

use agent_aws_protocol::{Minting, SourceCredentials};
use hyper::Uri;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};

use crate::cause::Cause;

/// Configuration of names, trusted certificates, modules of the name service.
const READ: [&str; 6] = ["/etc", "/usr", "/lib", "/lib64", "/nix/store", "/gnu/store"];
/// Often a link to where a service keeps it.
const RESOLVER: &str = "/etc/resolv.conf";
/// Name servers over TCP, TLS, and EC2's metadata service.
const PORTS: [u16; 3] = [53, 443, 80];
/// Where the SDK looks for another address of that service.
const METADATA: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
/// The newest of which all is known.
const NEWEST: ABI = ABI::V6;

/// Closes everything else to this process.
pub(crate) fn restrict(minting: &Minting) -> Result<(), Cause> {
    let source = match &minting.source {
        SourceCredentials::Container { uri } => Some(uri.clone()),
        SourceCredentials::Instance => std::env::var(METADATA).ok(),
        _ => None,
    };
    let more = [minting.sts_endpoint.as_deref(), source.as_deref()].into_iter().flatten().filter_map(port);
    let ports: Vec<u16> = PORTS.into_iter().chain(more).collect();
    apply(&readable(), &ports).map_err(|e| Cause::last(format!("the broker cannot be confined by Landlock: {e}")))
}

fn apply(paths: &[PathBuf], ports: &[u16]) -> Result<(), RulesetError> {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    let ruleset = ruleset.handle_access(AccessFs::from_all(NEWEST))?.handle_access(AccessNet::from_all(NEWEST))?;
    let mut ruleset = ruleset.scope(Scope::AbstractUnixSocket | Scope::Signal)?.create()?;
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    // What is not there is not needed.
    for place in paths.iter().filter_map(|path| PathFd::new(path).ok()) {
        ruleset = ruleset.add_rule(PathBeneath::new(place, read))?;
    }
    for port in ports {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    ruleset.restrict_self().map(drop)
}

/// The directories, and where links of the resolver and of certificates lead: what is there is replaced as a whole.
fn readable() -> Vec<PathBuf> {
    let chosen = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let linked = chosen.chain([PathBuf::from(RESOLVER)]).filter_map(|path| path.canonicalize().ok());
    let places = linked.filter_map(|path| if path.is_dir() { Some(path) } else { path.parent().map(Path::to_owned) });
    READ.iter().map(PathBuf::from).chain(places.filter(|place| place.parent().is_some())).collect()
}

/// The port of an address.
fn port(url: &str) -> Option<u16> {
    let uri: Uri = url.parse().ok()?;
    uri.port_u16().or_else(|| Some(if uri.scheme_str() == Some("http") { 80 } else { 443 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_port_of_an_address_is_its_own_or_that_of_its_scheme() {
        let ports = ["https://sts.example", "http://127.0.0.1:8080/x", "http://[fd00:ec2::23]/v1", "https://h:9443"];
        assert_eq!(ports.map(port), [Some(443), Some(8080), Some(80), Some(9443)]);
    }

    /// In a thread of its own, which is all that is restricted then.
    #[test]
    fn nothing_else_is_read_nothing_is_written_and_no_other_port_is_reached() {
        let scratch = tempfile::tempdir().unwrap();
        let (file, new) = (scratch.path().join("file"), scratch.path().join("new"));
        std::fs::write(&file, "x").unwrap();
        let [open, closed] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
        let try_all = move || {
            let read = std::fs::read(&file).map(drop).map_err(|e| e.kind());
            let write = std::fs::write(&new, "x").map_err(|e| e.kind());
            let connect = [open, closed].map(|at| TcpStream::connect(at).map(drop).unwrap_err().kind());
            let of_system = std::fs::read("/etc/passwd").map(drop).map_err(|e| e.kind());
            std::fs::remove_file(&new).ok();
            (read, write, connect, of_system)
        };
        let without = try_all();
        // Nobody listens any more: refused by whoever would answer.
        assert_eq!(without, (Ok(()), Ok(()), [ErrorKind::ConnectionRefused; 2], Ok(())), "the control");
        let restricted = std::thread::spawn(move || {
            apply(&readable(), &[open.port()]).unwrap();
            try_all()
        });
        let denied = ErrorKind::PermissionDenied;
        let expected = (Err(denied), Err(denied), [ErrorKind::ConnectionRefused, denied], Ok(()));
        assert_eq!(restricted.join().unwrap(), expected);
    }
}
