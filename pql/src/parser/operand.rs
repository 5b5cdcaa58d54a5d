//! Columns, and aggregates with their filters and windows.

use relational::{Function, TimeUnit};

use super::Parser;
use crate::error::Fault;
use crate::lexer::Token;
use crate::resolve::nearest;
use crate::syntax::{Aggregate, Column, Name, Operand, Window};

const FUNCTIONS: [(&str, Function); 9] = [
    ("SUM", Function::Sum),
    ("AVG", Function::Avg),
    ("MIN", Function::Min),
    ("MAX", Function::Max),
    ("COUNT", Function::Count),
    ("COUNT_DISTINCT", Function::CountDistinct),
    ("FIRST", Function::First),
    ("LAST", Function::Last),
    ("LIST_DISTINCT", Function::ListDistinct),
];

const UNITS: [(&str, TimeUnit); 6] = [
    ("seconds", TimeUnit::Seconds),
    ("minutes", TimeUnit::Minutes),
    ("hours", TimeUnit::Hours),
    ("days", TimeUnit::Days),
    ("weeks", TimeUnit::Weeks),
    ("months", TimeUnit::Months),
];

/// How a function is written.
pub(crate) fn function_name(function: Function) -> &'static str {
    FUNCTIONS.into_iter().find(|(_, listed)| *listed == function).expect("every function is listed").0
}

/// How a unit is written.
///
/// # Panics
///
/// Never: every unit is listed.
#[must_use]
pub fn unit_name(unit: TimeUnit) -> &'static str {
    UNITS.into_iter().find(|(_, listed)| *listed == unit).expect("every unit is listed").0
}

impl Parser {
    pub(super) fn operand(&mut self) -> Result<Operand, Fault> {
        if matches!(self.token(), Token::Word(_)) && self.ahead(1) == &Token::Symbol("(") {
            return self.aggregate().map(Operand::Aggregate);
        }
        let reserved = ["FOR", "WHERE", "ASSUMING", "AND", "OR", "NOT"].iter().any(|keyword| self.at_keyword(keyword));
        if reserved || !matches!(self.token(), Token::Word(_) | Token::Quoted(_)) {
            return Err(self.expected("a column or an aggregate"));
        }
        if FUNCTIONS.iter().any(|(name, _)| self.at_keyword(name)) {
            self.advance();
            return Err(self.expected("`(`"));
        }
        self.column().map(Operand::Column)
    }

    /// `table.column` or `table.*`.
    pub(super) fn column(&mut self) -> Result<Column, Fault> {
        let table = self.name("a table")?;
        if !self.eat_symbol(".") {
            return Err(self
                .expected("`.`")
                .hint(format!("a column is written with its table: {}.column", table.text)));
        }
        let span = self.span();
        let column = if self.eat_symbol("*") { None } else { Some(self.name("a column or `*`")?) };
        let span = table.span.to(span);
        if let (true, Some(column)) = (self.at_symbol("."), &column) {
            let fault = Fault::new(span.to(self.span()), "a column has two parts, table and column");
            return Err(fault.hint(format!("a name with a dot is back-quoted: `{}.{}`", table.text, column.text)));
        }
        Ok(Column { table, column, span })
    }

    fn name(&mut self, what: &str) -> Result<Name, Fault> {
        let (Token::Word(text) | Token::Quoted(text)) = self.token() else {
            return Err(self.expected(what));
        };
        let name = Name { text: text.clone(), span: self.span() };
        self.advance();
        Ok(name)
    }

    fn aggregate(&mut self) -> Result<Aggregate, Fault> {
        let start = self.span();
        let name = self.name("an aggregate")?;
        let found = FUNCTIONS.into_iter().find(|(listed, _)| listed.eq_ignore_ascii_case(&name.text));
        let Some((_, function)) = found else {
            let fault = Fault::new(start, format!("unknown aggregate `{}`", name.text));
            let near = nearest(&name.text.to_ascii_uppercase(), FUNCTIONS.iter().map(|(listed, _)| *listed));
            return Err(match near {
                Some(near) => fault.hint(format!("did you mean {near}?")),
                None => fault.hint(format!("there are {}", FUNCTIONS.map(|(listed, _)| listed).join(", "))),
            });
        };
        self.expect_symbol("(")?;
        let column = self.column()?;
        let filter = if self.eat("WHERE") { Some(Box::new(self.condition()?)) } else { None };
        let window = if self.eat_symbol(",") { Some(self.window()?) } else { None };
        if !self.eat_symbol(")") {
            let what = if window.is_some() { "`)`" } else { "`,` and a window, or `)`" };
            return Err(self.expected(what));
        }
        Ok(Aggregate { function, column, filter, window, span: start.to(self.before()) })
    }

    fn window(&mut self) -> Result<Window, Fault> {
        let first = self.span();
        let start = if self.token() == &Token::NegativeInfinity {
            self.advance();
            None
        } else {
            Some(self.whole("the window's start, a whole number or -INF")?)
        };
        self.expect_symbol(",").map_err(|fault| fault.hint("a window has a start and an end: 0, 30, days"))?;
        let end = self.whole("the window's end, a whole number")?;
        let unit = if self.eat_symbol(",") { self.unit()? } else { TimeUnit::Days };
        Ok(Window { start, end, unit, span: first.to(self.before()) })
    }

    fn whole(&mut self, what: &str) -> Result<i64, Fault> {
        let number = match self.token() {
            Token::Number(digits) => digits.parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            let fault = self.expected(what);
            let fraction = matches!(self.token(), Token::Number(digits) if digits.contains('.'));
            return Err(if fraction { fault.hint("use a smaller unit") } else { fault });
        };
        self.advance();
        Ok(number)
    }

    /// A unit, singular or plural.
    fn unit(&mut self) -> Result<TimeUnit, Fault> {
        let names = UNITS.map(|(name, _)| name);
        let Token::Word(word) = self.token() else {
            return Err(self.expected("a unit").hint(format!("there are {}", names.join(", "))));
        };
        let word = word.to_ascii_lowercase();
        let found = UNITS.into_iter().find(|(name, _)| *name == word || name[..name.len() - 1] == word);
        let Some((_, unit)) = found else {
            let fault = Fault::new(self.span(), format!("unknown unit `{word}`"));
            return Err(match nearest(&word, names) {
                Some(near) => fault.hint(format!("did you mean {near}?")),
                None => fault.hint(format!("there are {}", names.join(", "))),
            });
        };
        self.advance();
        Ok(unit)
    }
}
