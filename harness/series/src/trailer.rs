//! Trailers: the `Name: value` lines that end a commit message, and those that reviewers send in reply.

use crate::value::{Person, Trailer, plain};

/// What a reply may give besides `...-by`.
const ABOUT: &[&str] = &["fixes", "link", "closes", "buglink"];

/// A commit message in two: text, and the lines of its trailers with their continuations. The last paragraph is trailers if each
/// of its lines is one, or belongs to one.
pub(crate) fn split(message: &str) -> (&str, Vec<Trailer>) {
    let message = message.trim_end();
    let begin = message.rfind("\n\n").map_or(0, |at| at + 2);
    let block = &message[begin..];
    let mut trailers: Vec<Trailer> = Vec::new();
    for line in block.lines() {
        let belongs = line.starts_with([' ', '\t', '[', '(']);
        match (read(line), trailers.last_mut()) {
            (Some(trailer), _) => trailers.push(trailer),
            (None, Some(last)) if belongs => {
                last.value.push('\n');
                last.value.push_str(line.trim_end());
            }
            // A note of whoever applied it may come first: `[ a@b: fixed a typo ]`.
            (None, None) if belongs && line.starts_with(['[', '(']) => trailers.push(Trailer {
                name: String::new(),
                value: line.trim_end().to_owned(),
                added_from: None,
            }),
            (None, _) => return (message, Vec::new()),
        }
    }
    if !trailers.iter().any(|trailer| !trailer.name.is_empty()) {
        return (message, Vec::new());
    }
    (message[..begin].trim_end(), trailers)
}

/// `Name: value` at the start of a line.
fn read(line: &str) -> Option<Trailer> {
    let (name, value) = line.split_once(':')?;
    let is_name = name.len() > 1
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && name.starts_with(|c: char| c.is_ascii_alphabetic());
    let value = value.strip_prefix([' ', '\t'])?.trim();
    (is_name && !value.is_empty()).then(|| Trailer {
        name: name.to_owned(),
        value: plain(value),
        added_from: None,
    })
}

/// What the trailers of a reply are worth.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// In order.
    pub(crate) trailers: Vec<Trailer>,
    /// Those that name somebody else than the sender: not taken, as anybody could send them.
    pub(crate) strangers: Vec<Trailer>,
}

/// The trailers that `from` gives in `body`, outside of what is quoted and above the signature.
pub(crate) fn given(body: &str, from: Option<&Person>) -> Given {
    let mut given = Given::default();
    let own = body.split("\n-- \n").next().unwrap_or_default();
    let lines: Vec<&str> = own.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let Some(mut trailer) = read(line.trim_start()) else { continue };
        let name = trailer.name.to_ascii_lowercase();
        if ABOUT.contains(&name.as_str()) {
            if is_about(&name, &trailer.value) {
                given.trailers.push(trailer);
            }
            continue;
        }
        if !name.ends_with("-by") {
            continue;
        }
        // A mail client broke the line before the address.
        if person(&trailer.value).is_none()
            && let Some(next) =
                lines.get(index + 1).filter(|next| next.starts_with('<') && next.trim_end().ends_with('>'))
        {
            trailer.value = format!("{} {}", trailer.value, plain(next));
        }
        let value = trailer.value.split(" # ").next().unwrap_or_default();
        let Some(named) = person(value) else { continue };
        if from.is_some_and(|from| is_same(&named, from)) {
            given.trailers.push(trailer);
        } else {
            given.strangers.push(trailer);
        }
    }
    given
}

