//! The shop's clock: London time, kept as UTC.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use time::OffsetDateTime;

/// Converts wall-clock times of London.
pub struct London(TimeZone);

impl London {
    /// London, from the time-zone data that is built in, so that no machine's own data changes the result.
    pub fn new() -> Result<Self, jiff::Error> {
        TimeZone::get("Europe/London").map(Self)
    }

    /// The moment at which London's clocks showed `local_seconds` (seconds from 1970 as if they were UTC).
    ///
    /// In the hour that spring skips, clocks had been put forward: 01:30 counts as 02:30 BST. In the hour that
    /// autumn repeats, the first one counts (BST). Both are what a till would most likely have meant.
    pub fn to_utc(&self, local_seconds: i64) -> Result<OffsetDateTime, jiff::Error> {
        let wall_clock = Timestamp::from_second(local_seconds)?
            .to_zoned(TimeZone::UTC)
            .datetime();
        let moment = self.0.to_timestamp(wall_clock)?;
        Ok(OffsetDateTime::from_unix_timestamp(moment.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::local_seconds;
    use super::*;
    use time::macros::datetime;

    fn utc(text: &str) -> OffsetDateTime {
        let local = local_seconds(text).expect("a time");
        London::new()
            .expect("bundled zone")
            .to_utc(local)
            .expect("in range")
    }

    #[test]
    fn winter_is_utc_and_summer_is_an_hour_ahead() {
        assert_eq!(utc("2010-01-15 12:00:00"), datetime!(2010-01-15 12:00 UTC));
        assert_eq!(utc("2010-07-15 12:00:00"), datetime!(2010-07-15 11:00 UTC));
    }

    #[test]
    fn the_skipped_hour_counts_as_summer_time_and_the_repeated_one_as_its_first() {
        assert_eq!(utc("2010-03-28 00:59:59"), datetime!(2010-03-28 00:59:59 UTC));
        assert_eq!(utc("2010-03-28 01:30:00"), datetime!(2010-03-28 01:30 UTC));
        assert_eq!(utc("2010-03-28 02:00:00"), datetime!(2010-03-28 01:00 UTC));
        assert_eq!(utc("2010-10-31 01:30:00"), datetime!(2010-10-31 00:30 UTC));
        assert_eq!(utc("2010-10-31 02:00:00"), datetime!(2010-10-31 02:00 UTC));
    }
}
