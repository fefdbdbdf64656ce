//! OpenAI's Responses.

use serde_json::{Value, json};

use crate::http::Event;
use crate::script::Turn;
use crate::state::{ToolResult, text_of};

const ID: &str = "resp_scripted";

/// The results of tools in a request, in order.
pub(crate) fn results(body: &Value) -> Vec<ToolResult> {
    let items = body["input"].as_array().into_iter().flatten();
    items
        .filter(|item| item["type"].as_str().is_some_and(|kind| kind.ends_with("_call_output")))
        .map(|item| ToolResult { text: text_of(&item["output"]), failed: false })
        .collect()
}

/// Names of the tools that a request offers: beside the conversation or in it, alone or in namespaces.
pub(crate) fn offered(body: &Value) -> Vec<&str> {
    let mut names = Vec::new();
    let in_the_conversation = body["input"].as_array().into_iter().flatten();
    for list in in_the_conversation.map(|item| &item["tools"]).chain([&body["tools"]]) {
        collect_names(list, &mut names);
    }
    names
}

fn collect_names<'a>(tools: &'a Value, names: &mut Vec<&'a str>) {
    for tool in tools.as_array().into_iter().flatten() {
        names.extend(tool["name"].as_str());
        collect_names(&tool["tools"], names);
    }
}

fn item(turn: &Turn, number: usize) -> Value {
    let (id, call) = (format!("item_{number:04}"), format!("call_{number:04}"));
    match turn {
        Turn::Say(text) => json!({
            "type": "message", "id": id, "role": "assistant", "status": "completed",
            "content": [{ "type": "output_text", "text": text, "annotations": [] }],
        }),
        Turn::Call { tool, input: Value::String(text) } => json!({
            "type": "custom_tool_call", "id": id, "call_id": call, "name": tool, "input": text, "status": "completed",
        }),
        Turn::Call { tool, input } => json!({
            "type": "function_call", "id": id, "call_id": call, "name": tool, "arguments": input.to_string(),
            "status": "completed",
        }),
    }
}

fn response(body: &Value, status: &str, output: Value) -> Value {
    json!({
        "id": ID, "object": "response", "created_at": 0, "status": status, "model": body["model"], "output": output,
        "usage": {
            "input_tokens": 1, "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": 1, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 2,
        },
    })
}

/// The answer in one piece.
pub(crate) fn whole(turn: &Turn, body: &Value) -> Value {
    response(body, "completed", json!([item(turn, results(body).len())]))
}

/// The answer as a stream.
pub(crate) fn stream(turn: &Turn, body: &Value) -> Vec<Event> {
    let item = item(turn, results(body).len());
    let mut events = vec![
        json!({ "type": "response.created", "response": response(body, "in_progress", json!([])) }),
        json!({ "type": "response.output_item.added", "output_index": 0, "item": item }),
    ];
    if let Turn::Say(text) = turn {
        events.push(json!({
            "type": "response.output_text.delta", "item_id": item["id"], "output_index": 0, "content_index": 0,
            "delta": text,
        }));
    }
    events.push(json!({ "type": "response.output_item.done", "output_index": 0, "item": item }));
    events.push(json!({ "type": "response.completed", "response": response(body, "completed", json!([item])) }));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    events.into_iter().map(Event::named_by_type).collect()
}
