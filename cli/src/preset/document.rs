//! A settings file as a tree: read, completed and written again with everything else in it as it was.

use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item, Table, TableLike};

/// One of the two languages that settings are written in; the file's name tells which.
#[derive(Debug)]
pub(super) enum Document {
    Json(Map<String, Value>),
    Toml(Box<DocumentMut>),
}

impl Document {
    /// Reads it; nothing at all is an empty one.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, String> {
        if name.ends_with(".toml") {
            return text
                .parse()
                .map(Box::new)
                .map(Self::Toml)
                .map_err(|e: toml_edit::TomlError| in_one_line(&e.to_string()));
        }
        if text.trim().is_empty() {
            return Ok(Self::Json(Map::new()));
        }
        serde_json::from_str(text).map(Self::Json).map_err(|e| format!("it is no JSON object: {e}"))
    }

    /// The flag, number or word at a key.
    pub(super) fn scalar(&self, key: &[String]) -> Option<Value> {
        let (last, above) = key.split_last()?;
        match self {
            Self::Json(root) => {
                let table = above.iter().try_fold(root, |table, part| table.get(part)?.as_object())?;
                table.get(last).filter(|value| !value.is_object() && !value.is_array() && !value.is_null()).cloned()
            }
            Self::Toml(root) => {
                let root: &dyn TableLike = root.as_table();
                let table = above.iter().try_fold(root, |table, part| table.get(part)?.as_table_like())?;
                let item = table.get(last)?;
                let flag = item.as_bool().map(Value::from);
                flag.or_else(|| item.as_integer().map(Value::from)).or_else(|| item.as_str().map(Value::from))
            }
        }
    }

    /// Puts a flag, number or word at a key where nothing stands; whether it did. What stands in the way stays.
    pub(super) fn set(&mut self, key: &[String], value: &Value) -> bool {
        let Some((last, above)) = key.split_last() else { return false };
        match self {
            Self::Json(root) => match json_table(root, above) {
                Some(table) if !table.contains_key(last) => table.insert(last.clone(), value.clone()).is_none(),
                _ => false,
            },
            Self::Toml(root) => match (toml_table(root.as_table_mut(), above), toml_value(value)) {
                (Some(table), Some(value)) if !table.contains_key(last) => {
                    table.insert(last, Item::Value(value)).is_none()
                }
                _ => false,
            },
        }
    }

    /// Puts a word at a key whatever word stands there, or takes it away where it is `value`; whether that changed
    /// anything. JSON only.
    pub(super) fn say(&mut self, key: &[String], value: &str, there: bool) -> bool {
        let (Self::Json(root), Some((last, above))) = (self, key.split_last()) else { return false };
        if !there && above.iter().try_fold(&*root, |table, part| table.get(part)?.as_object()).is_none() {
            return false;
        }
        let Some(table) = json_table(root, above) else { return false };
        let stands = table.get(last).is_some_and(|found| found == value);
        if there == stands {
            return false;
        }
        match there {
            true => drop(table.insert(last.clone(), Value::from(value))),
            false => drop(table.remove(last)),
        }
        true
    }

    /// Puts an entry into a list of words, if it is not there; whether it did. JSON only.
    pub(super) fn add(&mut self, key: &[String], entry: &str) -> bool {
        let (Self::Json(root), Some((last, above))) = (self, key.split_last()) else { return false };
        let Some(table) = json_table(root, above) else { return false };
        let list = table.entry(last.clone()).or_insert_with(|| Value::Array(vec![]));
        match list.as_array_mut() {
            Some(list) if list.iter().all(|known| known != entry) => {
                list.push(Value::from(entry));
                true
            }
            _ => false,
        }
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Json(root) => format!("{:#}\n", Value::Object(root.clone())),
            Self::Toml(root) => root.to_string(),
        }
    }
}

fn in_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}

/// The table at a key, made if it is missing; none where something else stands.
fn json_table<'a>(root: &'a mut Map<String, Value>, key: &[String]) -> Option<&'a mut Map<String, Value>> {
    key.iter().try_fold(root, |table, part| {
        table.entry(part.clone()).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
    })
}

fn toml_table<'a>(root: &'a mut Table, key: &[String]) -> Option<&'a mut dyn TableLike> {
    let root: &mut dyn TableLike = root;
    key.iter().try_fold(root, |table, part| {
        let new = || {
            let mut new = Table::new();
            // Its header is written only if something stands right in it.
            new.set_implicit(true);
            Item::Table(new)
        };
        table.entry(part).or_insert_with(new).as_table_like_mut()
    })
}

fn toml_value(value: &Value) -> Option<toml_edit::Value> {
    let flag = value.as_bool().map(toml_edit::Value::from);
    flag.or_else(|| value.as_i64().map(toml_edit::Value::from)).or_else(|| value.as_str().map(toml_edit::Value::from))
}
