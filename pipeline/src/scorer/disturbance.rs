//! What a stress test does to what the members read: contexts and questions alike.

use graph_store::{DroppedLinks, Snapshot, encode_key};
use predictor::learn::{CodedRows, Past};
use predictor::neighbourhood::Neighbourhood;
use relational::{AsOf, EventTime, Key, Value};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::{Reading, Scorer};

/// How what is read is disturbed. Labels are what they are: only how late they are known may change.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Disturbance {
    /// Decides every draw.
    pub seed: u64,
    /// The share of values that are missing, from 0 to 1.
    pub missing: f64,
    /// Columns of noise for each real one.
    pub noise: f64,
    /// The share of foreign keys that are hidden, from 0 to 1.
    pub links: f64,
    /// How much later the labels of contexts are known, in microseconds.
    pub delay: i64,
}

/// What a draw is for, so that no two hang together.
#[derive(Clone, Copy)]
enum Purpose {
    Feature,
    Label,
    Atom,
    Cell,
    Number,
    Category,
    Time,
    Noise,
}

/// The draws of one entity at one time.
struct Lot {
    seed: u64,
    missing: f64,
}

impl Lot {
    fn new(disturbance: &Disturbance, entity: &Key, at: EventTime) -> Self {
        let mut hasher = Xxh3::with_seed(disturbance.seed);
        hasher.update(&at.0.to_le_bytes());
        hasher.update(&encode_key(entity));
        Self { seed: hasher.digest(), missing: disturbance.missing }
    }

    /// Even in [0, 1).
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn draw(&self, purpose: Purpose, places: [usize; 2]) -> f64 {
        let places = places.map(|place| (place as u64).to_le_bytes()).concat();
        let hash = xxh3_64_with_seed(&[&[purpose as u8], &places[..]].concat(), self.seed);
        (hash >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn misses(&self, purpose: Purpose, places: [usize; 2]) -> bool {
        self.missing > 0.0 && self.draw(purpose, places) < self.missing
    }

    /// From the normal distribution (G. E. P. Box and M. E. Muller, 1958).
    fn noise(&self, place: usize, row: usize) -> f32 {
        let radius = (-2.0 * (1.0 - self.draw(Purpose::Noise, [2 * place, row])).ln()).sqrt();
        let angle = std::f64::consts::TAU * self.draw(Purpose::Noise, [2 * place + 1, row]);
        #[expect(clippy::cast_possible_truncation, reason = "learners read single precision")]
        let noise = (radius * angle.cos()) as f32;
        noise
    }
}

/// How many columns of noise go with so many real ones.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "there are hundreds of columns"
)]
fn noisy(share: f64, columns: usize) -> usize {
    (share * columns as f64).round() as usize
}

impl Disturbance {
    /// Whether the edges that are read are others: then nothing that was read otherwise can be shared.
    #[must_use]
    pub fn drops_links(&self) -> bool {
        self.links > 0.0
    }

    /// How many columns features have after they were disturbed.
    pub(super) fn columns(&self, columns: usize) -> usize {
        columns + noisy(self.noise, columns)
    }

    pub(super) fn features(&self, entity: &Key, at: EventTime, features: &mut Vec<f32>, past: &mut Past) {
        let lot = Lot::new(self, entity, at);
        for (place, value) in features.iter_mut().enumerate() {
            if lot.misses(Purpose::Feature, [place, 0]) {
                *value = f32::NAN;
            }
        }
        features.extend((0..noisy(self.noise, features.len())).map(|place| lot.noise(place, 0)));
        for (purpose, numbers) in [(Purpose::Label, &mut past.labels), (Purpose::Atom, &mut past.atoms)] {
            let mut place = 0..;
            numbers.retain(|_| place.next().is_none_or(|place| !lot.misses(purpose, [place, 0])));
        }
        for (table, rows) in past.rows.iter_mut().enumerate() {
            for (place, cell) in rows.cells.iter_mut().enumerate() {
                if lot.misses(Purpose::Cell, [table, place]) {
                    *cell = CodedRows::MISSING;
                }
            }
        }
    }

