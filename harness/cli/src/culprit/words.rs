//! Words of a kernel's command line.

/// The words of a command line, split as the kernel does it (`next_arg` of lib/cmdline.c): at white space outside double quotes, which stay where they are.
///
/// # Errors
/// A line for each word that an arm cannot have; a quote that is not closed; nothing but white space.
pub(super) fn words(text: &str) -> Result<Vec<String>, Vec<String>> {
    let (mut words, mut word, mut within_quotes) = (vec![], String::new(), false);
    for c in text.chars() {
        within_quotes ^= c == '"';
        if c.is_ascii_whitespace() && !within_quotes {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else {
            word.push(c);
        }
    }
    if within_quotes {
        return Err(vec![format!("a quote is not closed in `{word}`")]);
    }
    words.extend((!word.is_empty()).then_some(word));
    if words.is_empty() {
        return Err(vec!["it has no word".to_owned()]);
    }
    let wrong: Vec<String> = words.iter().filter_map(|word| scenario::kernel_parameter(word).err()).collect();
    if wrong.is_empty() { Ok(words) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(
            words(" mitigations=off  dyndbg=\"file x.c +p\"\tnokaslr\n").unwrap(),
            ["mitigations=off", "dyndbg=\"file x.c +p\"", "nokaslr"]
        );
        assert_eq!(words("a=\"b c\"d").unwrap(), ["a=\"b c\"d"]);
    }

    #[test]
    fn every_word_that_cannot_be_is_told() {
        let wrong = words("quiet root=/dev/sda assay.root=/x").unwrap_err();
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("`root` is set by the machine"), "{wrong:?}");
        assert_eq!(words("a \"b c").unwrap_err(), ["a quote is not closed in `\"b c`"]);
        assert_eq!(words(" \t").unwrap_err(), ["it has no word"]);
    }
}
