//! Checks that records of all kinds need.

use time::{OffsetDateTime, UtcOffset};

/// After the last second that a record may name: `2100-01-01T00:00:00Z`.
const TIME_END_S: i64 = 4_102_444_800;

/// A time from 1970 to 2099, which both PostgreSQL and UUIDv7 can keep; the error names the field.
pub fn check_time(name: &str, at: OffsetDateTime) -> Result<(), String> {
    if (0..TIME_END_S).contains(&at.unix_timestamp()) {
        return Ok(());
    }
    Err(format!("{name} must be a time from 1970 to 2099"))
}

/// [`check_time`] for garde's `custom`.
#[allow(clippy::trivially_copy_pass_by_ref)] // as garde calls it
pub fn moment(at: &OffsetDateTime, _: &()) -> garde::Result {
    check_time("it", *at).map_err(|_| garde::Error::new("must be a time from 1970 to 2099"))
}

/// In UTC and whole microseconds, which is what the database keeps.
pub fn micros(at: OffsetDateTime) -> OffsetDateTime {
    at.to_offset(UtcOffset::UTC).truncate_to_microsecond()
}

/// Why garde refuses a record, in one line; none when it does not.
pub fn check_rules(record: &impl garde::Validate<Context = ()>) -> Result<(), String> {
    record
        .validate()
        .map_err(|report| report.to_string().trim().replace('\n', "; "))
}

/// At most `bytes_max` bytes without control characters; the error names the field.
pub fn check_text(name: &str, text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() > bytes_max {
        return Err(format!("{name} is longer than {bytes_max} bytes"));
    }
    // Nearly all text is ASCII, where control characters are single bytes.
    let clean = if text.is_ascii() {
        !text.bytes().any(|byte| byte.is_ascii_control())
    } else {
        !text.chars().any(char::is_control)
    };
    if clean {
        return Ok(());
    }
    Err(format!("{name} holds control characters"))
}
