//! What a log of make says about targets that could not be made.

/// Targets whose recipe failed under `make --ignore-errors`, each with the first complaint of its compiler.
pub(crate) fn failures(log: &str) -> Vec<(String, String)> {
    let mut failures = Vec::new();
    let mut complaint: Option<String> = None;
    for line in log.lines() {
        if let Some(target) = ignored(line) {
            let reason = complaint.take().unwrap_or_else(|| "its recipe failed without a word".to_owned());
            failures.push((target.to_owned(), reason));
        } else if is_step(line) {
            complaint = None;
        } else if complaint.is_none() && is_complaint(line) {
            complaint = Some(line.trim().chars().take(200).collect());
        }
    }
    failures
}

/// The target of `make[1]: [../lib.mk:222: /build/kselftest/net/tls] Error 1 (ignored)`.
fn ignored(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("make")?.strip_suffix("(ignored)")?;
    let (_, bracketed) = rest.split_once(": [")?;
    let (place, _) = bracketed.split_once("] Error ")?;
    place.rsplit_once(": ").map(|(_, target)| target)
}

/// Whether a line begins another recipe: `  CC       tls`.
fn is_step(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("  ") else { return false };
    let word = rest.split(' ').next().unwrap_or_default();
    word.len() >= 2 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

fn is_complaint(line: &str) -> bool {
    let signs = ["error:", "cannot find -l", "Error: ", "No such file or directory", "command not found"];
    signs.iter().any(|sign| line.contains(sign)) || line.ends_with(": not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Debian's linux-source-6.12 6.12.117-1, shortened.
    const LOG: &str = include_str!("../../../../tests/fixtures/selftests/make-6.12.log");

    #[test]
    fn a_target_that_failed_has_the_first_error_of_its_own_recipe() {
        let failures = failures(LOG);
        let of = |end: &str| {
            let found = failures.iter().find(|(target, _)| target.ends_with(end));
            found.map(|(_, reason)| reason.as_str()).unwrap_or_default()
        };
        assert_eq!(
            of("net/tls"),
            "tls.c:1679:9: error: too many arguments to function 'tls_crypto_info_init'"
        );
        assert_eq!(
            of("iommu/iommufd"),
            "iommufd_utils.h:649:18: error: 'struct iommu_hw_info' has no member named 'in_data_type'; did you mean \
             'out_data_type'?"
        );
        assert_eq!(of("net/tun"), "", "it was built");
    }

    #[test]
    fn what_is_no_log_of_make_names_nothing() {
        assert_eq!(failures("make[1]: [x] Error (ignored)\nmake: (ignored)\n[a: b] Error 1 (ignored)"), []);
        assert_eq!(
            failures("make: [Makefile:3: all] Error 2 (ignored)\n"),
            [("all".to_owned(), "its recipe failed without a word".to_owned())]
        );
    }
}
