//! What names the machine or its user, taken out of text.

use std::path::Path;

/// Words that stand for folders of this machine.
#[derive(Clone, Debug, Default)]
pub struct Scrub {
    /// A folder and the word for it, the longest first.
    words: Vec<(String, &'static str)>,
}

impl Scrub {
    /// Adds a folder. One that says nothing about anybody (`/`, `/root`, `/tmp`) stays as it is.
    #[must_use]
    pub fn folder(mut self, path: &Path, word: &'static str) -> Self {
        let telling =
            path.is_absolute() && !["/", "/root", "/tmp"].iter().any(|plain| path == Path::new(plain));
        // The path as it was given, and without links: either may have been recorded.
        let canonical = path.canonicalize().ok().filter(|canonical| canonical != path);
        for path in [Some(path.to_owned()), canonical].into_iter().flatten().filter(|_| telling) {
            if let Some(text) = path.to_str() {
                self.words.push((text.trim_end_matches('/').to_owned(), word));
            }
        }
        self.words.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        self
    }

    /// The text with the words in place of the folders.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        String::from_utf8(self.bytes(text.as_bytes()))
            .unwrap_or_else(|_| unreachable!("words replace whole texts"))
    }

    /// The same of output that need not be text.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let begins = bytes[at] == b'/' && (at == 0 || !is_of_a_name(bytes[at - 1]));
            match begins.then(|| self.word_at(&bytes[at..])).flatten() {
                Some((length, word)) => {
                    out.extend_from_slice(word.as_bytes());
                    at += length;
                }
                None => {
                    out.push(bytes[at]);
                    at += 1;
                }
            }
        }
        out
    }

    /// The folder that this begins with, as a whole name.
    fn word_at(&self, rest: &[u8]) -> Option<(usize, &'static str)> {
        let fits = |(text, _): &&(String, &'static str)| {
            rest.starts_with(text.as_bytes()) && !rest.get(text.len()).is_some_and(|next| is_of_a_name(*next))
        };
        self.words.iter().find(fits).map(|(text, word)| (text.len(), *word))
    }
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~') || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_become_words_where_they_are_whole_names() {
        let scrub = Scrub::default()
            .folder(Path::new("/home/jane"), "~")
            .folder(Path::new("/home/jane/.cache/assay"), "CACHE")
            .folder(Path::new("/root"), "~")
            .folder(Path::new("/"), "ROOT");
        let text = "open /home/jane/.cache/assay/kernels/x (file:///home/jane), /home/janet /mnt/home/jane /root \"/home/jane\"";
        let clean = "open CACHE/kernels/x (file://~), /home/janet /mnt/home/jane /root \"~\"";
        assert_eq!(scrub.text(text), clean);
        assert_eq!(scrub.bytes(b"\xff/home/jane/\xfe"), b"\xff/home/jane/\xfe", "part of a longer name");
        assert_eq!(scrub.bytes(b"\n/home/jane/\xfe"), b"\n~/\xfe");
    }
}
