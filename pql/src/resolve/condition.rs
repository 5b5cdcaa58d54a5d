//! Conditions: every comparison gets a typed constant.

use relational::{Condition, Constant, DataType, Relation};

use super::constant::Comparand;
use super::{Place, Resolver, is_ordering};
use crate::error::Fault;
use crate::parser::relation_name;
use crate::syntax::{self, Comparison};

impl Resolver<'_> {
    pub(super) fn condition(&self, place: Place, condition: &syntax::Condition) -> Result<Condition, Fault> {
        let parts = |parts: &[syntax::Condition]| -> Result<Vec<Condition>, Fault> {
            parts.iter().map(|part| self.condition(place, part)).collect()
        };
        match condition {
            syntax::Condition::Bare(operand) => {
                // The names are checked first: a wrong name is the more useful message.
                self.operand(place, operand)?;
                Err(Fault::new(operand.span(), "a condition compares with a constant")
                    .hint("write for example `= TRUE`, `> 0` or `IS NOT NULL` behind it"))
            }
            syntax::Condition::Compare(comparison) => self.comparison(place, comparison),
            syntax::Condition::Not(inner) => Ok(Condition::Not(Box::new(self.condition(place, inner)?))),
            syntax::Condition::And(written) => parts(written).map(Condition::And),
            syntax::Condition::Or(written) => parts(written).map(Condition::Or),
        }
    }

    fn comparison(&self, place: Place, comparison: &Comparison) -> Result<Condition, Fault> {
        let (operand, comparand) = self.operand(place, &comparison.operand)?;
        check_relation(comparison, &comparand)?;
        let constant = constant(comparison, &comparand)?;
        let compare = Condition::Compare { operand, relation: comparison.relation, constant };
        Ok(if comparison.negated { Condition::Not(Box::new(compare)) } else { compare })
    }
}

/// Whether the relation makes sense for values of this type.
fn check_relation(comparison: &Comparison, comparand: &Comparand) -> Result<(), Fault> {
    let (relation, data_type) = (comparison.relation, comparand.data_type());
    let fits = match relation {
        Relation::Is | Relation::IsNot => true,
        Relation::Like | Relation::NotLike | Relation::StartsWith | Relation::EndsWith => data_type == DataType::Text,
        Relation::Contains | Relation::NotContains => matches!(data_type, DataType::Text | DataType::List),
        _ if is_ordering(relation) => !matches!(data_type, DataType::Bool | DataType::Bytes | DataType::List),
        _ => !matches!(data_type, DataType::Bytes | DataType::List),
    };
    if fits {
        return Ok(());
    }
    let name = relation_name(relation);
    let message = format!("`{name}` cannot compare {}, which is of type {}", comparand.name(), data_type.name());
    let fault = Fault::new(comparison.relation_span, message);
    Err(match data_type {
        DataType::List => fault.hint("a list is asked with CONTAINS or IS NULL"),
        DataType::Bytes => fault.hint("bytes are asked with IS NULL or IS NOT NULL"),
        _ => fault,
    })
}

fn constant(comparison: &Comparison, comparand: &Comparand) -> Result<Constant, Fault> {
    let relation = comparison.relation;
    match &comparison.constant {
        syntax::Constant::Many(literals, _) if relation == Relation::In => {
            let mut values = Vec::new();
            for literal in literals {
                values.push(comparand.value(literal)?);
                if matches!(literal.kind, syntax::LiteralKind::Null) {
                    return Err(Fault::new(literal.span, "nothing equals NULL")
                        .hint("leave it out of the list and ask with OR and IS NULL"));
                }
            }
            Ok(Constant::List(values))
        }
        syntax::Constant::Many(_, span) => {
            let fault = Fault::new(*span, format!("`{}` takes one constant, not a list", relation_name(relation)));
            Err(if relation == Relation::Equal { fault.hint("write IN") } else { fault })
        }
        syntax::Constant::One(literal) if matches!(relation, Relation::Is | Relation::IsNot) => {
            comparand.truth(literal).map(Constant::Value)
        }
        syntax::Constant::One(literal) if matches!(literal.kind, syntax::LiteralKind::Null) => {
            let fault = Fault::new(comparison.relation_span.to(literal.span), "a comparison with NULL is never true");
            Err(match relation {
                Relation::Equal => fault.hint("write IS NULL"),
                Relation::NotEqual => fault.hint("write IS NOT NULL"),
                _ => fault,
            })
        }
        syntax::Constant::One(literal) => comparand.value(literal).map(Constant::Value),
    }
}
