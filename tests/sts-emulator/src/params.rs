//! The parameters of a query-protocol request.

use std::collections::BTreeMap;

use crate::encoding::pairs;
use crate::error::ApiError;

/// Names and values of one request. A name given twice keeps its last value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Decodes one or more form-encoded texts; what is not UTF-8 is replaced, so it matches nothing.
    pub(crate) fn decode(forms: &[&[u8]]) -> Self {
        let mut map = BTreeMap::new();
        for (name, value) in forms.iter().flat_map(|form| pairs(form)) {
            map.insert(lossy(&name), lossy(&value));
        }
        Self(map)
    }

    /// The top level of a JSON object: strings as they are, everything else as JSON text.
    pub(crate) fn from_json(body: &[u8]) -> Option<Self> {
        let object: BTreeMap<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Some(Self(object.into_iter().map(|(name, value)| (name, text(value))).collect()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The members of the list `name`, by their number: `Tags.member.2.Key=x` is `{2: {"Key": "x"}}`, and a plain
    /// `TransitiveTagKeys.member.1=x` is `{1: {"": "x"}}`.
    pub(crate) fn members(&self, name: &str) -> Result<Vec<BTreeMap<&str, &str>>, ApiError> {
        let prefix = format!("{name}.member.");
        let mut members: BTreeMap<u32, BTreeMap<&str, &str>> = BTreeMap::new();
        for (key, value) in self.iter() {
            let Some(rest) = key.strip_prefix(&prefix) else {
                continue;
            };
            let (index, field) = rest.split_once('.').unwrap_or((rest, ""));
            let index: u32 = index.parse().map_err(|_| malformed_list(key))?;
            members.entry(index).or_default().insert(field, value);
        }
        Ok(members.into_values().collect())
    }
}

fn malformed_list(key: &str) -> ApiError {
    ApiError::new(400, "MalformedInput", format!("Unexpected list element termination: {key}"))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_members_come_in_the_order_of_their_numbers() {
        let params =
            Params::decode(&[b"T.member.10.Key=c&T.member.2.Key=b&T.member.2.Value=v&T.member.1.Key=a&Tx.member.1=z"]);
        let members = params.members("T").unwrap();
        assert_eq!(members.iter().map(|member| member["Key"]).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(members[1]["Value"], "v");
        assert_eq!(params.members("Tx").unwrap()[0][""], "z");
    }

    #[test]
    fn a_list_member_without_a_number_is_an_error() {
        assert_eq!(Params::decode(&[b"T.member.x.Key=c"]).members("T").unwrap_err().code, "MalformedInput");
    }

    #[test]
    fn the_top_level_of_a_json_body_becomes_parameters() {
        let params = Params::from_json(br#"{"QueueUrl":"http://q","Max":3}"#).unwrap();
        assert_eq!((params.get("QueueUrl"), params.get("Max")), (Some("http://q"), Some("3")));
        assert_eq!(Params::from_json(b"[1]"), None);
    }
}
