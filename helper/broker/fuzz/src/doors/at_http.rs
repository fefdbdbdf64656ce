//! The HTTP door: any bytes in any pieces.

use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{SECRET, moment, pieces, run, vault};

/// What a connection of the tests holds, in bytes.
const PIPE: usize = 64 * 1024;
/// Below it no bound on the length of a request is near, which the pieces of one may decide about.
const SHORT: usize = 4096;

/// Only a request for the one thing is served, and how it is cut makes no difference.
pub fn http(bytes: &[u8]) {
    let pieces = pieces(bytes);
    let whole = pieces.concat();
    let (by_pieces, at_once) = (talk(&pieces), talk(&[&whole]));
    for heard in [&by_pieces, &at_once] {
        assert!(heard.is_empty() || heard.starts_with("HTTP/1."), "{heard}");
        assert!(status(heard) != "200" || is_plain(&whole), "served: {}", whole.escape_ascii());
        assert!(heard.matches(SECRET).count() <= count(&whole, b"GET "), "{}", whole.escape_ascii());
    }
    if whole.len() < SHORT {
        // A client of garbage may be told so or not.
        let served = |heard| status(heard) == "200";
        assert_eq!(served(&by_pieces), served(&at_once), "{}", whole.escape_ascii());
    }
}

/// A client that says this, says no more, and listens until the door has ended.
fn talk(pieces: &[&[u8]]) -> String {
    let mut heard = Vec::new();
    run(async {
        let (client, door) = tokio::io::duplex(PIPE);
        let (mut from_door, mut to_door) = tokio::io::split(client);
        let says = async {
            for piece in pieces {
                let _ = to_door.write_all(piece).await;
                moment().await;
            }
            let _ = to_door.shutdown().await;
        };
        let hears = from_door.read_to_end(&mut heard);
        let (_, _, ()) = tokio::join!(hears, says, super::http::connection(door, Rc::clone(&vault().0)));
    });
    String::from_utf8_lossy(&heard).into_owned()
}

fn status(heard: &str) -> &str {
    heard.split(' ').nth(1).unwrap_or_default()
}

fn count(bytes: &[u8], word: &[u8]) -> usize {
    bytes.windows(word.len()).filter(|window| *window == word).count()
}

/// Whether the first request may be one for the one thing: GET, a known path, no query, and a Host.
fn is_plain(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let first = text.trim_start_matches(['\r', '\n']).lines().next().unwrap_or_default();
    let mut words = first.split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let path = target.split('#').next().unwrap_or_default();
    method == Some("get")
        && (path.ends_with("/credentials") || path.ends_with('/') || !path.starts_with('/'))
        && !path.contains('?')
        && text.contains("\nhost:")
}
