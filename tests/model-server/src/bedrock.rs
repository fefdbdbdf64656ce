//! Anthropic's Messages as Bedrock has them: the model is in the path, and a stream is AWS's own: each event in a frame with
//! its checksums, its data within in base64.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html> has the frame.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::json;

use crate::http::{Answer, Event};

/// How a path ends that asks for an answer in one piece.
pub(crate) const WHOLE: &str = "/invoke";
/// How one ends that asks for a stream.
pub(crate) const STREAM: &str = "/invoke-with-response-stream";

/// All events, framed.
pub(crate) fn streamed(events: Vec<Event>) -> Answer {
    let all: Vec<u8> = events.iter().flat_map(|event| frame(&event.data().to_string())).collect();
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(all))));
    let kind = HeaderValue::from_static("application/vnd.amazon.eventstream");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn frame(data: &str) -> Vec<u8> {
    let payload = json!({ "bytes": base64(data.as_bytes()) }).to_string();
    let mut headers = Vec::new();
    let all = [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
    for (name, value) in all {
        // 7 is a string.
        headers.push(u8::try_from(name.len()).unwrap_or_default());
        headers.extend(name.as_bytes());
        headers.push(7);
        headers.extend(u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        headers.extend(value.as_bytes());
    }
    let length = |n: usize| u32::try_from(n).unwrap_or_default().to_be_bytes();
    let mut frame = [length(16 + headers.len() + payload.len()), length(headers.len())].concat();
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload.as_bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn base64(bytes: &[u8]) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let three = part.iter().chain([&0, &0]).take(3).fold(0usize, |all, byte| all << 8 | usize::from(*byte));
        for at in 0..4 {
            let letter = letters.get(three >> (18 - 6 * at) & 63).copied().unwrap_or(b'=');
            out.push(if at > part.len() { '=' } else { char::from(letter) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_and_letters_are_the_usual_ones() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }
}