fn is_about(name: &str, value: &str) -> bool {
    match name {
        "fixes" => value
            .split(' ')
            .next()
            .is_some_and(|id| id.len() >= 6 && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
        _ => value.starts_with("http://") || value.starts_with("https://"),
    }
}

/// `Name <a@example.org>`, or an address alone.
pub(crate) fn person(value: &str) -> Option<Person> {
    let value = value.trim();
    let (name, email) = match value.rsplit_once('<') {
        Some((name, email)) => (name.trim().trim_matches('"'), email.split('>').next()?.trim()),
        None => ("", value),
    };
    let (local, domain) = email.rsplit_once('@')?;
    let good = !local.is_empty() && !domain.is_empty() && !email.contains(char::is_whitespace);
    good.then(|| Person { name: plain(name), email: plain(email) })
}

/// The same address, without its `+extension`, or the same name.
fn is_same(a: &Person, b: &Person) -> bool {
    let address = |person: &Person| {
        let email = person.email.to_lowercase();
        let (local, domain) = email.rsplit_once('@').unwrap_or((&email, ""));
        format!("{}@{domain}", local.split('+').next().unwrap_or(local))
    };
    let name = |person: &Person| person.name.to_lowercase();
    address(a) == address(b)
        || (!a.name.is_empty() && name(a) == name(b))
        || is_subdomain(&address(a), &address(b))
}

/// `a@intel.com` and `a@linux.intel.com`.
fn is_subdomain(a: &str, b: &str) -> bool {
    let (Some((local_a, domain_a)), Some((local_b, domain_b))) = (a.rsplit_once('@'), b.rsplit_once('@'))
    else {
        return false;
    };
    let under = |long: &str, short: &str| {
        short.contains('.') && long.strip_suffix(short).is_some_and(|rest| rest.ends_with('.'))
    };
    local_a == local_b && (under(domain_a, domain_b) || under(domain_b, domain_a))
}

/// Whether two trailers say the same.
pub(crate) fn equal(a: &Trailer, b: &Trailer) -> bool {
    let value = |trailer: &Trailer| trailer.value.to_lowercase();
    a.name.eq_ignore_ascii_case(&b.name) && value(a) == value(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(trailers: &[Trailer]) -> Vec<String> {
        trailers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_last_paragraph_is_trailers_or_text() {
        let (text, trailers) = split(
            "Text.\n\nMore: text.\n\nFixes: 012345678901 (\"x\")\nSigned-off-by: A <a@b>\n[c: changed]\n",
        );
        assert_eq!(text, "Text.\n\nMore: text.");
        assert_eq!(lines(&trailers), ["Fixes: 012345678901 (\"x\")", "Signed-off-by: A <a@b>\n[c: changed]"]);
        assert_eq!(split("Text.\n\nNote: this\nis text.").1, []);
        assert_eq!(split("Signed-off-by: A <a@b>").0, "");
        assert_eq!(split(""), ("", vec![]));
    }

    #[test]
    fn a_reply_gives_what_its_sender_may_give() {
        let from = Person { name: "Rev Iewer".into(), email: "rev@linux.example.org".into() };
        let body = "On Friday, A wrote:\n> Signed-off-by: A <a@b>\n\nLooks good: really.\n\nReviewed-by: Rev Iewer <rev@example.org>\n\
            Tested-by: Rev Iewer\n<other@example.net>\nAcked-by: Some Body <some@example.org>\nFixes: 0123456789ab (\"x\")\nFixes: everything\n\
            Cc: stable@vger.example.org\nReviewed-by: nobody\n-- \nActed-by: Rev Iewer <rev@example.org>\n";
        let given = given(body, Some(&from));
        assert_eq!(
            lines(&given.trailers),
            [
                "Reviewed-by: Rev Iewer <rev@example.org>",
                "Tested-by: Rev Iewer <other@example.net>",
                "Fixes: 0123456789ab (\"x\")"
            ]
        );
        assert_eq!(lines(&given.strangers), ["Acked-by: Some Body <some@example.org>"]);
    }

    #[test]
    fn addresses_of_one_person() {
        let is = |a: &str, b: &str| is_same(&person(a).unwrap(), &person(b).unwrap());
        assert!(is("A <a+kernel@x.org>", "B <A@x.org>"));
        assert!(is("A B <1@x.org>", "a b <2@y.org>"));
        assert!(!is("A <a@x.org>", "B <b@x.org>"));
        assert!(!is("<a@notx.org>", "B <a@x.org>"));
    }
}
