//! Text to words, each with its place.

use crate::error::{Fault, Span};

/// One word of the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A bare word: a keyword or a name, which only the parser can tell apart.
    Word(String),
    /// A back-quoted name, without its quotes.
    Quoted(String),
    /// A quoted text, without its quotes.
    Text(String),
    /// A number as written, sign included.
    Number(String),
    /// A bare day or instant as written.
    Moment(String),
    /// `-INF`.
    NegativeInfinity,
    /// Punctuation or an operator.
    Symbol(&'static str),
    /// After the last word.
    End,
}

/// A word and its place.
#[derive(Debug, Clone)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) span: Span,
}

/// Longer ones first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 16] = ["==", "!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",", ".", "*", ";"];

/// All words of the text; the last is [`Token::End`], which stands right after the last word.
pub(crate) fn lexemes(text: &str) -> Result<Vec<Lexeme>, Fault> {
    let mut lexemes = Vec::new();
    let mut at = 0;
    let mut end = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if first == '#' || rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (token, length) = lexeme(rest, first, at)?;
        at += length;
        end = at;
        lexemes.push(Lexeme { token, span: Span { start: at - length, end: at } });
    }
    lexemes.push(Lexeme { token: Token::End, span: Span { start: end, end } });
    Ok(lexemes)
}

/// The word that `rest` begins with, and its length in bytes. `at` is where `rest` begins.
fn lexeme(rest: &str, first: char, at: usize) -> Result<(Token, usize), Fault> {
    match first {
        '\'' | '"' => quoted(rest, first, at).map(|(text, length)| (Token::Text(text), length)),
        '`' => quoted(rest, first, at).map(|(name, length)| (Token::Quoted(name), length)),
        _ if is_word_start(first) => {
            let length = run(rest, is_word_part);
            Ok((Token::Word(rest[..length].to_owned()), length))
        }
        _ if first.is_ascii_digit() => Ok(moment(rest).unwrap_or_else(|| number(rest, 0))),
        '-' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => Ok(number(rest, 1)),
        '-' if is_infinity(&rest[1..]) => Ok((Token::NegativeInfinity, 4)),
        _ => symbol(rest, first, at),
    }
}

fn symbol(rest: &str, first: char, at: usize) -> Result<(Token, usize), Fault> {
    if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
        return Ok((Token::Symbol(symbol), symbol.len()));
    }
    let fault = Fault::new(
        Span { start: at, end: at + first.len_utf8() },
        format!("unexpected character `{}`", first.escape_debug()),
    );
    Err(match first {
        '&' => fault.hint("write AND"),
        '|' => fault.hint("write OR"),
        '!' => fault.hint("write != or NOT"),
        '-' => fault.hint("a minus stands right before the digits of a number"),
        _ => fault.hint("a name with special characters is back-quoted, a text is quoted"),
    })
}

fn is_word_start(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn is_word_part(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Bytes of the longest beginning of `text` that is made of such characters.
fn run(text: &str, part: impl Fn(char) -> bool) -> usize {
    text.find(|character: char| !part(character)).unwrap_or(text.len())
}

fn is_infinity(after_minus: &str) -> bool {
    run(after_minus, is_word_part) == 3 && after_minus[..3].eq_ignore_ascii_case("inf")
}

/// A text or name in quotes; the quote itself is written twice inside.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(String, usize), Fault> {
    let mut content = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((index, character)) = characters.next() {
        if character != quote {
            content.push(character);
        } else if characters.next_if(|(_, next)| *next == quote).is_some() {
            content.push(quote);
        } else {
            return Ok((content, index + 1));
        }
    }
    let fault = Fault::new(Span { start: at, end: at + 1 }, format!("the quote {quote} is never closed"));
    Err(fault.hint(format!("inside, {quote} is written twice: {quote}{quote}")))
}

/// Digits with an optional fraction and exponent, after `sign` bytes of sign.
fn number(rest: &str, sign: usize) -> (Token, usize) {
    let digits = |from: usize| run(&rest[from..], |character| character.is_ascii_digit());
    let mut length = sign + digits(sign);
    if rest[length..].starts_with('.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if rest[length..].starts_with(['e', 'E']) {
        let signed = usize::from(rest[length + 1..].starts_with(['+', '-']));
        let exponent = digits(length + 1 + signed);
        if exponent > 0 {
            length += 1 + signed + exponent;
        }
    }
    (Token::Number(rest[..length].to_owned()), length)
}

/// `2024-01-31`, or with a time `2024-01-31T12:00:00Z`. Whether the day exists is asked later.
fn moment(rest: &str) -> Option<(Token, usize)> {
    let shape = rest.bytes().take(10).enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if !shape || rest.len() < 10 {
        return None;
    }
    let mut length = 10;
    if rest[10..].starts_with(['T', 't']) {
        length += run(&rest[10..], |character| character.is_ascii_alphanumeric() || ":.+-".contains(character));
    }
    Some((Token::Moment(rest[..length].to_owned()), length))
}

impl Token {
    /// How the word is named in messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Word(word) | Self::Number(word) | Self::Moment(word) => format!("`{word}`"),
            Self::Quoted(name) => format!("the name `{name}`"),
            Self::Text(_) => "a text".to_owned(),
            Self::NegativeInfinity => "`-INF`".to_owned(),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end of the query".to_owned(),
        }
    }
}
