//! Relations and the constants on their right side.

use relational::Relation;

use super::Parser;
use crate::error::Fault;
use crate::lexer::Token;
use crate::syntax::{Constant, Literal, LiteralKind};

const SYMBOLS: [(&str, Relation); 8] = [
    ("=", Relation::Equal),
    ("==", Relation::Equal),
    ("!=", Relation::NotEqual),
    ("<>", Relation::NotEqual),
    ("<", Relation::Less),
    ("<=", Relation::LessOrEqual),
    (">", Relation::Greater),
    (">=", Relation::GreaterOrEqual),
];

/// How a relation is written.
pub(crate) fn relation_name(relation: Relation) -> &'static str {
    match relation {
        Relation::Is => "IS",
        Relation::IsNot => "IS NOT",
        Relation::In => "IN",
        Relation::Like => "LIKE",
        Relation::NotLike => "NOT LIKE",
        Relation::Contains => "CONTAINS",
        Relation::NotContains => "NOT CONTAINS",
        Relation::StartsWith => "STARTS WITH",
        Relation::EndsWith => "ENDS WITH",
        symbol => SYMBOLS.into_iter().find(|(_, listed)| *listed == symbol).expect("every symbol is listed").0,
    }
}

impl Parser {
    /// A relation, and whether its negation has to be written around it; `None` when no relation stands here.
    pub(super) fn relation(&mut self) -> Result<Option<(Relation, bool)>, Fault> {
        if let Some((symbol, relation)) = SYMBOLS.into_iter().find(|(symbol, _)| self.at_symbol(symbol)) {
            self.expect_symbol(symbol)?;
            return Ok(Some((relation, false)));
        }
        if self.eat("IS") {
            let negated = self.eat("NOT");
            let plain = if negated { Relation::IsNot } else { Relation::Is };
            return Ok(Some(if self.eat("IN") { (Relation::In, negated) } else { (plain, false) }));
        }
        let negated = self.eat("NOT");
        let relation = if self.eat("IN") {
            (Relation::In, negated)
        } else if self.eat("LIKE") {
            (if negated { Relation::NotLike } else { Relation::Like }, false)
        } else if self.eat("CONTAINS") {
            (if negated { Relation::NotContains } else { Relation::Contains }, false)
        } else if self.eat("STARTS") {
            self.expect("WITH")?;
            (Relation::StartsWith, negated)
        } else if self.eat("ENDS") {
            self.expect("WITH")?;
            (Relation::EndsWith, negated)
        } else if negated {
            return Err(self.expected("IN, LIKE, CONTAINS, STARTS WITH or ENDS WITH"));
        } else {
            return Ok(None);
        };
        Ok(Some(relation))
    }

    /// One literal, or several in round or square brackets.
    pub(super) fn constant(&mut self) -> Result<Constant, Fault> {
        let start = self.span();
        let close = if self.eat_symbol("(") {
            ")"
        } else if self.eat_symbol("[") {
            "]"
        } else {
            return self.literal().map(Constant::One);
        };
        let mut literals = vec![self.literal()?];
        while self.eat_symbol(",") {
            literals.push(self.literal()?);
        }
        self.expect_symbol(close)?;
        Ok(Constant::Many(literals, start.to(self.before())))
    }

    fn literal(&mut self) -> Result<Literal, Fault> {
        let kind = match self.token() {
            Token::Number(number) => LiteralKind::Number(number.clone()),
            Token::Text(text) => LiteralKind::Text(text.clone()),
            Token::Moment(moment) => LiteralKind::Moment(moment.clone()),
            _ if self.at_keyword("NULL") => LiteralKind::Null,
            _ if self.at_keyword("TRUE") => LiteralKind::Bool(true),
            _ if self.at_keyword("FALSE") => LiteralKind::Bool(false),
            _ => return Err(self.no_literal()),
        };
        let literal = Literal { kind, span: self.span() };
        self.advance();
        Ok(literal)
    }

    fn no_literal(&self) -> Fault {
        let fault = self.expected("a constant");
        match self.token() {
            Token::Word(_) | Token::Quoted(_) if matches!(self.ahead(1), Token::Symbol("." | "(")) => {
                fault.hint("columns and aggregates stand on the left; only a constant can stand on the right")
            }
            Token::Word(word) => fault.hint(format!("a text is quoted: '{word}'")),
            Token::Quoted(_) => fault.hint("back-quotes are for names; a text stands in ' or \""),
            _ => fault,
        }
    }
}
