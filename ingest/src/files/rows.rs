//! A table's records by their time: straight from the files where they stand in time order, else held in memory,
//! column by column, and sorted by an index.

use relational::EventTime;

use super::chunk::Chunk;
use super::table_reader::TableReader;
use crate::Error;

#[derive(Debug)]
pub(super) struct Rows {
    reader: TableReader,
    total: u64,
    /// The current chunk of records in file order; all chunks of records that are sorted.
    chunks: Vec<Chunk>,
    /// For sorted records: chunk and row of each.
    order: Option<Vec<(u32, u32)>>,
    /// The next record: its row in the current chunk, or its place in the order.
    at: usize,
}

impl Rows {
    /// Goes through the files once to count the records and to see how they are ordered; `survey` reads nothing but
    /// the time.
    pub(super) fn open(mut survey: TableReader, reader: TableReader) -> Result<Self, Error> {
        let (mut total, mut sorted, mut latest) = (0, true, EventTime::MIN);
        while let Some(chunk) = survey.next()? {
            total += chunk.rows as u64;
            for row in (0..chunk.rows).filter(|row| !chunk.refused.contains_key(row)) {
                sorted &= chunk.time(row) >= latest;
                latest = latest.max(chunk.time(row));
            }
        }
        let mut rows = Self { reader, total, chunks: Vec::new(), order: None, at: 0 };
        if !sorted {
            rows.sort()?;
        }
        Ok(rows)
    }

    fn sort(&mut self) -> Result<(), Error> {
        while let Some(chunk) = self.reader.next()? {
            self.chunks.push(chunk);
        }
        let mut order: Vec<(EventTime, u32, u32)> = Vec::new();
        for (index, chunk) in (0..).zip(&self.chunks) {
            order.extend((0..).zip(0..chunk.rows).map(|(row, place)| (chunk.time(place), index, row)));
        }
        order.sort_unstable();
        self.order = Some(order.into_iter().map(|(_, chunk, row)| (chunk, row)).collect());
        Ok(())
    }

    /// How many records there are.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Goes back to the first record.
    pub(super) fn rewind(&mut self) {
        self.at = 0;
        if self.order.is_none() {
            self.chunks.clear();
            self.reader.rewind();
        }
    }

    /// The next record; `None` after the last.
    pub(super) fn peek(&mut self) -> Result<Option<(&Chunk, usize)>, Error> {
        if let Some(order) = &self.order {
            let place = order.get(self.at);
            return Ok(place.map(|(chunk, row)| (&self.chunks[*chunk as usize], *row as usize)));
        }
        if self.chunks.last().is_none_or(|chunk| self.at >= chunk.rows) {
            self.chunks.clear();
            self.at = 0;
            self.chunks.extend(self.reader.next()?);
        }
        Ok(self.chunks.last().map(|chunk| (chunk, self.at)))
    }

    /// Goes on to the record after the one that [`Self::peek`] shows.
    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Passes over records without reading their values where that can be.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<(), Error> {
        if let Some(order) = &self.order {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            self.at = self.at.saturating_add(count).min(order.len());
            return Ok(());
        }
        while count > 0 {
            let Some((chunk, row)) = self.peek()? else { return Ok(()) };
            let here = count.min((chunk.rows - row) as u64);
            self.at += usize::try_from(here).unwrap_or(usize::MAX);
            count -= here;
        }
        Ok(())
    }
}
