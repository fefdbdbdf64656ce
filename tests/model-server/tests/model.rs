//! The interfaces as an agent's client sees them.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)] // a test fails by panicking

use std::io::{Read, Write};
use std::net::TcpStream;

use agent_aws_model_server::{ModelServer, Script, ToolResult, Turn};
use serde_json::{Value, json};

fn model() -> ModelServer {
    let turns = vec![
        Turn::call("Bash", json!({ "command": "a command that is longer than one part of a stream" })),
        Turn::call("exec", json!("text(1)")),
        Turn::Say("That is all.".into()),
    ];
    ModelServer::start(Script(turns)).unwrap()
}

/// One request on a connection of its own: the status line and the body, its chunks joined.
fn ask(model: &ModelServer, method: &str, path: &str, body: &Value) -> (String, String) {
    let mut stream = TcpStream::connect(model.url().trim_start_matches("http://")).unwrap();
    let body = body.to_string();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: model\r\nx-api-key: k\r\nconnection: close\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let size = |line: &str| line.len() < 5 && usize::from_str_radix(line, 16).is_ok();
    let body = match head.contains("chunked") {
        true => body.split("\r\n").filter(|line| !size(line)).collect(),
        false => body.to_owned(),
    };
    (head.lines().next().unwrap().to_owned(), body)
}

/// The data of each event, whose name is its type.
fn events(body: &str) -> Vec<Value> {
    let one = |event: &str| {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    };
    body.split("\n\n").filter(|event| !event.is_empty()).map(one).collect()
}

fn messages(results: usize, stream: bool) -> Value {
    let result = json!({ "type": "tool_result", "tool_use_id": "x", "content": [{ "type": "text", "text": "done" }], "is_error": true });
    let messages: Vec<Value> = (0..results).map(|_| json!({ "role": "user", "content": [result] })).collect();
    json!({ "model": "m", "stream": stream, "messages": messages, "tools": [{ "name": "Bash" }] })
}

#[test]
fn a_tool_call_comes_in_parts_that_are_one_json_object() {
    let model = model();
    let (status, body) = ask(&model, "POST", "/v1/messages?beta=true", &messages(0, true));
    assert_eq!(status, "HTTP/1.1 200 OK");
    let events = events(&body);
    let parts: Vec<&str> = events.iter().filter_map(|e| e["delta"]["partial_json"].as_str()).collect();
    assert!(parts.len() > 1, "{parts:?}");
    let input: Value = serde_json::from_str(&parts.concat()).unwrap();
    assert_eq!(input["command"], "a command that is longer than one part of a stream");
    assert_eq!(events.first().unwrap()["type"], "message_start");
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "tool_use");
    assert_eq!(events.last().unwrap()["type"], "message_stop");
}

#[test]
fn the_turn_is_told_by_the_results_and_asking_twice_changes_nothing() {
    let model = model();
    for _ in 0..2 {
        let (_, body) = ask(&model, "POST", "/v1/messages", &messages(2, false));
        let said: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(said["content"][0]["text"], "That is all.");
        assert_eq!(said["stop_reason"], "end_turn");
    }
    let (_, body) = ask(&model, "POST", "/v1/messages", &messages(9, false));
    assert!(body.contains("Done."), "{body}");
    assert_eq!(model.results().len(), 9);
    assert_eq!(model.results()[0], ToolResult { text: "done".into(), failed: true });
}

#[test]
fn a_question_on_the_side_takes_no_turn_away() {
    let model = model();
    let mut side = messages(0, false);
    side["tools"] = json!([]);
    assert!(ask(&model, "POST", "/v1/messages", &side).1.contains("Done."));
    assert!(ask(&model, "POST", "/v1/messages", &messages(0, false)).1.contains("tool_use"));
}

#[test]
fn responses_call_free_text_tools_wherever_they_are_offered() {
    let model = model();
    let namespace =
        json!({ "type": "additional_tools", "tools": [{ "name": "functions", "tools": [{ "name": "exec" }] }] });
    let result = json!({ "type": "function_call_output", "output": { "content": "first" } });
    let body = json!({ "model": "m", "stream": true, "input": [namespace, result] });
    let (_, body) = ask(&model, "POST", "/v1/responses", &body);
    let events = events(&body);
    assert_eq!(events[0]["type"], "response.created");
    let item = events.iter().find(|e| e["type"] == "response.output_item.done").unwrap();
    assert_eq!(item["item"]["type"], "custom_tool_call");
    assert_eq!((&item["item"]["name"], &item["item"]["input"]), (&json!("exec"), &json!("text(1)")));
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.completed"), &json!("completed")));
    assert_eq!(model.results(), [ToolResult { text: "first".into(), failed: false }]);
}

#[test]
fn everything_else_is_recorded_and_not_there() {
    let model = model();
    for (method, path, status) in [
        ("POST", "/api/event_logging/batch", "404 Not Found"),
        ("GET", "/v1/models", "404 Not Found"),
        ("HEAD", "/api/hello", "200 OK"),
        ("CONNECT", "example.com:443", "403 Forbidden"),
        ("POST", "/v1/messages/count_tokens", "200 OK"),
    ] {
        assert_eq!(ask(&model, method, path, &json!({})).0, format!("HTTP/1.1 {status}"), "{method} {path}");
    }
    let requests = model.requests();
    assert_eq!(requests.len(), 5);
    assert_eq!(requests[0].header("x-api-key"), Some("k"));
}
