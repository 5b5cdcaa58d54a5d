//! The dimensions of the network, and the regime that it is trained by.

use super::Error;

/// Every dimension of the network. The default is what ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Columns that the network sees, the best of the context by screening.
    pub columns: usize,
    /// Numbers per cell.
    pub cell: usize,
    /// Points through which the cells of a column see the context.
    pub inducing: usize,
    /// Heads of the attention of a row's cells to each other.
    pub cell_heads: usize,
    /// Tokens that read a row's cells out.
    pub read_outs: usize,
    /// Numbers per row.
    pub row: usize,
    /// Heads of the attention of rows to the context.
    pub row_heads: usize,
    /// Blocks in which rows look at the context.
    pub blocks: usize,
    /// Context rows that the network sees, the newest. Its anchor is fitted on all.
    pub context: usize,
}

/// The regime of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The greatest learning rate.
    pub rate: f64,
    /// Steps over which the rate rises to it.
    pub warm_up: u64,
    /// Steps after which the rate has fallen, along a cosine, to a fiftieth of the greatest, where it stays.
    pub steps: u64,
    /// A longer gradient is cut to this length.
    pub clip: f64,
    /// The share of the old in the moving average of the weights, the weights that ship.
    pub average: f64,
    /// Weight decay of matrices, per unit of the learning rate.
    pub decay: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            columns: 24,
            cell: 32,
            inducing: 8,
            cell_heads: 2,
            read_outs: 3,
            row: 96,
            row_heads: 4,
            blocks: 3,
            context: 1_000,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { rate: 2e-3, warm_up: 100, steps: 20_000, clip: 1.0, average: 0.998, decay: 0.01 }
    }
}

impl Schedule {
    /// The learning rate of a step, counted from 0.
    pub(super) fn rate_at(&self, step: u64) -> f64 {
        let (step, warm_up, steps) = (number(step), number(self.warm_up), number(self.steps));
        let warmth = ((step + 1.0) / warm_up.max(1.0)).min(1.0);
        let progress = (step / steps.max(1.0)).min(1.0);
        let fall = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        self.rate * warmth * (0.02 + 0.98 * fall)
    }

    /// The share of the old weights in the average after a step: at first little, for they are random.
    pub(super) fn average_at(&self, step: u64) -> f64 {
        let step = number(step);
        self.average.min((step + 1.0) / (step + 10.0))
    }
}

#[expect(clippy::cast_precision_loss, reason = "steps stay far below 2^52")]
fn number(steps: u64) -> f64 {
    steps as f64
}

impl Config {
    const NAMES: [&str; 9] =
        ["columns", "cell", "inducing", "cell_heads", "read_outs", "row", "row_heads", "blocks", "context"];

    fn values(&self) -> [usize; 9] {
        [
            self.columns,
            self.cell,
            self.inducing,
            self.cell_heads,
            self.read_outs,
            self.row,
            self.row_heads,
            self.blocks,
            self.context,
        ]
    }

    /// As `name=value` parted by spaces, the form in the metadata of a weights file.
    pub(super) fn to_text(self) -> String {
        let parts = Self::NAMES.iter().zip(self.values()).map(|(name, value)| format!("{name}={value}"));
        parts.collect::<Vec<String>>().join(" ")
    }

    /// Reads what [`Config::to_text`] wrote.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut values = [0; 9];
        for (name, value) in Self::NAMES.iter().zip(&mut values) {
            let found = text.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            let found = found.ok_or_else(|| Error::format(format!("the config `{text}` lacks `{name}`")))?;
            *value = found.parse().map_err(|_| Error::format(format!("`{name}={found}` is not a whole number")))?;
        }
        let [columns, cell, inducing, cell_heads, read_outs, row, row_heads, blocks, context] = values;
        let config = Self { columns, cell, inducing, cell_heads, read_outs, row, row_heads, blocks, context };
        config.check()?;
        Ok(config)
    }

    /// Checks that a network of these dimensions can be built.
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some((name, _)) = Self::NAMES.iter().zip(self.values()).find(|(_, value)| !(1..=100_000).contains(value))
        {
            return Err(Error::format(format!("`{name}` must be between 1 and 100000")));
        }
        for (width, heads) in [(self.cell, self.cell_heads), (self.row, self.row_heads)] {
            if width % heads != 0 {
                return Err(Error::format(format!("{width} numbers cannot be shared by {heads} heads")));
            }
        }
        Ok(())
    }
}

impl Schedule {
    const NAMES: [&str; 6] = ["rate", "warm_up", "steps", "clip", "average", "decay"];

    /// As `name=value` parted by spaces. Numbers are written in the shortest form that reads back the same.
    pub(super) fn to_text(self) -> String {
        let Self { rate, warm_up, steps, clip, average, decay } = self;
        format!("rate={rate:e} warm_up={warm_up} steps={steps} clip={clip:e} average={average:e} decay={decay:e}")
    }

    /// Reads what [`Schedule::to_text`] wrote.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut found = [""; 6];
        for (name, value) in Self::NAMES.iter().zip(&mut found) {
            let part = text.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            *value = part.ok_or_else(|| Error::format(format!("the schedule `{text}` lacks `{name}`")))?;
        }
        let real = |place: usize| {
            let (name, value) = (Self::NAMES[place], found[place]);
            value.parse::<f64>().map_err(|_| Error::format(format!("`{name}={value}` is not a number")))
        };
        let whole = |place: usize| {
            let (name, value) = (Self::NAMES[place], found[place]);
            value.parse::<u64>().map_err(|_| Error::format(format!("`{name}={value}` is not a whole number")))
        };
        let (warm_up, steps) = (whole(1)?, whole(2)?);
        Ok(Self { rate: real(0)?, warm_up, steps, clip: real(3)?, average: real(4)?, decay: real(5)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_reads_back() {
        let config = Config { columns: 24, blocks: 2, ..Config::default() };
        assert_eq!(Config::parse(&config.to_text()).unwrap(), config);
    }

    #[test]
    fn a_schedule_reads_back() {
        let schedule = Schedule { rate: 1.0 / 3.0, ..Schedule::default() };
        assert_eq!(Schedule::parse(&schedule.to_text()).unwrap(), schedule);
    }

    #[test]
    fn a_config_that_cannot_be_built_says_why() {
        let text = Config { row: 97, ..Config::default() }.to_text();
        assert_eq!(Config::parse(&text).unwrap_err().to_string(), "97 numbers cannot be shared by 4 heads");
        assert_eq!(Config::parse("columns=1").unwrap_err().to_string(), "the config `columns=1` lacks `cell`");
    }

    #[test]
    fn the_rate_rises_then_falls() {
        let schedule = Schedule { rate: 1.0, warm_up: 10, steps: 1_000, ..Schedule::default() };
        assert!(schedule.rate_at(0) < 0.11 && schedule.rate_at(10) > 0.99);
        assert!((schedule.rate_at(1_000) - 0.02).abs() < 1e-12 && (schedule.rate_at(5_000) - 0.02).abs() < 1e-12);
    }
}
