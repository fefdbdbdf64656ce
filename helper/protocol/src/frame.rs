//! Framing: bytes to messages and back. Pure.

use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{MAX_DESCRIPTORS, MAX_PAYLOAD, VERSION};

/// Why a frame was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The peer speaks another version: the programs are not of one installation.
    Version(u16),
    /// The payload is larger than [`MAX_PAYLOAD`], in bytes.
    TooLarge(usize),
    /// More descriptors than [`MAX_DESCRIPTORS`] are declared.
    TooManyDescriptors(usize),
    /// The payload is no message of the expected kind, or has bytes after its end.
    Malformed,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(v) => write!(
                f,
                "the other program speaks protocol version {v}, this one {VERSION}: the installation is mixed, reinstall agent-aws"
            ),
            Self::TooLarge(n) => write!(f, "a message of {n} bytes is over the limit of {MAX_PAYLOAD}"),
            Self::TooManyDescriptors(n) => {
                write!(f, "a message with {n} descriptors is over the limit of {MAX_DESCRIPTORS}")
            }
            Self::Malformed => f.write_str("a malformed message"),
        }
    }
}

/// The eight bytes before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Length of the payload in bytes.
    pub length: usize,
    /// Descriptors that must come with the frame.
    pub descriptors: usize,
}

impl Header {
    /// Length of a header on the wire, in bytes.
    pub const SIZE: usize = 8;

    /// Reads a header and holds it against the limits.
    pub fn parse(bytes: [u8; Self::SIZE]) -> Result<Self, FrameError> {
        let [a, b, c, d, v0, v1, n0, n1] = bytes;
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > MAX_PAYLOAD {
            return Err(FrameError::TooLarge(length));
        }
        let descriptors = usize::from(u16::from_le_bytes([n0, n1]));
        if descriptors > MAX_DESCRIPTORS {
            return Err(FrameError::TooManyDescriptors(descriptors));
        }
        Ok(Self { length, descriptors })
    }
}

/// An encoded frame, ready for the wire.
pub type Frame = Vec<u8>;

/// Encodes `message`, announcing `descriptors` that travel with it.
pub fn encode<M: Serialize>(message: &M, descriptors: usize) -> Result<Frame, FrameError> {
    let mut frame = postcard::to_extend(message, Vec::from([0; Header::SIZE])).map_err(|_| FrameError::Malformed)?;
    let size = frame.len().saturating_sub(Header::SIZE);
    if size > MAX_PAYLOAD {
        return Err(FrameError::TooLarge(size));
    }
    if descriptors > MAX_DESCRIPTORS {
        return Err(FrameError::TooManyDescriptors(descriptors));
    }
    let length = u32::try_from(size).map_err(|_| FrameError::TooLarge(size))?;
    let count = u16::try_from(descriptors).map_err(|_| FrameError::TooManyDescriptors(descriptors))?;
    let ([a, b, c, d], [v0, v1], [n0, n1]) = (length.to_le_bytes(), VERSION.to_le_bytes(), count.to_le_bytes());
    for (to, from) in frame.iter_mut().zip([a, b, c, d, v0, v1, n0, n1]) {
        *to = from;
    }
    Ok(frame)
}

/// Decodes a payload; bytes after the message are an error.
pub fn decode<M: DeserializeOwned>(payload: &[u8]) -> Result<M, FrameError> {
    match postcard::take_from_bytes(payload) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec;

    use super::*;

    #[test]
    fn a_message_survives_the_way_there_and_back() {
        let frame = encode(&(7u32, b"x".to_vec()), 2).unwrap();
        let (head, body) = frame.split_at(Header::SIZE);
        let header = Header::parse(head.try_into().unwrap()).unwrap();
        assert_eq!(header, Header { length: body.len(), descriptors: 2 });
        assert_eq!(decode::<(u32, Vec<u8>)>(body).unwrap(), (7, b"x".to_vec()));
    }

    #[test]
    fn another_version_is_refused_with_advice_to_reinstall() {
        let mut frame = encode(&0u8, 0).unwrap();
        frame[4] = 0xee;
        let e = Header::parse(frame[..8].try_into().unwrap()).unwrap_err();
        assert!(e.to_string().contains("reinstall"), "{e}");
    }

    #[test]
    fn oversize_is_refused_before_anything_is_read() {
        let mut head = [0u8; 8];
        head[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        head[4..6].copy_from_slice(&VERSION.to_le_bytes());
        assert!(matches!(Header::parse(head), Err(FrameError::TooLarge(_))));
        assert!(matches!(encode(&vec![0u8; MAX_PAYLOAD + 1], 0), Err(FrameError::TooLarge(_))));
    }

    #[test]
    fn bytes_after_the_message_are_refused() {
        let mut body = postcard::to_allocvec(&5u32).unwrap();
        body.push(0);
        assert_eq!(decode::<u32>(&body), Err(FrameError::Malformed));
    }
}
