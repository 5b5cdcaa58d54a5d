//! What happens when: numbers from a seed, and how often faults come.

use std::collections::BTreeMap;

/// Numbers from a seed, and an account of what they led to.
#[derive(Debug)]
pub(crate) struct Dice {
    state: u64,
    /// One in so many steps fails; never when it is 0.
    one_in: u64,
    /// What happened, a line a step.
    pub(crate) trace: String,
    /// How often each fault came.
    pub(crate) faults: BTreeMap<&'static str, u64>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self { state: seed, one_in: 0, trace: String::new(), faults: BTreeMap::new() };
        dice.one_in = [40, 80, 200, 500][dice.below(4)];
        dice
    }

    /// SplitMix64 by Sebastiano Vigna.
    pub(crate) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("64 bits");
        usize::try_from(self.number() % end).expect("below a usize")
    }

    /// Whether this fault comes now.
    pub(crate) fn fails(&mut self, fault: &'static str) -> bool {
        let comes = self.one_in > 0 && self.number().is_multiple_of(self.one_in);
        if comes {
            self.happens(fault);
        }
        comes
    }

    /// This fault comes.
    pub(crate) fn happens(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
        self.say(fault);
    }

    pub(crate) fn say(&mut self, what: &str) {
        self.trace.push_str(what);
        self.trace.push('\n');
    }

    /// From now on all goes well.
    pub(crate) fn calm(&mut self) {
        self.one_in = 0;
        self.say("calm");
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.one_in == 0
    }
}
