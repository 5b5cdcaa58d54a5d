//! What is wrong with a query, and where.

use thiserror::Error;

/// A stretch of a query's text, in bytes, end exclusive. Both ends are at character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// After the last byte.
    pub end: usize,
}

impl Span {
    /// From the beginning of this span to the end of `last`.
    pub(crate) fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end }
    }
}

/// Why a query was refused. Displays as [`QueryError::render`] does.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", self.render())]
pub struct QueryError {
    query: String,
    span: Span,
    message: String,
    hint: Option<String>,
}

impl QueryError {
    /// The query as written.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Where in the query.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// What is wrong, in one line without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message, the line of the query with carets under the place, and the hint, as plain text without a final
    /// newline. Columns count characters; tabs and control characters are shown as one space each, so that the carets
    /// stand right in every terminal. Of a very long line only the surroundings are shown.
    #[must_use]
    pub fn render(&self) -> String {
        let (line, number) = self.line();
        let shown: Vec<char> = self.query[line.start..line.end].chars().map(printable).collect();
        let from = self.query[line.start..self.span.start].chars().count();
        let upto = self.query[line.start..self.span.end.clamp(self.span.start, line.end)].chars().count();
        let clipped = Clip::around(from, shown.len());
        let text: String = shown[clipped.start..clipped.end].iter().collect();
        let carets = upto.min(clipped.end).saturating_sub(from).max(1);
        let gutter = if self.query.trim_end().contains('\n') { format!("  {number} | ") } else { "  ".to_owned() };
        let (before, after) = (clipped.mark_before(), clipped.mark_after(shown.len()));
        let indent = " ".repeat(gutter.len() + before.chars().count() + from - clipped.start);
        let mut lines = vec![
            self.message.clone(),
            format!("{gutter}{before}{}{after}", text.trim_end()),
            format!("{indent}{}", "^".repeat(carets)),
        ];
        lines.extend(self.hint.as_ref().map(|hint| format!("{}{hint}", " ".repeat(gutter.len()))));
        lines.join("\n")
    }

    /// The line in which the span begins, without its newline, and its number counted from 1.
    fn line(&self) -> (Span, usize) {
        let before = &self.query[..self.span.start];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.query[self.span.start..].find('\n').map_or(self.query.len(), |offset| self.span.start + offset);
        (Span { start, end }, before.matches('\n').count() + 1)
    }
}

/// The text without line breaks, and cut where nobody would read on: names in messages are as long as the query says.
fn one_line(text: &str) -> String {
    const CHARACTERS_MAX: usize = 400;
    let mut line: String = text.chars().take(CHARACTERS_MAX).map(printable).collect();
    if line.len() < text.len() {
        line.push_str("...");
    }
    line
}

fn printable(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

/// The part of a line that is shown, in characters.
struct Clip {
    start: usize,
    end: usize,
}

impl Clip {
    /// Characters of a line that are shown at most.
    const WIDTH: usize = 160;
    /// Characters shown before the place when the line is longer.
    const BEFORE: usize = 60;

    fn around(place: usize, length: usize) -> Self {
        if length <= Self::WIDTH {
            return Self { start: 0, end: length };
        }
        let start = place.saturating_sub(Self::BEFORE).min(length - Self::WIDTH);
        Self { start, end: start + Self::WIDTH }
    }

    fn mark_before(&self) -> &'static str {
        if self.start > 0 { "..." } else { "" }
    }

    fn mark_after(&self, length: usize) -> &'static str {
        if self.end < length { "..." } else { "" }
    }
}

/// A [`QueryError`] that does not know its query yet.
#[derive(Debug)]
pub(crate) struct Fault {
    span: Span,
    message: String,
    hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: one_line(&message.into()), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(one_line(&hint.into()));
        self
    }

    pub(crate) fn in_query(self, query: &str) -> QueryError {
        QueryError { query: query.to_owned(), span: self.span, message: self.message, hint: self.hint }
    }
}
