//! What is computed of the columns of one table, by their types.

use relational::{ColumnId, DataType, ForeignKeyId, Schema, SemanticType, TableId};

use super::plan::{
    CountStat, Detail, Number, NumberSource, NumberStat, OwnStat, Rollup, Span, columns_joined, link_name,
};

pub(crate) fn count_stats(detail: Detail, positives: bool) -> Vec<CountStat> {
    let mut stats = match detail {
        Detail::Full => {
            let mut stats: Vec<CountStat> = Span::EVERY.map(CountStat::Rows).to_vec();
            stats.extend([CountStat::Since(1), CountStat::First, CountStat::Since(2), CountStat::Since(5)]);
            stats.push(CountStat::SinceOverGap);
            stats
        }
        Detail::Brief => vec![CountStat::Rows(Span::One), CountStat::Rows(Span::Twelve), CountStat::Since(1)],
        Detail::Untimed => vec![CountStat::Rows(Span::All)],
    };
    if positives && detail == Detail::Full {
        stats.push(CountStat::SincePositive);
    }
    stats
}

pub(crate) fn number_stats(detail: Detail, source: NumberSource) -> Vec<NumberStat> {
    use NumberStat::{Deviation, Last, Max, MeanIn, MeanOf, Min, SumIn};
    match (detail, source) {
        (Detail::Untimed, _) => vec![MeanIn(Span::All)],
        (_, NumberSource::Lag(_)) => vec![Last, MeanOf(10)],
        (Detail::Brief, _) => vec![Last, MeanOf(2), MeanOf(10), MeanOf(40), MeanIn(Span::Twelve)],
        (Detail::Full, _) => vec![
            Last,
            MeanOf(3),
            MeanOf(10),
            MeanIn(Span::Twelve),
            MeanIn(Span::All),
            Min,
            Max,
            Deviation,
            SumIn(Span::One),
            SumIn(Span::Three),
        ],
    }
}

pub(crate) fn own_stats(schema: &Schema, table: TableId, hidden: &[ColumnId]) -> Vec<(ColumnId, OwnStat)> {
    let mut stats = Vec::new();
    for (id, column) in schema.table(table).columns() {
        if hidden.contains(&id) || schema.table(table).key.contains(&id) {
            continue;
        }
        let of_column: &[OwnStat] = match (column.semantic, column.data_type) {
            (SemanticType::Ignore, _) => &[],
            (_, DataType::Bool) | (SemanticType::Number, _) => &[OwnStat::Value],
            (SemanticType::Time, _) => &[OwnStat::Age],
            (SemanticType::Text, _) | (_, DataType::List) => &[OwnStat::Length, OwnStat::Frequency],
            (SemanticType::Id, _) => &[OwnStat::Frequency],
            (SemanticType::Category, _) => {
                &[OwnStat::Frequency, OwnStat::Code, OwnStat::Is(0), OwnStat::Is(1), OwnStat::Is(2)]
            }
        };
        stats.extend(of_column.iter().map(|stat| (id, *stat)));
    }
    stats
}

pub(crate) fn own_numbers(schema: &Schema, table: TableId, hidden: &[ColumnId]) -> Vec<Number> {
    let time = schema.table(table).time;
    let visible = schema.table(table).columns().filter(|(id, _)| !hidden.contains(id) && Some(*id) != time);
    let number = |(id, column): (ColumnId, &relational::Column)| {
        let source = match (column.semantic, column.data_type) {
            (SemanticType::Ignore | SemanticType::Id, _) => return None,
            (_, DataType::Bool) | (SemanticType::Number, _) => NumberSource::Column(id),
            (SemanticType::Time, _) if time.is_some() => NumberSource::Lag(id),
            _ => return None,
        };
        Some(Number { name: column.name.clone(), source })
    };
    visible.filter_map(number).collect()
}

/// Category columns and names one by one, and each other foreign key as a whole.
pub(crate) fn categories(
    schema: &Schema,
    table: TableId,
    via: &[ForeignKeyId],
    hidden: &[ColumnId],
) -> Vec<Vec<ColumnId>> {
    let in_key = |id: ColumnId| {
        let in_link = schema.parents_of(table).any(|(_, link)| link.columns.contains(&id));
        in_link || schema.table(table).key.contains(&id)
    };
    let single = schema.table(table).columns().filter(|(id, column)| {
        let named = matches!(column.semantic, SemanticType::Category | SemanticType::Id);
        named && column.data_type != DataType::Bool && !in_key(*id) && !hidden.contains(id)
    });
    let mut sets: Vec<Vec<ColumnId>> = single.map(|(id, _)| vec![id]).collect();
    for (id, link) in schema.parents_of(table) {
        if !via.contains(&id) && !sets.contains(&link.columns) {
            sets.push(link.columns.clone());
        }
    }
    sets
}

pub(crate) fn rollups(schema: &Schema, table: TableId) -> Vec<Rollup> {
    let roll = |(id, link): (ForeignKeyId, &relational::ForeignKey)| {
        let columns: Vec<ColumnId> = own_numbers(schema, link.child, &[])
            .into_iter()
            .filter_map(|number| match number.source {
                NumberSource::Column(column) => Some(column),
                _ => None,
            })
            .collect();
        let quantities: Vec<ColumnId> = columns
            .iter()
            .copied()
            .filter(|column| schema.table(link.child).columns[usize::from(column.0)].data_type != DataType::Bool)
            .collect();
        let product = if let [a, b] = quantities[..] { Some((a, b)) } else { None };
        Rollup { foreign_key: id, columns, product, distinct: categories(schema, link.child, &[id], &[]) }
    };
    schema.children_of(table).map(roll).collect()
}

pub(crate) fn rolled_numbers(schema: &Schema, rollup: usize, rolled: &Rollup) -> Vec<Number> {
    let child = schema.foreign_key(rolled.foreign_key).child;
    let link = link_name(schema, &[rolled.foreign_key]);
    let column = |id: ColumnId| columns_joined(schema, child, &[id]);
    let mut names = vec![format!("{link}:count")];
    for id in &rolled.columns {
        names.extend([format!("{link}.{}:sum", column(*id)), format!("{link}.{}:mean", column(*id))]);
    }
    names.extend(rolled.product.map(|(a, b)| format!("{link}.{}*{}:sum", column(a), column(b))));
    names.extend(rolled.distinct.iter().map(|set| format!("{link}.{}:distinct", columns_joined(schema, child, set))));
    let number = |(value, name)| Number { name, source: NumberSource::Rolled { rollup, value } };
    names.into_iter().enumerate().map(number).collect()
}
