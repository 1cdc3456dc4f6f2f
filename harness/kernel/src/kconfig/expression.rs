//! Kconfig's expressions over options that are `n`, `m` or `y`.

use std::{fmt, iter::Peekable, str::Chars};

/// An expression as in `depends on PCI && (X86 || COMPILE_TEST)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    /// An option's name.
    Symbol(String),
    /// A quoted text.
    Constant(String),
    /// `$(...)`: asks the compiler or the environment, which is not repeated here.
    Macro(String),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    /// A comparison with its operator.
    Compare(Box<Expression>, String, Box<Expression>),
}

/// What an expression comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tristate {
    No,
    Module,
    Yes,
}

impl Expression {
    /// Reads an expression; nothing if it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let tokens = tokens(text)?;
        let mut rest = tokens.as_slice();
        let expression = or(&mut rest)?;
        rest.is_empty().then_some(expression)
    }

    /// What it comes to, where `value` gives the value of an option as in a `.config`; nothing if that hangs on a
    /// macro.
    pub(crate) fn evaluate(&self, value: &dyn Fn(&str) -> String) -> Option<Tristate> {
        match self {
            Self::Symbol(name) => Some(tristate(&operand(name, value))),
            Self::Constant(text) => Some(tristate(text)),
            Self::Macro(_) => None,
            Self::Not(inner) => inner.evaluate(value).map(|inner| match inner {
                Tristate::No => Tristate::Yes,
                Tristate::Module => Tristate::Module,
                Tristate::Yes => Tristate::No,
            }),
            Self::And(a, b) => match (a.evaluate(value), b.evaluate(value)) {
                (Some(Tristate::No), _) | (_, Some(Tristate::No)) => Some(Tristate::No),
                (a, b) => Some(a?.min(b?)),
            },
            Self::Or(a, b) => match (a.evaluate(value), b.evaluate(value)) {
                (Some(Tristate::Yes), _) | (_, Some(Tristate::Yes)) => Some(Tristate::Yes),
                (a, b) => Some(a?.max(b?)),
            },
            Self::Compare(a, operator, b) => {
                let (a, b) = (a.text(value)?, b.text(value)?);
                let order = match (number(&a), number(&b)) {
                    (Some(a), Some(b)) => a.cmp(&b),
                    _ => a.cmp(&b),
                };
                let holds = match operator.as_str() {
                    "=" => order.is_eq(),
                    "!=" => order.is_ne(),
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                };
                Some(if holds { Tristate::Yes } else { Tristate::No })
            }
        }
    }

    /// The parts that must all hold.
    pub(crate) fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::And(a, b) => [a.conjuncts(), b.conjuncts()].concat(),
            other => vec![other],
        }
    }

    /// Every option that it names.
    pub(crate) fn symbols(&self) -> Vec<&str> {
        match self {
            Self::Symbol(name) => vec![name],
            Self::Constant(_) | Self::Macro(_) => vec![],
            Self::Not(inner) => inner.symbols(),
            Self::And(a, b) | Self::Or(a, b) | Self::Compare(a, _, b) => [a.symbols(), b.symbols()].concat(),
        }
    }

    /// The text of a comparison's side.
    fn text(&self, value: &dyn Fn(&str) -> String) -> Option<String> {
        match self {
            Self::Symbol(name) => Some(operand(name, value)),
            Self::Constant(text) => Some(text.clone()),
            _ => None,
        }
    }
}

/// A word's value: `y`, `m`, `n` and numbers stand for themselves.
fn operand(word: &str, value: &dyn Fn(&str) -> String) -> String {
    if matches!(word, "y" | "m" | "n") || word.starts_with(|c: char| c.is_ascii_digit()) {
        word.to_owned()
    } else {
        value(word).trim_matches('"').to_owned()
    }
}

/// A number as Kconfig writes it, hexadecimal included.
pub(crate) fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn tristate(text: &str) -> Tristate {
    match text {
        "y" => Tristate::Yes,
        "m" => Tristate::Module,
        _ => Tristate::No,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Macro(String),
    Operator(&'static str),
}

const OPERATORS: &[&str] = &["||", "&&", "!=", "<=", ">=", "(", ")", "!", "=", "<", ">"];

fn tokens(text: &str) -> Option<Vec<Token>> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let mut chars = rest.chars().peekable();
        let token = if let Some(operator) = OPERATORS.iter().find(|operator| rest.starts_with(**operator)) {
            chars.nth(operator.len() - 1);
            Token::Operator(operator)
        } else if rest.starts_with(['"', '\'']) {
            Token::Quoted(quoted(&mut chars)?)
        } else if rest.starts_with("$(") {
            Token::Macro(macro_call(&mut chars)?)
        } else {
            let word: String =
                std::iter::from_fn(|| chars.next_if(|c| c.is_alphanumeric() || "_-./".contains(*c)))
                    .collect();
            if word.is_empty() {
                return None;
            }
            Token::Word(word)
        };
        tokens.push(token);
        let left: usize = chars.map(char::len_utf8).sum();
        rest = rest[rest.len() - left..].trim_start();
    }
    Some(tokens)
}