    pub(super) fn neighbourhood(&self, entity: &Key, at: EventTime, of: &mut Neighbourhood) {
        let lot = Lot::new(self, entity, at);
        for (table, rows) in of.sample.tables.iter_mut().enumerate() {
            let real = rows.numbers.len() + rows.categories.len() + rows.times.len();
            // Columns of all tables are counted through, some thousands for each.
            let place = |column: usize| (table << 16) | column;
            for (column, values) in rows.numbers.iter_mut().enumerate() {
                let missing = |row: &usize| lot.misses(Purpose::Number, [place(column), *row]);
                (0..values.len()).filter(missing).for_each(|row| values[row] = f32::NAN);
            }
            for (column, values) in rows.categories.iter_mut().enumerate() {
                let missing = |row: &usize| lot.misses(Purpose::Category, [place(column), *row]);
                (0..values.len()).filter(missing).for_each(|row| values[row] = Value::Null);
            }
            for (column, values) in rows.times.iter_mut().enumerate() {
                let missing = |row: &usize| lot.misses(Purpose::Time, [place(column), *row]);
                (0..values.len()).filter(missing).for_each(|row| values[row] = None);
            }
            let noise = (0..noisy(self.noise, real))
                .map(|column| (0..rows.count).map(|row| lot.noise(place(column), row)).collect::<Vec<f32>>());
            rows.numbers.extend(noise.collect::<Vec<_>>());
        }
    }
}

impl Scorer {
    /// The same scorer, whose reading is disturbed.
    #[must_use]
    pub fn disturbed(self, disturbance: Disturbance) -> Self {
        Self { disturbance: Some(disturbance), ..self }
    }

    /// What may be read within these bounds.
    pub(super) fn snapshot(&self, as_of: AsOf) -> Snapshot {
        let snapshot = self.store.as_of(as_of);
        match self.disturbance.filter(Disturbance::drops_links) {
            Some(Disturbance { seed, links: share, .. }) => snapshot.without_links(DroppedLinks { seed, share }),
            None => snapshot,
        }
    }

    pub(super) fn disturb(&self, entity: &Key, at: EventTime, mut reading: Reading) -> Reading {
        if let Some(disturbance) = &self.disturbance {
            disturbance.features(entity, at, &mut reading.features, &mut reading.past);
        }
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disturbance: Disturbance, customer: i64) -> (Vec<f32>, Past) {
        let mut features: Vec<f32> = (0..400_u16).map(f32::from).collect();
        let mut past = Past { labels: vec![1.0; 200], atoms: vec![2.0; 200], rows: Vec::new() };
        disturbance.features(&Key::single(Value::Int(customer)), EventTime(5), &mut features, &mut past);
        (features, past)
    }

    #[test]
    fn nothing_changes_nothing() {
        let (features, past) = read(Disturbance { seed: 9, ..Disturbance::default() }, 1);
        assert_eq!(features, (0..400_u16).map(f32::from).collect::<Vec<_>>());
        assert_eq!((past.labels.len(), past.atoms.len()), (200, 200));
    }

    #[test]
    fn as_many_values_are_missing_as_are_asked_for_and_the_same_each_time() {
        let disturbance = Disturbance { seed: 9, missing: 0.5, ..Disturbance::default() };
        let missing = |customer| read(disturbance, customer).0.iter().map(|value| value.is_nan()).collect::<Vec<_>>();
        let count = missing(1).iter().filter(|missing| **missing).count();
        assert!((150..250).contains(&count), "{count}");
        let past = read(disturbance, 1).1;
        assert!((60..140).contains(&past.labels.len()) && (60..140).contains(&past.atoms.len()));
        assert_eq!(missing(1), missing(1));
        assert_ne!(missing(1), missing(2));
    }

    #[test]
    fn noise_stands_behind_the_features_and_is_normal() {
        let (features, _) = read(Disturbance { seed: 9, noise: 2.0, ..Disturbance::default() }, 1);
        assert_eq!((features.len(), features[399]), (1_200, 399.0));
        let noise = &features[400..];
        let mean = noise.iter().map(|value| f64::from(*value)).sum::<f64>() / 800.0;
        let square = noise.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / 800.0;
        assert!(mean.abs() < 0.15 && (square - 1.0).abs() < 0.2, "{mean} {square}");
    }
}
