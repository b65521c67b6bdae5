//! What a store says of a user against what the users' history says.

use emporium_event_bus::projection::Compared;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::Standing;

/// The newest news of a user in the history; of a user who was only registered, version 0 and not blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// The user's version.
    pub version: i64,
    /// Whether that blocked.
    pub blocked: bool,
    /// When it happened, in seconds since the Unix epoch.
    pub at: i64,
    /// When the owner wrote it down, likewise.
    pub recorded_at: i64,
}

/// What comes of a comparison of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Both say the same.
    Equal,
    /// It concerns no session, and the store may have forgotten it, or never heard of it.
    Passed,
    /// The store lacks the news.
    Lacking,
    /// The store says something else of the same version.
    Wrong,
    /// The store has a version that this part of the history does not have.
    Ahead,
}

impl News {
    /// What was found against this; news that happened before `oldest` concerns no session.
    pub fn judge(&self, found: &Standing, oldest: OffsetDateTime) -> Verdict {
        let counts = self.at >= oldest.unix_timestamp();
        match found.version.cmp(&self.version) {
            std::cmp::Ordering::Greater => Verdict::Ahead,
            std::cmp::Ordering::Less if counts => Verdict::Lacking,
            std::cmp::Ordering::Equal if found.blocked != self.blocked => Verdict::Wrong,
            std::cmp::Ordering::Equal if counts => Verdict::Equal,
            _ => Verdict::Passed,
        }
    }

    /// As a store keeps it.
    pub fn of(self, user_id: Uuid) -> Standing {
        Standing {
            user_id,
            version: self.version,
            blocked: self.blocked,
        }
    }
}

/// A difference, for people.
pub fn line(found: &Standing, right: &Standing) -> String {
    format!(
        "block of {}: was {}, is {}",
        found.user_id,
        said(found),
        said(right)
    )
}

fn said(standing: &Standing) -> String {
    match standing {
        Standing {
            version: 0,
            blocked: false,
            ..
        } => "not there".to_owned(),
        Standing {
            version,
            blocked: true,
            ..
        } => format!("blocked at version {version}"),
        Standing { version, .. } => format!("not blocked at version {version}"),
    }
}

/// Rows of one side, and their digest: the sum of the first 128 bits of each row's SHA-256, which no order changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Side {
    rows: i64,
    digest: u128,
}

impl Side {
    /// Adds a user of whom something is noted.
    pub fn add(&mut self, standing: &Standing) {
        if standing.version == 0 && !standing.blocked {
            return;
        }
        let mut hash = Sha256::new();
        hash.update(standing.user_id);
        hash.update(standing.version.to_be_bytes());
        hash.update([u8::from(standing.blocked)]);
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        self.rows += 1;
        self.digest = self.digest.wrapping_add(u128::from_be_bytes(first));
    }

    /// What a report says of this and of the other side.
    pub fn against(self, rebuilt: Self) -> Compared {
        Compared {
            table: "blocks".to_owned(),
            rows_live: self.rows,
            rows_rebuilt: rebuilt.rows,
            equal: self == rebuilt,
            digest_live: Some(format!("{:032x}", self.digest)),
            digest_rebuilt: Some(format!("{:032x}", rebuilt.digest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_judged() {
        let now = OffsetDateTime::from_unix_timestamp(1_000_000).unwrap();
        let news = |at| News {
            version: 4,
            blocked: true,
            at,
            recorded_at: at,
        };
        let (new, old) = (news(1_000_000), news(999_999));
        let found = |version, blocked| Standing {
            user_id: Uuid::nil(),
            version,
            blocked,
        };
        for (found, of_new, of_old) in [
            (found(4, true), Verdict::Equal, Verdict::Passed),
            (found(4, false), Verdict::Wrong, Verdict::Wrong),
            (found(3, true), Verdict::Lacking, Verdict::Passed),
            (found(0, false), Verdict::Lacking, Verdict::Passed),
            (found(5, false), Verdict::Ahead, Verdict::Ahead),
        ] {
            assert_eq!(new.judge(&found, now), of_new, "{found:?}");
            assert_eq!(old.judge(&found, now), of_old, "{found:?}");
        }
    }

    #[test]
    fn sides_are_equal_in_any_order_and_for_equal_rows_only() {
        let row = |n: u128, version, blocked| Standing {
            user_id: Uuid::from_u128(n),
            version,
            blocked,
        };
        let side = |rows: &[Standing]| {
            let mut side = Side::default();
            for row in rows {
                side.add(row);
            }
            side
        };
        let (one, other) = (row(1, 2, true), row(2, 3, false));
        assert_eq!(side(&[one, other, row(3, 0, false)]), side(&[other, one]));
        for unlike in [row(1, 2, false), row(1, 3, true), row(3, 2, true)] {
            assert_ne!(side(&[unlike, other]), side(&[one, other]));
        }
        assert_eq!(
            line(&row(1, 0, false), &one),
            format!("block of {}: was not there, is blocked at version 2", one.user_id)
        );
    }
}