fn quoted(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let quote = chars.next()?;
    let mut text = String::new();
    loop {
        match chars.next()? {
            '\\' => text.push(chars.next()?),
            c if c == quote => return Some(text),
            c => text.push(c),
        }
    }
}

fn macro_call(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let (mut text, mut depth) = (String::new(), 0u32);
    loop {
        let c = chars.next()?;
        text.push(c);
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(text),
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
}

fn take(rest: &mut &[Token], operator: &str) -> bool {
    match rest.split_first() {
        Some((Token::Operator(found), tail)) if *found == operator => {
            *rest = tail;
            true
        }
        _ => false,
    }
}

fn or(rest: &mut &[Token]) -> Option<Expression> {
    let mut left = and(rest)?;
    while take(rest, "||") {
        left = Expression::Or(Box::new(left), Box::new(and(rest)?));
    }
    Some(left)
}

fn and(rest: &mut &[Token]) -> Option<Expression> {
    let mut left = term(rest)?;
    while take(rest, "&&") {
        left = Expression::And(Box::new(left), Box::new(term(rest)?));
    }
    Some(left)
}

fn term(rest: &mut &[Token]) -> Option<Expression> {
    if take(rest, "!") {
        return Some(Expression::Not(Box::new(term(rest)?)));
    }
    if take(rest, "(") {
        let inner = or(rest)?;
        return take(rest, ")").then_some(inner);
    }
    let left = atom(rest)?;
    for operator in ["=", "!=", "<=", ">=", "<", ">"] {
        if take(rest, operator) {
            return Some(Expression::Compare(Box::new(left), operator.to_owned(), Box::new(atom(rest)?)));
        }
    }
    Some(left)
}

fn atom(rest: &mut &[Token]) -> Option<Expression> {
    let (token, tail) = rest.split_first()?;
    *rest = tail;
    match token.clone() {
        Token::Word(word) => Some(Expression::Symbol(word)),
        Token::Quoted(text) if text.starts_with("$(") => Some(Expression::Macro(text)),
        Token::Quoted(text) => Some(Expression::Constant(text)),
        Token::Macro(text) => Some(Expression::Macro(text)),
        Token::Operator(_) => None,
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `&&` binds more tightly than `||`, and both group either way.
        let bracketed = |inner: &Self, f: &mut fmt::Formatter<'_>, needed: bool| match needed {
            true => write!(f, "({inner})"),
            false => write!(f, "{inner}"),
        };
        match self {
            Self::Symbol(text) | Self::Macro(text) => f.write_str(text),
            Self::Constant(text) => write!(f, "\"{text}\""),
            Self::Not(inner) => {
                f.write_str("!")?;
                bracketed(inner, f, matches!(**inner, Self::And(..) | Self::Or(..)))
            }
            Self::And(a, b) => {
                bracketed(a, f, matches!(**a, Self::Or(..)))?;
                f.write_str(" && ")?;
                bracketed(b, f, matches!(**b, Self::Or(..)))
            }
            Self::Or(a, b) => {
                bracketed(a, f, matches!(**a, Self::And(..)))?;
                f.write_str(" || ")?;
                bracketed(b, f, matches!(**b, Self::And(..)))
            }
            Self::Compare(a, operator, b) => write!(f, "{a} {operator} {b}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(text: &str) -> Option<Tristate> {
        let value = |name: &str| {
            match name {
                "YES" => "y",
                "MOD" => "m",
                "COUNT" => "64",
                "ARCH" => "\"x86\"",
                _ => "n",
            }
            .to_owned()
        };
        Expression::parse(text).unwrap_or_else(|| panic!("{text}")).evaluate(&value)
    }

    #[test]
    fn follows_kconfig() {
        use Tristate::{Module, No, Yes};
        for (text, expected) in [
            ("YES && !NO", Some(Yes)),
            ("YES && MOD", Some(Module)),
            ("NO || MOD", Some(Module)),
            ("!MOD", Some(Module)),
            ("!(YES || NO)", Some(No)),
            ("MOD!=y", Some(Yes)),
            ("YES=n || COUNT>=32", Some(Yes)),
            ("COUNT < 0x40", Some(No)),
            ("ARCH = \"x86\"", Some(Yes)),
            ("NO || YES && NO", Some(No)),
            ("y", Some(Yes)),
            // What the compiler can do is not known here, unless it does not matter.
            ("$(cc-option,-fx(y))", None),
            ("NO && $(success,true)", Some(No)),
            ("YES || $(success,true)", Some(Yes)),
        ] {
            assert_eq!(evaluate(text), expected, "{text}");
        }
    }

    #[test]
    fn prints_as_it_was_read() {
        for text in
            ["A && (B || !C)", "A || B || (C && D)", "A = \"x\"", "!(A && B)", "$(cc-option,-fx(y)) || A"]
        {
            assert_eq!(Expression::parse(text).unwrap().to_string(), text);
        }
        for text in ["A &&", "(A", "A B", "&& A", ""] {
            assert_eq!(Expression::parse(text), None, "{text}");
        }
    }
}
