//! How finely, and for how long, points are kept.

use time::{Duration, OffsetDateTime};

/// A fineness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Points as they were scraped.
    Raw,
    /// One a minute.
    Minute,
    /// One an hour.
    Hour,
}

impl Tier {
    /// From fine to coarse.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Minute, Self::Hour];

    /// As in names of tables and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    /// Seconds that one of its points stands for; of raw points, of which nothing coarser than a second is promised, 1.
    pub fn length_s(self) -> i64 {
        match self {
            Self::Raw => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    /// How long its points are kept.
    pub fn kept(self) -> Duration {
        match self {
            Self::Raw => Duration::HOUR,
            Self::Minute => Duration::DAY,
            Self::Hour => Duration::days(crate::question::SPAN_DAYS_MAX),
        }
    }

    /// Seconds of a partition: what is old goes by that much at once.
    pub fn partition_s(self) -> i64 {
        match self {
            Self::Raw => 600,
            Self::Minute => 6 * 3_600,
            Self::Hour => 30 * 86_400,
        }
    }

    /// Rounds whose moments are before this one are rolled up: those that fill a minute; for hours every ten minutes, so that
    /// an hour's rows are written six times and not sixty.
    pub fn due_before(self, now: OffsetDateTime) -> OffsetDateTime {
        let every_s = if self == Self::Hour { 600 } else { 60 };
        floor(now, every_s)
    }

    /// The beginning of the point that a moment belongs to.
    pub fn begin(self, at: OffsetDateTime) -> OffsetDateTime {
        floor(at, self.length_s())
    }
}

/// The last multiple of so many seconds since 1970 that is not after the moment.
pub fn floor(at: OffsetDateTime, seconds: i64) -> OffsetDateTime {
    let begin = at.unix_timestamp().div_euclid(seconds) * seconds;
    OffsetDateTime::from_unix_timestamp(begin).unwrap_or(at)
}
