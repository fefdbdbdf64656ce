//! What tells programs inside how names are looked up: /etc/resolv.conf and /etc/hosts.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use agent_aws_pipes::GATEWAY_ADDRESS;
use agent_aws_policy::Network;

/// The largest file that is copied, in bytes.
const MOST: u64 = 64 * 1024;

/// The files that are not the host's, with their real paths: a generated one is no link.
pub(crate) fn files(network: Network) -> Vec<(PathBuf, Vec<u8>)> {
    match network {
        Network::Filtered => {
            let names = real("/etc/resolv.conf").map(|path| {
                let content = through_the_gateway(&read(&path).unwrap_or_default());
                (path, content)
            });
            let hosts = real("/etc/hosts").map(|path| (path, hosts(&host_name())));
            names.into_iter().chain(hosts).collect()
        }
        // Where resolv.conf leads out of /etc: the sandbox has a /run of its own.
        Network::None | Network::Shared => {
            let path = real("/etc/resolv.conf").filter(|path| path.starts_with("/run"));
            path.and_then(|path| read(&path).map(|content| (path, content))).into_iter().collect()
        }
    }
}

/// Where a file really is, if the sandbox can have another one there.
fn real(path: &str) -> Option<PathBuf> {
    let real = std::fs::canonicalize(path).ok()?;
    let ours = real.starts_with("/run/agent-aws");
    // What is a link to elsewhere in /etc or beyond stays the host's: none of the usual systems does that.
    (real.is_file() && !ours && (real.starts_with("/run") || real == Path::new(path))).then_some(real)
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let small = std::fs::metadata(path).ok().is_some_and(|found| found.len() <= MOST);
    small.then(|| std::fs::read(path).ok()).flatten()
}

/// The host's own file with the gateway as the one name server.
fn through_the_gateway(host: &[u8]) -> Vec<u8> {
    let mut text = format!("nameserver {}\n", Ipv4Addr::from(GATEWAY_ADDRESS)).into_bytes();
    let kept = |line: &&[u8]| [&b"search "[..], b"domain ", b"options "].iter().any(|word| line.starts_with(word));
    for line in host.split(|b| *b == b'\n').filter(kept) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text
}

/// An address that only the host's file has would be a literal one inside, which nothing lets through: the gateway reads
/// that file instead.
fn hosts(name: &str) -> Vec<u8> {
    format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t{name}\n").into_bytes()
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_the_only_name_server_and_search_domains_stay() {
        let host = b"# x\nnameserver 10.0.0.1\nsearch corp.example\n nameserver 1.1.1.1\noptions edns0\n";
        let text = through_the_gateway(host);
        assert_eq!(text, b"nameserver 198.18.0.1\nsearch corp.example\noptions edns0\n");
    }
}
