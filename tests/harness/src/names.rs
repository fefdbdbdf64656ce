//! The name server of a fake internet: knows a list of names, and remembers every question.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use simple_dns::rdata::{A, AAAA, RData, TXT};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, Question, RCODE, ResourceRecord, TYPE};

/// Seconds for which an answer may be remembered: a test that changes one wants it to be asked for again.
const TTL: u32 = 0;

/// What is known and what was asked. Clones are the same server.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<String, Vec<IpAddr>>,
    asked: Vec<String>,
}

impl Names {
    /// Sets the addresses of a name. Besides those it has a TXT record, which says its name.
    pub fn set(&self, name: &str, addresses: &[IpAddr]) {
        self.state().known.insert(name.to_owned(), addresses.to_vec());
    }

    /// The addresses of a name.
    pub fn get(&self, name: &str) -> Vec<IpAddr> {
        self.state().known.get(name).cloned().unwrap_or_default()
    }

    /// Every name that is known.
    pub fn all(&self) -> Vec<(String, Vec<IpAddr>)> {
        self.state().known.clone().into_iter().collect()
    }

    /// Every name that was asked for, in lower case, in order, as often as it was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Answers at this address, in the network namespace of this thread, until the process ends.
    pub(crate) fn serve(&self, at: SocketAddr) -> std::io::Result<()> {
        let (udp, tcp) = (UdpSocket::bind(at)?, TcpListener::bind(at)?);
        let names = self.clone();
        thread::spawn(move || names.datagrams(&udp));
        let names = self.clone();
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let names = names.clone();
                thread::spawn(move || names.stream(stream));
            }
        });
        Ok(())
    }

    fn datagrams(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = self.answer(&buffer[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    }

    /// Messages with their lengths before them (RFC 1035, 4.2.2).
    fn stream(&self, mut stream: TcpStream) {
        let mut length = [0; 2];
        while stream.read_exact(&mut length).is_ok() {
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            let answer = stream.read_exact(&mut message).ok().and_then(|()| self.answer(&message));
            let Some(answer) = answer else { return };
            let length = u16::try_from(answer.len()).unwrap_or_default().to_be_bytes();
            if stream.write_all(&[&length[..], &answer].concat()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let packet = Packet::parse(message).ok()?;
        let question = packet.questions.first()?;
        let name = question.qname.to_string().to_ascii_lowercase();
        let known = {
            let mut state = self.state();
            state.asked.push(name.clone());
            state.known.get(&name).cloned()
        };
        let mut reply = Packet::new_reply(packet.id());
        reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
        match known {
            None => *reply.rcode_mut() = RCODE::NameError,
            Some(addresses) => reply.answers = records(question, &name, &addresses),
        }
        reply.questions.push(question.clone());
        reply.build_bytes_vec().ok()
    }
}

fn records<'a>(question: &Question<'a>, name: &str, addresses: &[IpAddr]) -> Vec<ResourceRecord<'a>> {
    let wanted = |kind: TYPE| question.qtype == QTYPE::TYPE(kind);
    let text = || TXT::new().with_string(&format!("this is {name}")).ok().map(|text| RData::TXT(text.into_owned()));
    let of = |address: &IpAddr| match address {
        IpAddr::V4(v4) if wanted(TYPE::A) => Some(RData::A(A { address: v4.to_bits() })),
        IpAddr::V6(v6) if wanted(TYPE::AAAA) => Some(RData::AAAA(AAAA { address: v6.to_bits() })),
        _ => None,
    };
    let data = addresses.iter().filter_map(of).chain(text().filter(|_| wanted(TYPE::TXT)));
    data.map(|data| ResourceRecord::new(question.qname.clone(), CLASS::IN, TTL, data)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(names: &Names, name: &str, kind: TYPE) -> (RCODE, usize) {
        let mut question = Packet::new_query(7);
        let qname = simple_dns::Name::new(name).unwrap();
        question.questions.push(Question::new(qname, kind.into(), CLASS::IN.into(), false));
        let answer = names.answer(&question.build_bytes_vec().unwrap()).unwrap();
        let answer = Packet::parse(&answer).unwrap();
        assert_eq!(answer.id(), 7);
        (answer.rcode(), answer.answers.len())
    }

    #[test]
    fn a_name_has_the_addresses_that_were_set_and_every_question_is_remembered() {
        let names = Names::default();
        names.set("a.example.net", &["20.1.0.1".parse().unwrap(), "20.1.0.2".parse().unwrap()]);
        assert_eq!(ask(&names, "A.example.net", TYPE::A), (RCODE::NoError, 2));
        assert_eq!(ask(&names, "a.example.net", TYPE::AAAA), (RCODE::NoError, 0));
        assert_eq!(ask(&names, "a.example.net", TYPE::TXT), (RCODE::NoError, 1));
        assert_eq!(ask(&names, "b.example.net", TYPE::A), (RCODE::NameError, 0));
        assert_eq!(names.asked(), ["a.example.net", "a.example.net", "a.example.net", "b.example.net"]);
    }
}
