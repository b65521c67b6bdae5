//! Random choices that a seed repeats.

use std::time::Duration;

/// SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    /// One that is over at once, or one that outlives the test.
    pub fn lease(&mut self) -> Duration {
        if self.below(3) == 0 {
            Duration::ZERO
        } else {
            Duration::from_hours(1)
        }
    }
}
