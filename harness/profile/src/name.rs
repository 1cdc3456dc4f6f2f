//! Which function a symbol is a part of.

/// What compilers append to a function's name when they make a copy or a part of it: GCC's clones for known arguments
/// (`constprop`), for arguments taken apart (`isra`), for a part that was split off (`part`, `cold`), and what link-time
/// optimisation and clang add to tell statics apart.
const SUFFIXES: [&str; 7] = ["constprop", "isra", "part", "cold", "localalias", "lto_priv", "llvm"];

/// The function that a symbol is a copy or a part of: `tcp_ack` of `tcp_ack.isra.0.cold`. Other names stay whole.
#[must_use]
pub fn logical_name(symbol: &str) -> &str {
    match symbol.split_once('.') {
        Some((name, suffixes)) if !name.is_empty() && suffixes.split('.').all(is_suffix) => name,
        _ => symbol,
    }
}

/// Whether a symbol is the part of a function that the compiler holds for unlikely.
pub(crate) fn is_cold(symbol: &str) -> bool {
    symbol.split('.').skip(1).any(|suffix| suffix == "cold")
}

fn is_suffix(suffix: &str) -> bool {
    SUFFIXES.contains(&suffix) || (!suffix.is_empty() && suffix.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_parts_belong_to_their_function() {
        for symbol in [
            "tcp_ack",
            "tcp_ack.cold",
            "tcp_ack.isra.0",
            "tcp_ack.constprop.0.isra.0.cold",
            "tcp_ack.part.12",
        ] {
            assert_eq!(logical_name(symbol), "tcp_ack");
        }
        assert!(is_cold("tcp_ack.isra.0.cold") && !is_cold("cold") && !is_cold("tcp_ack.part.0"));
    }

    #[test]
    fn other_names_with_dots_stay_whole() {
        for symbol in [".L1", "a.b", "tcp_ack.", "tcp_ack.isra.x"] {
            assert_eq!(logical_name(symbol), symbol);
        }
    }
}
