//! What was asked so far.

use std::sync::Mutex;

use serde_json::Value;

use crate::script::Script;
use crate::{bedrock, messages, responses};

/// A request that came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its method.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, if that was JSON; null otherwise.
    pub body: Value,
}

impl Recorded {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What a tool of the agent's gave back to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// Its text, all parts of it.
    pub text: String,
    /// Whether the agent calls it a failure. Responses do not tell: there it is false.
    pub failed: bool,
}

/// Shared by all connections.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) script: Script,
    requests: Mutex<Vec<Recorded>>,
}

impl State {
    pub(crate) fn new(script: Script) -> Self {
        Self { script, requests: Mutex::default() }
    }

    pub(crate) fn record(&self, request: Recorded) {
        self.requests.lock().unwrap_or_else(|broken| broken.into_inner()).push(request);
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap_or_else(|broken| broken.into_inner()).clone()
    }

    /// Of the conversation that went furthest, the results of all tools in order.
    pub(crate) fn results(&self) -> Vec<ToolResult> {
        let requests = self.requests();
        let all = requests.iter().map(|request| match Interface::of(&request.path) {
            Some(Interface::Messages) => messages::results(&request.body),
            Some(Interface::Responses) => responses::results(&request.body),
            None => Vec::new(),
        });
        all.max_by_key(Vec::len).unwrap_or_default()
    }
}

/// An interface to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interface {
    /// Anthropic's.
    Messages,
    /// OpenAI's.
    Responses,
}

impl Interface {
    /// Which one this path is of. Providers put it below a path of their own.
    pub(crate) fn of(path: &str) -> Option<Self> {
        match path.rsplit('/').next() {
            Some("messages") => Some(Self::Messages),
            Some("responses") => Some(Self::Responses),
            Some(_) if path.ends_with(bedrock::WHOLE) || path.ends_with(bedrock::STREAM) => Some(Self::Messages),
            _ => None,
        }
    }
}

/// Text of a tool's result: a string, or parts that have text.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        Value::Object(fields) => fields.get("content").map(text_of).unwrap_or_default(),
        _ => String::new(),
    }
}
