//! How a comparison stands, kept in the store as one text, which is changed by putting another one in its place.

use emporium_event_bus::ApplyError;
use emporium_event_bus::projection::{BuildError, Cause, Comparison, Outcome, Phase, Rebuild, Work};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::SessionStore;

/// How often a change is tried when others change the note as well.
const TRIES: usize = 20;

/// All that is noted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Note {
    /// Changes so far, so that no two notes are alike.
    changes: u64,
    /// What is wanted or under way.
    pub rebuild: Option<UnderWay>,
    /// What came of the last one.
    pub outcome: Option<Outcome>,
}

/// A comparison that is wanted or under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UnderWay {
    /// How far it is, for those who look on.
    pub seen: Rebuild,
    /// Who is at it.
    pub member: Option<Uuid>,
    /// Until when others keep away.
    #[serde(with = "time::serde::rfc3339")]
    pub leased_until: OffsetDateTime,
    /// What was found, noted before it is mended: whoever finds it mended later tells of it all the same.
    pub found: Option<Comparison>,
}

impl UnderWay {
    /// One that nobody has begun.
    pub fn wanted(cause: Cause, now: OffsetDateTime) -> Self {
        let seen = Rebuild {
            id: Uuid::now_v7(),
            cause,
            phase: Phase::Wanted,
            started_at: now,
            events: 0,
            total: None,
            error: None,
            cursors: [].into(),
        };
        Self {
            seen,
            member: None,
            leased_until: now,
            found: None,
        }
    }

    /// Whether a member may take it.
    pub fn is_free_for(&self, member: Uuid, now: OffsetDateTime) -> bool {
        self.member.is_none_or(|holder| holder == member) || self.leased_until < now
    }

    /// Gives it to a member for a lease from `now` on.
    pub fn give(&mut self, member: Uuid, lease: std::time::Duration, now: OffsetDateTime) {
        self.member = Some(member);
        self.leased_until = now + lease;
    }
}

impl Note {
    /// The comparison, if that member is at it.
    pub fn held(&mut self, work: &Work) -> Result<&mut UnderWay, BuildError> {
        self.rebuild
            .as_mut()
            .filter(|under_way| under_way.seen.id == work.rebuild && under_way.member == Some(work.member))
            .ok_or(BuildError::Lost)
    }
}

/// Reads the note.
pub async fn read(store: &dyn SessionStore) -> Result<Note, ApplyError> {
    Ok(parsed(store.note().await?.as_deref()))
}

/// One that cannot be read (another version of the service wrote it) is as none: all that is lost with it is a report.
fn parsed(text: Option<&str>) -> Note {
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// Changes the note, and gives what the change gives; an error leaves it as it is.
pub async fn change<T, E: From<ApplyError>>(
    store: &dyn SessionStore,
    change: impl Fn(&mut Note) -> Result<T, E>,
) -> Result<T, E> {
    for _ in 0..TRIES {
        let before = store.note().await.map_err(ApplyError::from)?;
        let mut note = parsed(before.as_deref());
        let given = change(&mut note)?;
        note.changes += 1;
        let after = serde_json::to_string(&note).map_err(ApplyError::from)?;
        if store
            .swap_note(before.as_deref(), &after)
            .await
            .map_err(ApplyError::from)?
        {
            return Ok(given);
        }
    }
    Err(ApplyError::Unavailable("the note is changed all the time".to_owned()).into())
}
