//! Weights that halve with age, kept as whole numbers.
//!
//! A sum `Σ 2^(−age/half-life)` changes with every moment. *Forward decay* (Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009)
//! keeps `Σ 2^(t/half-life)` instead, which changes only when an order comes, and divides when it is asked. Two things are
//! wrong with that as it stands: in floating point the sum depends on the order in which orders come, so that a rebuild would
//! not end equal; and after some years it overflows (a week's half-life: 20 years).
//!
//! So time is cut into *eras* of [`ERA`] half-lives. A weight is relative to the beginning of its era, from 1 to 2^16, and
//! rounded to whole quanta of 2^−14. Whole numbers add up the same in any order. A [`Decayed`] has the newest even era and
//! the newest odd one; what is older counts less than 2^−16 of a basket and is dropped, whenever it comes.
//!
//! Sums do not overflow: a thousand baskets a second with the same good, for ever, come to 2^63 quanta only with a half-life
//! of 60 days, and additions saturate there.

use time::OffsetDateTime;

/// Half-lives of an era.
const ERA: i64 = 16;
/// Quanta of a weight of 1 at the beginning of an era.
pub const QUANTA: f64 = 16_384.0;
/// Steps of [`exp2_fraction`]: beyond what a quantum shows.
const STEPS: u32 = 40;

/// How fast weights halve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HalfLife {
    /// 60 days: how long assortment and season hold.
    Season,
    /// 7 days: what sells just now.
    Week,
}

impl HalfLife {
    /// In days.
    pub fn days(self) -> f64 {
        match self {
            Self::Season => 60.0,
            Self::Week => 7.0,
        }
    }

    /// In microseconds.
    fn micros(self) -> i64 {
        let days = match self {
            Self::Season => 60,
            Self::Week => 7,
        };
        days * 86_400_000_000
    }

    /// What a basket of this age counts: 1 when it is new, or of the future.
    pub fn weight(self, age_days: f64) -> f64 {
        (-age_days.max(0.0) / self.days()).exp2()
    }

    /// Half-lives since 1970, by which the sums of all goods are divided.
    pub fn now(self, now: OffsetDateTime) -> f64 {
        let seconds = (now - OffsetDateTime::UNIX_EPOCH).as_seconds_f64();
        seconds / 86_400.0 / self.days()
    }
}

/// Two to the power of something from 0 to 1, by multiplications and square roots only, which IEEE 754 rounds the same
/// everywhere; the standard library's may differ in the last bit from platform to platform.
fn exp2_fraction(mut fraction: f64) -> f64 {
    let (mut result, mut bit, mut root) = (1.0, 0.5, std::f64::consts::SQRT_2);
    for _ in 0..STEPS {
        if fraction >= bit {
            fraction -= bit;
            result *= root;
        }
        bit *= 0.5;
        root = root.sqrt();
    }
    result
}

/// A decayed number of baskets, in quanta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decayed {
    /// The newest even era and the newest odd one; −1: none.
    pub eras: [i32; 2],
    /// The sums in them.
    pub sums: [i64; 2],
}

impl Default for Decayed {
    fn default() -> Self {
        Self {
            eras: [-1, -1],
            sums: [0, 0],
        }
    }
}

impl Decayed {
    /// One basket. What is before 1970 counts as of then.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // at most 2^30 quanta; a fraction's bits
    pub fn of(at: OffsetDateTime, half_life: HalfLife) -> Self {
        let since = (at - OffsetDateTime::UNIX_EPOCH).whole_microseconds().max(0);
        let since = i64::try_from(since).unwrap_or(i64::MAX);
        let (halvings, rest) = (since / half_life.micros(), since % half_life.micros());
        let (era, halvings) = (halvings / ERA, halvings % ERA);
        let fraction = exp2_fraction(rest as f64 / half_life.micros() as f64);
        let quanta = (QUANTA * fraction * f64::from(1_u32 << halvings)).round() as i64;
        let era = i32::try_from(era).unwrap_or(i32::MAX);
        let mut decayed = Self::default();
        let slot = usize::from(era % 2 == 1);
        (decayed.eras[slot], decayed.sums[slot]) = (era, quanta);
        decayed
    }

