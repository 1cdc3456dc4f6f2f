//! Reads the keys of one map by its section of the schema.

use std::borrow::Cow;

use serde::{Deserialize, de::IntoDeserializer};

use crate::{
    problem::{Findings, Place},
    schema::{Absent, Kind, Section},
    tree::{Node, Value},
    value::{printable, suggestion},
};

/// A map whose keys are those of `section`. Readers answer `None` for what is absent and for what is wrong; the latter
/// has left a problem.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    section: &'static Section,
    node: &'n Node,
}

impl<'n> Fields<'n> {
    /// Takes `node` for a map of `section`; unknown and missing keys are problems at once.
    pub(crate) fn open(node: &'n Node, section: &'static Section, findings: &mut Findings) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let message = format!("{} where a map belongs", node.describe());
            findings.add(&node.place, message, format!("a map of {}", section.names()));
            return None;
        };
        let names: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
        for (key, value) in entries {
            if !names.contains(&key.as_str()) {
                let message = format!("unknown key `{}`{}", printable(key), suggestion(key, &names));
                findings.add(&value.place, message, section.names());
            }
        }
        for key in section.keys {
            if matches!(key.absent, Absent::Required) && node.get(key.name).is_none() {
                let message = format!("the key `{}` is missing", key.name);
                findings.add(&node.place, message, format!("{}: {}", key.name, key.kind.allowed()));
            }
        }
        Some(Self { section, node })
    }

    /// Where the map stands.
    pub(crate) fn place(&self) -> &'n Place {
        &self.node.place
    }

    /// What the file gives for `key`.
    pub(crate) fn given(&self, key: &str) -> Option<&'n Node> {
        // The table has every key that is asked for: this fails in the first test that comes by.
        let _ = self.section.key(key);
        self.node.get(key)
    }

    /// Where `key` stands, or would stand.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        self.given(key).map_or_else(|| self.node.place.absent_key(key), |node| node.place.clone())
    }

    /// What the file gives for `key`, or its default.
    pub(crate) fn value(&self, key: &str, findings: &mut Findings) -> Option<Cow<'n, Node>> {
        if let Some(node) = self.given(key) {
            return Some(Cow::Borrowed(node));
        }
        match self.section.key(key).absent {
            Absent::Default(text) => {
                let place = self.node.place.absent_key(key);
                Some(Cow::Owned(crate::tree::parse_default(text, &place, findings)?))
            }
            Absent::Required | Absent::Otherwise(_) => None,
        }
    }

    fn read<T>(
        &self,
        key: &str,
        findings: &mut Findings,
        parse: impl FnOnce(&Kind, &Node) -> Result<T, String>,
    ) -> Option<T> {
        let node = self.value(key, findings)?;
        let kind = &self.section.key(key).kind;
        match parse(kind, &node) {
            Ok(value) => Some(value),
            Err(message) => {
                findings.add(&node.place, message, kind.allowed());
                None
            }
        }
    }

    pub(crate) fn integer(&self, key: &str, findings: &mut Findings) -> Option<u64> {
        self.read(key, findings, Kind::integer)
    }

    pub(crate) fn bytes(&self, key: &str, findings: &mut Findings) -> Option<u64> {
        self.read(key, findings, Kind::bytes)
    }

    pub(crate) fn seconds(&self, key: &str, findings: &mut Findings) -> Option<u64> {
        self.read(key, findings, Kind::seconds)
    }

    pub(crate) fn nanoseconds(&self, key: &str, findings: &mut Findings) -> Option<u64> {
        self.read(key, findings, Kind::nanoseconds)
    }

    /// Bits in a second.
    pub(crate) fn rate(&self, key: &str, findings: &mut Findings) -> Option<u64> {
        self.read(key, findings, Kind::rate)
    }

    /// An integer that the schema bounds below 2^32.
    pub(crate) fn count(&self, key: &str, findings: &mut Findings) -> Option<u32> {
        self.integer(key, findings).map(small)
    }

    /// Bytes that the schema bounds below 2^32.
    pub(crate) fn bytes_u32(&self, key: &str, findings: &mut Findings) -> Option<u32> {
        self.bytes(key, findings).map(small)
    }

    /// Seconds that the schema bounds below 2^32.
    pub(crate) fn seconds_u32(&self, key: &str, findings: &mut Findings) -> Option<u32> {
        self.seconds(key, findings).map(small)
    }

    pub(crate) fn percent(&self, key: &str, findings: &mut Findings) -> Option<f64> {
        self.read(key, findings, Kind::percent)
    }

    pub(crate) fn fraction(&self, key: &str, findings: &mut Findings) -> Option<f64> {
        self.read(key, findings, Kind::fraction)
    }

    pub(crate) fn flag(&self, key: &str, findings: &mut Findings) -> Option<bool> {
        self.read(key, findings, Kind::flag)
    }

    pub(crate) fn text(&self, key: &str, findings: &mut Findings) -> Option<String> {
        self.read(key, findings, |kind, node| kind.text(node).map(str::to_owned))
    }

    /// A text that may be absent: `Some(None)` if it is, `None` if it is wrong.
    pub(crate) fn optional_text(&self, key: &str, findings: &mut Findings) -> Option<Option<String>> {
        match self.given(key) {
            None => Some(None),
            Some(_) => self.text(key, findings).map(Some),
        }
    }

    /// One of the words of a `Choice`, as it stands.
    pub(crate) fn word(&self, key: &str, findings: &mut Findings) -> Option<String> {
        self.read(key, findings, |kind, node| kind.word(node).map(str::to_owned))
    }

    /// One of the words of a `Choice`, as the plan's own type.
    pub(crate) fn choice<T: for<'de> Deserialize<'de>>(
        &self,
        key: &str,
        findings: &mut Findings,
    ) -> Option<T> {
        self.read(key, findings, |kind, node| from_word(kind.word(node)?))
    }
}

fn small(value: u64) -> u32 {
    u32::try_from(value).expect("the schema's bounds of counts are below 2^32")
}

/// The variant of a plan's enum that has this name in its serialised form.
pub(crate) fn from_word<T: for<'de> Deserialize<'de>>(word: &str) -> Result<T, String> {
    T::deserialize(word.into_deserializer()).map_err(|error: serde::de::value::Error| error.to_string())
}

/// The items of a list; anything else is a problem.
pub(crate) fn items<'n>(node: &'n Node, allowed: &str, findings: &mut Findings) -> &'n [Node] {
    match &node.value {
        Value::List(items) => items,
        _ => {
            findings.add(&node.place, format!("{} where a list belongs", node.describe()), allowed);
            &[]
        }
    }
}

/// The entries of a map whose keys are free; anything else is a problem.
pub(crate) fn entries<'n>(node: &'n Node, allowed: &str, findings: &mut Findings) -> &'n [(String, Node)] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => {
            findings.add(&node.place, format!("{} where a map belongs", node.describe()), allowed);
            &[]
        }
    }
}

/// A text of this form; anything else is a problem.
pub(crate) fn text_of(node: &Node, syntax: crate::schema::Syntax, findings: &mut Findings) -> Option<String> {
    match Kind::Text(syntax).text(node) {
        Ok(text) => Some(text.to_owned()),
        Err(message) => {
            findings.add(&node.place, message, syntax.what);
            None
        }
    }
}
