//! Questions to the machine's own name servers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use simple_dns::rdata::OPT;
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::rules::Name;

/// For an answer, whatever is tried for it. A client asks again after five seconds.
const PATIENCE: Duration = Duration::from_millis(4_500);
/// For one server to answer once.
const ATTEMPT: Duration = Duration::from_millis(1_500);
/// Each server is asked this often.
const ROUNDS: usize = 2;
/// Questions at once; more wait.
const AT_ONCE: usize = 256;
/// Payload that passes without fragments (dnsflagday.net/2020).
pub(crate) const PAYLOAD: u16 = 1232;

/// The name servers.
#[derive(Debug)]
pub(crate) struct Upstream {
    servers: Vec<SocketAddr>,
    places: Semaphore,
}

impl Upstream {
    pub(crate) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, places: Semaphore::new(AT_ONCE) }
    }

    /// The answer to one question, with NOERROR or NXDOMAIN. None if nobody gives one in time.
    pub(crate) async fn ask(&self, name: &Name, kind: TYPE) -> Option<Vec<u8>> {
        timeout(PATIENCE, self.ask_each(name, kind)).await.ok().flatten()
    }

    async fn ask_each(&self, name: &Name, kind: TYPE) -> Option<Vec<u8>> {
        let _place = self.places.acquire().await.ok()?;
        let question = Asking::new(name, kind)?;
        for _ in 0..ROUNDS {
            for server in &self.servers {
                if let Ok(Ok(answer)) = timeout(ATTEMPT, question.ask(*server)).await
                    && question.verdict(&answer) == Some(true)
                {
                    return Some(answer);
                }
            }
        }
        None
    }
}

/// One question, as it is sent.
struct Asking {
    id: u16,
    name: String,
    kind: TYPE,
    bytes: Vec<u8>,
}

impl Asking {
    fn new(name: &Name, kind: TYPE) -> Option<Self> {
        // An id that cannot be guessed, and for each question a socket with a port of its own.
        let mut id = [0u8; 2];
        rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty()).ok()?;
        let id = u16::from_ne_bytes(id);
        let mut packet = Packet::new_query(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let asked = simple_dns::Name::new(name.as_str()).ok()?;
        packet.questions.push(Question::new(asked, QTYPE::TYPE(kind), CLASS::IN.into(), false));
        *packet.opt_mut() = Some(OPT { opt_codes: vec![], udp_packet_size: PAYLOAD, version: 0 });
        let bytes = packet.build_bytes_vec().ok()?;
        Some(Self { id, name: name.to_string(), kind, bytes })
    }

    /// By UDP, and by TCP what does not fit.
    async fn ask(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let here: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(here).await?;
        socket.connect(server).await?;
        socket.send(&self.bytes).await?;
        let mut buffer = vec![0u8; 4096];
        loop {
            let length = socket.recv(&mut buffer).await?;
            let answer = buffer.get(..length).unwrap_or_default();
            if !self.is_answered_by(answer) {
                continue;
            }
            if simple_dns::header_buffer::has_flags(answer, PacketFlag::TRUNCATION).unwrap_or(true) {
                return self.ask_by_tcp(server).await;
            }
            buffer.truncate(length);
            return Ok(buffer);
        }
    }

    async fn ask_by_tcp(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(self.bytes.len()).map_err(io::Error::other)?;
        let mut message = length.to_be_bytes().to_vec();
        message.extend_from_slice(&self.bytes);
        stream.write_all(&message).await?;
        let mut answer = vec![0u8; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        if self.is_answered_by(&answer) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn is_answered_by(&self, bytes: &[u8]) -> bool {
        use simple_dns::header_buffer::{has_flags, id};
        id(bytes) == Ok(self.id) && has_flags(bytes, PacketFlag::RESPONSE) == Ok(true)
    }

    /// Whether it is the answer (true), or another server should be asked. A reply to another question is neither.
    fn verdict(&self, bytes: &[u8]) -> Option<bool> {
        let packet = Packet::parse(bytes).ok()?;
        let [question] = packet.questions.as_slice() else { return None };
        let same = question.qname.to_string().eq_ignore_ascii_case(&self.name) && question.qtype == self.kind.into();
        same.then(|| matches!(packet.rcode(), RCODE::NoError | RCODE::NameError))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_another_question_is_none() {
        let name = Name::parse("a.test").unwrap();
        let asking = Asking::new(&name, TYPE::A).unwrap();
        let reply = |id: u16, name: &'static str, kind: TYPE, rcode: RCODE| {
            let mut packet = Packet::new_reply(id);
            *packet.rcode_mut() = rcode;
            let name = simple_dns::Name::new(name).unwrap();
            packet.questions.push(Question::new(name, kind.into(), CLASS::IN.into(), false));
            packet.build_bytes_vec().unwrap()
        };
        let good = reply(asking.id, "A.test", TYPE::A, RCODE::NoError);
        assert!(asking.is_answered_by(&good));
        assert_eq!(asking.verdict(&good), Some(true));
        assert!(!asking.is_answered_by(&reply(!asking.id, "a.test", TYPE::A, RCODE::NoError)));
        assert!(!asking.is_answered_by(&asking.bytes), "a question is no answer");
        assert_eq!(asking.verdict(&reply(asking.id, "b.test", TYPE::A, RCODE::NoError)), None);
        assert_eq!(asking.verdict(&reply(asking.id, "a.test", TYPE::MX, RCODE::NoError)), None);
        assert_eq!(asking.verdict(&reply(asking.id, "a.test", TYPE::A, RCODE::ServerFailure)), Some(false));
        assert_eq!(asking.verdict(&reply(asking.id, "a.test", TYPE::A, RCODE::NameError)), Some(true));
    }
}