    /// Adds another one; the result does not depend on the order of additions.
    pub fn add(&mut self, other: &Self) {
        for slot in 0..2 {
            if other.eras[slot] > self.eras[slot] {
                (self.eras[slot], self.sums[slot]) = (other.eras[slot], other.sums[slot]);
            } else if other.eras[slot] == self.eras[slot] {
                self.sums[slot] = self.sums[slot].saturating_add(other.sums[slot]);
            }
        }
    }

    /// Whether it has baskets of an era that has not begun at `now`, which is [`HalfLife::now`].
    #[allow(clippy::cast_precision_loss)] // 16
    pub fn is_ahead(&self, now: f64) -> bool {
        self.eras.iter().any(|era| f64::from(*era) * ERA as f64 > now)
    }

    /// The number of baskets as it is now, where `now` is [`HalfLife::now`]. Baskets of a future era count as if it began
    /// now: they are not expected, and must not become infinite.
    #[allow(clippy::cast_precision_loss)] // the last bits of a sum of roundings
    pub fn value(&self, now: f64) -> f64 {
        let slot = |slot: usize| {
            let begins = f64::from(self.eras[slot]) * ERA as f64;
            (begins - now).min(0.0).exp2() * self.sums[slot] as f64 / QUANTA
        };
        slot(0) + slot(1)
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn sums_are_those_of_the_formula() {
        let now = datetime!(2026-03-10 12:34:56.789 UTC);
        for half_life in [HalfLife::Season, HalfLife::Week] {
            let (mut kept, mut exact) = (Decayed::default(), 0.0);
            for n in 0..2_000 {
                let age = Duration::minutes(n * 97);
                kept.add(&Decayed::of(now - age, half_life));
                exact += half_life.weight(age.as_seconds_f64() / 86_400.0);
            }
            let value = kept.value(half_life.now(now));
            assert!((value - exact).abs() < exact * 1e-4, "{value} for {exact}");
        }
    }

    #[test]
    fn the_order_of_additions_changes_nothing() {
        // Over 130 years, so that both slots change their era many times.
        let all: Vec<Decayed> = (0..500)
            .map(|n| datetime!(1970-01-01 0:00 UTC) + Duration::days((n * 7_919) % 47_481))
            .map(|at| Decayed::of(at, HalfLife::Week))
            .collect();
        let sum = |parts: &mut dyn Iterator<Item = &Decayed>| {
            let mut sum = Decayed::default();
            parts.for_each(|part| sum.add(part));
            sum
        };
        let forward = sum(&mut all.iter());
        assert_eq!(forward, sum(&mut all.iter().rev()));
        let (mut left, right) = (
            sum(&mut all.iter().step_by(2)),
            sum(&mut all.iter().skip(1).step_by(2)),
        );
        left.add(&right);
        assert_eq!(forward, left);
    }

    #[test]
    fn what_an_old_era_had_is_worth_nothing_any_more() {
        let new = datetime!(2026-03-10 0:00 UTC);
        let mut decayed = Decayed::of(new, HalfLife::Week);
        for weeks in [33, 40, 100, 1_000] {
            decayed.add(&Decayed::of(new - Duration::weeks(weeks), HalfLife::Week));
        }
        let value = decayed.value(HalfLife::Week.now(new));
        assert!((value - 1.0).abs() < 1e-4, "{value}");
        // A good that nobody bought for 25 years: nothing, and not an error.
        let value = Decayed::of(new, HalfLife::Week).value(HalfLife::Week.now(new + Duration::days(9_131)));
        assert!((0.0..1e-300).contains(&value));
    }

    #[test]
    fn the_power_is_right() {
        for n in 0..1_000 {
            let fraction = f64::from(n) / 1_000.0;
            assert!((exp2_fraction(fraction) - fraction.exp2()).abs() < 1e-11);
        }
    }
}
