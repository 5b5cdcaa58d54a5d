//! Words to a syntax tree, by recursive descent. Names are not looked up here.
//!
//! ```text
//! query     := PREDICT target problem? (FOR EACH | FOR) column [(= | IN) constant]
//!              [WHERE condition] [ASSUMING condition] [;]
//! problem   := FORECAST int TIMEFRAMES | (RANK | CLASSIFY) [TOP int]
//! target    := condition | aggregate | column
//! condition := or of and of [NOT] ( comparison | "(" condition ")" )
//! ```

mod operand;
mod relation;

use relational::{Problem as Asked, Relation, limits};

use crate::error::{Fault, Span};
use crate::lexer::{Lexeme, Token};
use crate::syntax::{Comparison, Condition, Constant, Operand, Problem, Query};

pub(crate) use operand::function_name;
pub use operand::unit_name;
pub(crate) use relation::relation_name;

/// Reads one query. The words end with [`Token::End`].
pub(crate) fn parse(lexemes: Vec<Lexeme>) -> Result<Query, Fault> {
    Parser { lexemes, at: 0, depth: 0 }.query()
}

struct Parser {
    lexemes: Vec<Lexeme>,
    at: usize,
    /// How many conditions are open around this place.
    depth: usize,
}

impl Parser {
    fn query(&mut self) -> Result<Query, Fault> {
        if !self.eat("PREDICT") {
            return Err(self.expected("PREDICT").hint("a query begins: PREDICT target FOR EACH table.key"));
        }
        let target = self.condition()?;
        let problem = self.problem()?;
        if self.at_keyword("WHERE") {
            let fault = self.expected("FOR EACH");
            return Err(fault.hint("WHERE stands inside the aggregate it filters, or after the entity"));
        }
        self.expect("FOR")?;
        self.eat("EACH");
        let entity = self.column()?;
        let only =
            if self.eat_symbol("=") || self.eat_symbol("==") || self.eat("IN") { Some(self.constant()?) } else { None };
        let population = if self.eat("WHERE") { Some(self.condition()?) } else { None };
        let assuming = if self.eat("ASSUMING") { Some(self.condition()?) } else { None };
        self.eat_symbol(";");
        if self.token() != &Token::End {
            return Err(self.trailing(&population, &assuming));
        }
        Ok(Query { target, problem, entity, only, population, assuming })
    }

    fn trailing(&self, population: &Option<Condition>, assuming: &Option<Condition>) -> Fault {
        let fault = self.expected("the end of the query");
        match (population, assuming) {
            (_, Some(_)) if self.at_keyword("WHERE") => fault.hint("WHERE stands before ASSUMING"),
            (Some(_), _) if self.at_keyword("WHERE") => fault.hint("join conditions with AND"),
            _ => fault,
        }
    }

    fn problem(&mut self) -> Result<Option<Problem>, Fault> {
        let start = self.span();
        let asked = if self.eat("FORECAST") {
            let steps = self.count("how many timeframes")?;
            if !self.eat("TIMEFRAME") {
                self.expect("TIMEFRAMES")?;
            }
            Asked::Forecast { steps }
        } else if self.eat("RANK") {
            Asked::Rank { top: self.top()? }
        } else if self.eat("CLASSIFY") {
            Asked::Classify { top: self.top()? }
        } else {
            return Ok(None);
        };
        Ok(Some(Problem { asked, span: start.to(self.before()) }))
    }

    fn top(&mut self) -> Result<Option<u32>, Fault> {
        if self.eat("TOP") { self.count("how many").map(Some) } else { Ok(None) }
    }

    /// A whole number from 1 on.
    fn count(&mut self, what: &str) -> Result<u32, Fault> {
        let count = match self.token() {
            Token::Number(digits) => digits.parse().ok().filter(|count| *count > 0),
            _ => None,
        };
        let Some(count) = count else {
            return Err(self.expected(&format!("{what}, a whole number from 1 on")));
        };
        self.advance();
        Ok(count)
    }

    fn condition(&mut self) -> Result<Condition, Fault> {
        self.nested(|parser| {
            parser.chain("OR", |parser| parser.chain("AND", Self::negation, Condition::And), Condition::Or)
        })
    }

    /// One part, or several with `keyword` between them.
    fn chain(
        &mut self,
        keyword: &str,
        part: impl Fn(&mut Self) -> Result<Condition, Fault>,
        join: impl Fn(Vec<Condition>) -> Condition,
    ) -> Result<Condition, Fault> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.eat(keyword) {
            parts.push(part(self)?);
        }
        Ok(if parts.len() > 1 { join(parts) } else { parts.remove(0) })
    }

    fn negation(&mut self) -> Result<Condition, Fault> {
        if self.eat("NOT") {
            return self.nested(|parser| Ok(Condition::Not(Box::new(parser.negation()?))));
        }
        if !self.eat_symbol("(") {
            let operand = self.operand()?;
            return self.comparison(operand);
        }
        let inner = self.condition()?;
        self.expect_symbol(")")?;
        match inner {
            Condition::Bare(operand) => self.comparison(operand),
            inner => Ok(inner),
        }
    }

    fn comparison(&mut self, operand: Operand) -> Result<Condition, Fault> {
        let start = self.span();
        let Some((relation, negated)) = self.relation()? else {
            return Ok(Condition::Bare(operand));
        };
        let relation_span = start.to(self.before());
        let constant = self.constant()?;
        if let (Constant::One(literal), Relation::In) = (&constant, relation) {
            return Err(Fault::new(literal.span, "IN takes a list").hint("a list stands in brackets: (1, 2)"));
        }
        Ok(Condition::Compare(Comparison { operand, relation, relation_span, negated, constant }))
    }

    /// Runs `read` one level deeper.
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Condition, Fault>) -> Result<Condition, Fault> {
        if self.depth == limits::QUERY_DEPTH_MAX {
            let message = format!("conditions are nested more than {} deep", limits::QUERY_DEPTH_MAX);
            return Err(Fault::new(self.span(), message));
        }
        self.depth += 1;
        let condition = read(self);
        self.depth -= 1;
        condition
    }
}

/// Moving over the words.
impl Parser {
    fn token(&self) -> &Token {
        self.ahead(0)
    }

    /// The word `count` places ahead; the end when there is none.
    fn ahead(&self, count: usize) -> &Token {
        let last = self.lexemes.len() - 1;
        &self.lexemes[(self.at + count).min(last)].token
    }

    fn span(&self) -> Span {
        self.lexemes[self.at].span
    }

    /// The place of the word just read.
    fn before(&self) -> Span {
        self.lexemes[self.at.saturating_sub(1)].span
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.lexemes.len() - 1);
    }

    /// Whether this word is the keyword, and not a table of that name (`count.x`).
    fn at_keyword(&self, keyword: &str) -> bool {
        matches!(self.token(), Token::Word(word) if word.eq_ignore_ascii_case(keyword))
            && self.ahead(1) != &Token::Symbol(".")
    }

    fn eat(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, keyword: &str) -> Result<(), Fault> {
        if self.eat(keyword) { Ok(()) } else { Err(self.expected(keyword)) }
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        matches!(self.token(), Token::Symbol(found) if *found == symbol)
    }

    fn eat_symbol(&mut self, symbol: &str) -> bool {
        let found = self.at_symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<(), Fault> {
        if self.eat_symbol(symbol) { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    fn expected(&self, what: &str) -> Fault {
        Fault::new(self.span(), format!("expected {what}, found {}", self.token().describe()))
    }
}
