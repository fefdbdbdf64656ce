//! Anthropic's Messages.

use serde_json::{Value, json};

use crate::http::Event;
use crate::script::Turn;
use crate::state::{ToolResult, text_of};

/// Long arguments come in parts, as they do from a real model.
const PART: usize = 40;

/// The results of tools in a request, in order.
pub(crate) fn results(body: &Value) -> Vec<ToolResult> {
    let messages = body["messages"].as_array().into_iter().flatten();
    let blocks = messages.filter_map(|message| message["content"].as_array()).flatten();
    blocks
        .filter(|block| block["type"] == "tool_result")
        .map(|block| ToolResult {
            text: text_of(&block["content"]),
            failed: block["is_error"].as_bool().unwrap_or(false),
        })
        .collect()
}

/// Names of the tools that a request offers.
pub(crate) fn offered(body: &Value) -> Vec<&str> {
    body["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect()
}

fn block(turn: &Turn, number: usize) -> (Value, &'static str) {
    match turn {
        Turn::Say(text) => (json!({ "type": "text", "text": text }), "end_turn"),
        Turn::Call { tool, input } => (
            json!({ "type": "tool_use", "id": format!("toolu_{number:04}"), "name": tool, "input": input }),
            "tool_use",
        ),
    }
}

fn message(body: &Value, content: Value, stop: Value) -> Value {
    json!({
        "id": "msg_scripted", "type": "message", "role": "assistant", "model": body["model"], "content": content,
        "stop_reason": stop, "stop_sequence": null, "usage": { "input_tokens": 1, "output_tokens": 1 },
    })
}

/// The answer in one piece.
pub(crate) fn whole(turn: &Turn, body: &Value) -> Value {
    let (block, stop) = block(turn, results(body).len());
    message(body, json!([block]), json!(stop))
}

/// The answer as a stream.
pub(crate) fn stream(turn: &Turn, body: &Value) -> Vec<Event> {
    let (mut block, stop) = block(turn, results(body).len());
    let deltas = match turn {
        Turn::Say(text) => parts(text, "text_delta", "text"),
        Turn::Call { input, .. } => parts(&input.to_string(), "input_json_delta", "partial_json"),
    };
    match turn {
        Turn::Say(_) => block["text"] = json!(""),
        Turn::Call { .. } => block["input"] = json!({}),
    }
    let mut events = vec![
        json!({ "type": "message_start", "message": message(body, json!([]), Value::Null) }),
        json!({ "type": "content_block_start", "index": 0, "content_block": block }),
    ];
    events.extend(deltas.into_iter().map(|delta| json!({ "type": "content_block_delta", "index": 0, "delta": delta })));
    events.push(json!({ "type": "content_block_stop", "index": 0 }));
    events.push(json!({
        "type": "message_delta", "delta": { "stop_reason": stop, "stop_sequence": null },
        "usage": { "output_tokens": 1 },
    }));
    events.push(json!({ "type": "message_stop" }));
    events.into_iter().map(Event::named_by_type).collect()
}

fn parts(text: &str, kind: &str, field: &str) -> Vec<Value> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(PART).map(|part| json!({ "type": kind, field: part.iter().collect::<String>() })).collect()
}
