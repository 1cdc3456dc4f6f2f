//! Plans as YAML for people. The only place that sees `serde_yaml`, which is deprecated upstream.

use serde::Serialize;

/// Why something could not be written as YAML.
#[derive(Debug, thiserror::Error)]
#[error("cannot be written as YAML")]
pub struct RenderError(#[source] serde_yaml::Error);

/// `value` as YAML, with enums as maps of one key rather than as tags.
///
/// # Errors
/// If `value` holds what YAML cannot: a path that is not UTF-8. Plans from [`crate::load`] hold none.
pub fn to_yaml(value: &impl Serialize) -> Result<String, RenderError> {
    let mut bytes = Vec::new();
    let mut serializer = serde_yaml::Serializer::new(&mut bytes);
    serde_yaml::with::singleton_map_recursive::serialize(value, &mut serializer).map_err(RenderError)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
