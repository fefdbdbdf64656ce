//! What the model says, turn by turn.

use serde::Deserialize;
use serde_json::Value;

/// One turn of the model's.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Turn {
    /// It wants a tool of the agent's to be used, and waits for the result.
    Call {
        /// Name of the tool, as the agent offers it.
        tool: String,
        /// What the tool is given: an object, or text for a tool that takes free text (Responses only).
        input: Value,
    },
    /// It says something, which ends its part.
    Say(String),
}

impl Turn {
    /// A call of a tool.
    pub fn call(tool: &str, input: Value) -> Self {
        Self::Call { tool: tool.to_owned(), input }
    }
}

/// All turns. After the last one it says `Done.`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Script(pub Vec<Turn>);

/// What is said when there is nothing left to say, and to questions on the side.
const NOTHING: &str = "Done.";

impl Script {
    /// The turn after `results` results of tools. A request that offers none of the script's tools asks something on the
    /// side, and gets an answer that means nothing.
    pub(crate) fn turn(&self, results: usize, offered: &[&str]) -> Turn {
        let mut tools = self.0.iter().filter_map(|turn| match turn {
            Turn::Call { tool, .. } => Some(tool.as_str()),
            Turn::Say(_) => None,
        });
        let on_the_side = tools.clone().next().is_some() && !tools.any(|tool| offered.contains(&tool));
        match self.0.get(results) {
            Some(turn) if !on_the_side => turn.clone(),
            _ => Turn::Say(NOTHING.to_owned()),
        }
    }
}
