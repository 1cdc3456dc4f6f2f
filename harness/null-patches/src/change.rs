//! The changes: of C as the kernel's style lays it out, one definition a line.

use std::collections::BTreeSet;

/// How many functions of a file get another name.
const RENAMED: usize = 4;

/// What is kept although nobody calls it.
const UNUSED: &str = "\nstatic noinline unsigned int __used assay_null_unused(unsigned int x)\n{\n\treturn x * 2654435761U + 1;\n}\n";

pub(crate) fn add_unused_function(before: &str) -> String {
    let end = if before.ends_with('\n') { "" } else { "\n" };
    format!("{before}{end}{UNUSED}")
}

/// Two longs more at the end of a struct; nothing if it is not there, or ends in an array of unknown length, behind which nothing
/// can be.
pub(crate) fn pad_struct(before: &str, name: &str) -> Option<String> {
    let opening = format!("struct {name} {{");
    let mut lines: Vec<&str> = before.split_inclusive('\n').collect();
    let first = lines.iter().position(|line| line.trim_end() == opening)?;
    let length = lines[first..].iter().position(|line| line.starts_with('}'))?;
    let last_member = lines[first + length - 1].trim_end();
    if last_member.ends_with("[];") || last_member.ends_with("[0];") {
        return None;
    }
    lines.insert(first + length, "\tunsigned long assay_padding[2];\n");
    Some(lines.concat())
}

/// The objects of the line that has `object` the other way round; nothing if it is not in a list that is always linked.
pub(crate) fn reverse_objects(before: &str, object: &str) -> Option<String> {
    let lines: Vec<&str> = before.split_inclusive('\n').collect();
    let is_object = |word: &&str| word.ends_with(".o");
    let at = lines.iter().position(|line| line.split_whitespace().any(|word| word == object))?;
    // Back over the lines that go on, to what they are a list of.
    let mut start = at;
    while start > 0 && lines[start - 1].trim_end().ends_with('\\') {
        start -= 1;
    }
    if !lines[start].starts_with("obj-y") {
        return None;
    }
    let objects: Vec<&str> = lines[at].split_whitespace().filter(is_object).collect();
    let (first, last) = (objects.first()?, objects.last()?);
    if objects.len() < 2 {
        return None;
    }
    let begin = lines[at].find(first)?;
    let end = lines[at].rfind(last)? + last.len();
    let reversed: Vec<&str> = objects.iter().rev().copied().collect();
    let line = format!("{}{}{}", &lines[at][..begin], reversed.join(" "), &lines[at][end..]);
    Some(lines.iter().enumerate().map(|(index, old)| if index == at { &line } else { *old }).collect())
}

/// The file with some of its static functions called otherwise; nothing if none can be.
pub(crate) fn rename_functions(before: &str) -> Option<String> {
    let names: BTreeSet<&str> = before.lines().filter_map(|line| static_function(before, line)).collect();
    let chosen: Vec<&str> = names.into_iter().take(RENAMED).collect();
    if chosen.is_empty() {
        return None;
    }
    let mut after = String::with_capacity(before.len() + 256);
    let mut rest = before;
    while let Some(start) = rest.find(is_start) {
        let (other, word) = rest.split_at(start);
        after.push_str(other);
        let end = word.find(|c: char| !is_part(c)).unwrap_or(word.len());
        let (word, behind) = word.split_at(end);
        after.push_str(word);
        if chosen.contains(&word) {
            after.push_str("_null");
        }
        rest = behind;
    }
    after.push_str(rest);
    Some(after)
}

fn is_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c.is_ascii_digit()
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The name of the static function whose definition begins on this line, if it can have another: it is called in this file,
/// by its own name alone, and no member of a struct is called so.
fn static_function<'a>(file: &str, line: &'a str) -> Option<&'a str> {
    let declared = line.strip_prefix("static ")?;
    if declared.contains("inline") || line.trim_end().ends_with(';') {
        return None;
    }
    let (before, _) = declared.split_once('(')?;
    let name = before.rsplit(|c: char| !is_part(c)).next().filter(|name| name.len() > 4)?;
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.starts_with('_')
        && before.trim_end().contains(' ');
    let calls = file.match_indices(name).filter(|(at, _)| {
        let (front, behind) = (&file[..*at], &file[at + name.len()..]);
        !front.ends_with(is_part) && !behind.starts_with(is_part)
    });
    let mut count = 0;
    for (at, _) in calls {
        let front = &file[..at];
        // A member of the name, a kfunc that is listed by it, a macro that makes other names of it.
        if front.ends_with(['.', '#']) || front.ends_with("->") || front.ends_with("func, ") {
            return None;
        }
        count += 1;
    }
    (plain && count > 1).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_gets_room_at_its_end_where_it_can() {
        let text = "struct a {\n\tint x;\n} __aligned(8);\n\nstruct b {\n\tint n;\n\tint list[];\n};\n";
        let padded = "struct a {\n\tint x;\n\tunsigned long assay_padding[2];\n} __aligned(8);\n";
        assert!(pad_struct(text, "a").unwrap().starts_with(padded));
        assert_eq!(pad_struct(text, "b"), None);
        assert_eq!(pad_struct(text, "c"), None);
    }

    #[test]
    fn objects_are_reversed_on_their_line_alone() {
        let makefile = "# tcp.o\nobj-y     := route.o \\\n\t     tcp.o tcp_input.o tcp_output.o \\\n\t     raw.o\nobj-$(X) += x.o y.o\n";
        let reversed = "# tcp.o\nobj-y     := route.o \\\n\t     tcp_output.o tcp_input.o tcp.o \\\n\t     raw.o\nobj-$(X) += x.o y.o\n";
        assert_eq!(reverse_objects(makefile, "tcp_input.o").unwrap(), reversed);
        for (object, why) in
            [("x.o", "it is not always linked"), ("raw.o", "it is alone"), ("z.o", "it is not there")]
        {
            assert_eq!(reverse_objects(makefile, object), None, "{why}");
        }
    }

    #[test]
    fn functions_get_other_names_wherever_they_are_meant() {
        let file = "static int tcp_does(int x)\n{\n\treturn 0;\n}\n\nint f(void) { return tcp_does(1) + tcp_does_more; }\n";
        let renamed = "static int tcp_does_null(int x)\n{\n\treturn 0;\n}\n\nint f(void) { return tcp_does_null(1) + tcp_does_more; }\n";
        assert_eq!(rename_functions(file).unwrap(), renamed);
    }

    #[test]
    fn a_name_that_means_something_else_as_well_is_left() {
        for file in [
            "static void release(int x)\n{\n}\nint f(void) { ops->release(1); release(2); }\n",
            "static void show_it(int x)\n{\n}\nATTRIBUTE(show)\n",
            "static inline void quick(int x)\n{\n}\nint f(void) { quick(1); }\n",
            "static DEFINE_PER_CPU(int, counter)\n DEFINE_PER_CPU(x)\n",
            "static int declared(int x);\n",
            "static int kernel_function(void)\n{\n}\nBTF_ID(func, kernel_function)\n",
            "static const struct ops tcp_ops = {\n\t.f = call(tcp_ops),\n};\n",
        ] {
            assert_eq!(rename_functions(file), None, "{file}");
        }
    }
}
