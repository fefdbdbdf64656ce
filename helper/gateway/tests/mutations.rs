//! A bounded run of the fuzz targets: their corpus, and the same mutations of it each time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::path::Path;
use std::time::{Duration, Instant};

use agent_aws_gateway::fuzzing;

/// For each target, however slow the machine is.
const LIMIT: Duration = Duration::from_secs(20);

/// Marsaglia's xorshift: the same numbers each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff];
        match self.below(2) {
            0 => TELLING[self.below(TELLING.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] = self.byte(),
                1 => bytes.insert(at, self.byte()),
                2 if !bytes.is_empty() => drop(bytes.remove(at)),
                3 => bytes.truncate(at),
                _ => {
                    let other = &others[self.below(others.len())];
                    bytes.extend_from_slice(&other[self.below(other.len())..]);
                }
            }
        }
    }
}

fn drive(target: &str, times: usize, each: impl Fn(&[u8])) {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut names: Vec<_> = std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let corpus: Vec<Vec<u8>> = names.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(corpus.len() >= 3, "{}", place.display());
    corpus.iter().for_each(|bytes| each(bytes));
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let end = Instant::now() + LIMIT;
    for _ in (0..times).take_while(|_| Instant::now() < end) {
        let mut bytes = corpus[chance.below(corpus.len())].clone();
        chance.mutate(&mut bytes, &corpus);
        each(&bytes);
    }
}

#[test]
fn no_dns_message_of_a_client_breaks_the_gateway_and_every_answer_can_be_read() {
    drive("dns_message", 3_000, |bytes| {
        if let Some(answer) = fuzzing::dns_message(bytes) {
            let answer = simple_dns::Packet::parse(&answer).unwrap();
            assert_eq!(answer.id().to_be_bytes(), bytes[..2]);
        }
    });
}

#[test]
fn no_answer_of_a_name_server_breaks_the_gateway() {
    drive("dns_answer", 20_000, fuzzing::dns_answer);
}

#[test]
fn no_client_of_the_http_proxy_breaks_the_gateway() {
    drive("http", 2_000, fuzzing::http);
}

#[test]
fn no_client_of_the_socks_proxy_breaks_the_gateway() {
    drive("socks", 2_000, fuzzing::socks);
}

#[test]
fn no_word_breaks_the_gateway() {
    drive("word", 20_000, |bytes| fuzzing::word(&String::from_utf8_lossy(bytes)));
}
