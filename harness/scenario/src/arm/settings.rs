//! What an arm sets in its kernel: options, parameters, sysctls.

use std::collections::BTreeMap;

use plan::{Base, ConfigOption, ConfigValue, Knobs};

use crate::{
    base::is_prebuilt,
    fields::{Fields, entries, items, text_of},
    parameter,
    problem::Findings,
    schema::{self, CONFIG_OPTION, KERNEL_PARAMETER, SYSCTL_NAME, SYSCTL_VALUE},
    tree::{Node, Value},
    value::printable,
};

pub(super) fn options(
    fields: &Fields<'_>,
    base: Option<&Base>,
    findings: &mut Findings,
) -> Option<Vec<ConfigOption>> {
    let Some(node) = fields.given("config") else { return Some(Vec::new()) };
    let allowed = schema::ARM.key("config").kind.allowed();
    let entries = entries(node, &allowed, findings);
    if let (Some(base), [_, ..]) = (base, entries)
        && is_prebuilt(&base.source)
    {
        let message = format!("`{}` is prebuilt: it cannot be configured", base.name);
        findings.add(&node.place, message, "a base that is built from source, or no config");
        return None;
    }
    let read: Vec<Option<ConfigOption>> = entries
        .iter()
        .map(|(name, node)| {
            if !(CONFIG_OPTION.holds)(name) {
                findings.add(&node.place, format!("`{}` is no option", printable(name)), CONFIG_OPTION.what);
                return None;
            }
            match config_value(node) {
                Ok(value) => Some(ConfigOption { name: name.clone(), value }),
                Err(message) => {
                    findings.add(&node.place, message, "y, m, n, a number or a \"quoted text\"");
                    None
                }
            }
        })
        .collect();
    read.into_iter().collect()
}

fn config_value(node: &Node) -> Result<ConfigValue, String> {
    match &node.value {
        Value::Scalar { text, quoted: true } if text.chars().any(char::is_control) => {
            Err("a text of more than one line".to_owned())
        }
        Value::Scalar { text, quoted: true } => Ok(ConfigValue::Text(text.clone())),
        Value::Scalar { text, quoted: false } => match text.as_str() {
            "y" => Ok(ConfigValue::Yes),
            "m" => Ok(ConfigValue::Module),
            "n" => Ok(ConfigValue::No),
            text => number(text).ok_or_else(|| format!("`{}` is no value of an option", printable(text))),
        },
        _ => Err(format!("{} is no value of an option", node.describe())),
    }
}

/// `100`, `-1` or `0x64`.
fn number(text: &str) -> Option<ConfigValue> {
    let decimal =
        |text: &str| text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
    match (text.strip_prefix("0x"), text.strip_prefix('-')) {
        (Some(digits), _) => {
            let clean = digits.chars().all(|c| c.is_ascii_hexdigit());
            clean.then(|| u64::from_str_radix(digits, 16).ok()).flatten().map(ConfigValue::Hex)
        }
        (None, Some(digits)) => decimal(digits).map(|number| ConfigValue::Number(-number)),
        (None, None) => decimal(text).map(ConfigValue::Number),
    }
}

pub(super) fn cmdline(fields: &Fields<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let Some(node) = fields.given("cmdline") else { return Some(Vec::new()) };
    let read: Vec<Option<String>> = items(node, &schema::ARM.key("cmdline").kind.allowed(), findings)
        .iter()
        .map(|item| {
            let parameter = text_of(item, KERNEL_PARAMETER, findings)?;
            if let Some((wrong, instead)) = parameter::refusal(&parameter) {
                findings.add(&item.place, wrong, instead);
                return None;
            }
            Some(parameter)
        })
        .collect();
    read.into_iter().collect()
}

pub(super) fn knobs(fields: &Fields<'_>, findings: &mut Findings) -> Option<Knobs> {
    let Some(node) = fields.given("sysctls") else { return Some(Knobs::default()) };
    let read: Vec<Option<(String, String)>> =
        entries(node, &schema::ARM.key("sysctls").kind.allowed(), findings)
            .iter()
            .map(|(name, node)| {
                if !(SYSCTL_NAME.holds)(name) {
                    findings.add(
                        &node.place,
                        format!("`{}` is no sysctl", printable(name)),
                        SYSCTL_NAME.what,
                    );
                    return None;
                }
                Some((name.clone(), text_of(node, SYSCTL_VALUE, findings)?))
            })
            .collect();
    let sysctls: Option<BTreeMap<String, String>> = read.into_iter().collect();
    sysctls.map(|sysctls| Knobs { sysctls, ..Knobs::default() })
}
