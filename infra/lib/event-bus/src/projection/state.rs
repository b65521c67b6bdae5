//! What is known of a projection besides its rows, as one value: for stores that keep it as a document and change it by
//! compare-and-swap. [`PostgresProjection`](super::PostgresProjection) has the same in columns.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{BuildError, Cause, Comparison, Cursor, Outcome, Phase, Piece, Rebuild, Standing, Work};

/// A generation of a projection's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// Its place, 0 or 1.
    pub place: i16,
    /// The how manieth build of the projection filled it. A store without transactions keeps rows under this number, so that
    /// what a relieved builder still writes is nobody's.
    pub build: i64,
}

/// The state of a projection. Its methods are the transitions; the caller keeps the result if nobody else has changed the
/// state meanwhile, and reads it again otherwise. `now` is the caller's clock; clocks of members may differ by less than a
/// lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    live: i16,
    /// Of the generations 0 and 1.
    builds: [i64; 2],
    #[serde(default, with = "time::serde::rfc3339::option")]
    live_since: Option<OffsetDateTime>,
    building: bool,
    rebuild: Option<Wanted>,
    #[serde(default)]
    lease: Option<Lease>,
    #[serde(default)]
    outcome: Option<Outcome>,
}

/// The rebuild that is wanted or under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wanted {
    id: Uuid,
    cause: Cause,
    #[serde(with = "time::serde::rfc3339")]
    started_at: OffsetDateTime,
    events: i64,
    cursors: BTreeMap<String, Cursor>,
    #[serde(default)]
    comparison: Option<Comparison>,
}

impl Wanted {
    fn new(id: Uuid, cause: Cause, started_at: OffsetDateTime) -> Self {
        Self {
            id,
            cause,
            started_at,
            events: 0,
            cursors: BTreeMap::new(),
            comparison: None,
        }
    }
}

/// Who works on it, and until when others keep away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Lease {
    member: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    until: OffsetDateTime,
}

impl Default for State {
    /// Of a projection that has seen nothing yet.
    fn default() -> Self {
        Self {
            live: 0,
            builds: [0, 1],
            live_since: None,
            building: false,
            rebuild: None,
            lease: None,
            outcome: None,
        }
    }
}

impl State {
    /// The generation that is read.
    pub fn live(&self) -> Generation {
        self.generation(self.live)
    }

    /// The other one: empty, old, or being built.
    pub fn other(&self) -> Generation {
        self.generation(1 - self.live)
    }

    /// Whether the other one is being built.
    pub fn is_building(&self) -> bool {
        self.building
    }

    /// The generations that an effect is to be applied to, the live one first.
    pub fn targets(&self) -> Vec<Generation> {
        let mut targets = vec![self.live()];
        targets.extend(self.building.then(|| self.other()));
        targets
    }

    /// Whether the live generation has been that for so long; one that was never switched has.
    pub fn is_settled(&self, age: Duration, now: OffsetDateTime) -> bool {
        self.live_since.is_none_or(|since| since < now - age)
    }

    fn generation(&self, place: i16) -> Generation {
        Generation {
            place,
            build: self.builds[usize::from(place == 1)],
        }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        Standing {
            live: self.live,
            rebuild: self.rebuild(),
            outcome: self.outcome.clone(),
        }
    }

    fn rebuild(&self) -> Option<Rebuild> {
        let wanted = self.rebuild.as_ref()?;
        let ends = wanted.cursors.values().map(|cursor| cursor.end);
        Some(Rebuild {
            id: wanted.id,
            cause: wanted.cause,
            phase: Phase::of(self.building, &wanted.cursors),
            started_at: wanted.started_at,
            events: wanted.events,
            total: if self.building { ends.sum() } else { None },
            error: None,
            cursors: wanted.cursors.clone(),
        })
    }

    /// [`Generations::want`](super::Generations::want), with an id for a new one.
    pub fn want(&mut self, id: Uuid, now: OffsetDateTime) -> Uuid {
        self.rebuild
            .get_or_insert_with(|| Wanted::new(id, Cause::Operator, now))
            .id
    }

    /// [`Generations::take`](super::Generations::take).
    pub fn take(&mut self, member: Uuid, lease: Duration, now: OffsetDateTime) -> Option<Rebuild> {
        let rebuild = self.rebuild()?;
        let is_free = |held: &Lease| held.member == member || held.until < now;
        if !self.lease.as_ref().is_none_or(is_free) {
            return None;
        }
        self.hold(member, lease, now);
        Some(rebuild)
    }

    /// [`Generations::replace`](super::Generations::replace), with an id for the new one.
    pub fn replace(&mut self, id: Uuid, member: Uuid, lease: Duration, now: OffsetDateTime) -> Work {
        self.rebuild = Some(Wanted::new(id, Cause::Bus, now));
        self.building = false;
        self.hold(member, lease, now);
        Work {
            rebuild: id,
            member,
            lease,
        }
    }

    /// [`Generations::renew`](super::Generations::renew).
    pub fn renew(&mut self, work: &Work, now: OffsetDateTime) -> Result<(), BuildError> {
        self.wanted(work)?;
        self.hold(work.member, work.lease, now);
        Ok(())
    }

    /// [`Generations::release`](super::Generations::release).
    pub fn release(&mut self, member: Uuid) {
        self.lease.take_if(|held| held.member == member);
    }

    /// Whether a build of this rebuild has begun before, so that its generation is not empty.
    pub fn has_begun(&self, work: &Work) -> Result<bool, BuildError> {
        Ok(!self.held(work)?.cursors.is_empty())
    }

    /// From here on all events go to both. The generation that is built gets a number that none has had.
    pub fn begin(
        &mut self,
        work: &Work,
        owners: &[String],
        now: OffsetDateTime,
    ) -> Result<Generation, BuildError> {
        let wanted = self.wanted(work)?;
        wanted.cursors = owners
            .iter()
            .map(|owner| (owner.clone(), Cursor::default()))
            .collect();
        wanted.events = 0;
        wanted.comparison = None;
        let next = 1 + self.builds[0].max(self.builds[1]);
        self.builds[usize::from(self.live == 0)] = next;
        self.building = true;
        self.hold(work.member, work.lease, now);
        Ok(self.other())
    }

    /// Notes how far a history was read; gives the generation that was filled.
    pub fn note(
        &mut self,
        work: &Work,
        piece: &Piece<'_>,
        now: OffsetDateTime,
    ) -> Result<Generation, BuildError> {
        let built = self.built(work)?;
        let wanted = self.wanted(work)?;
        wanted.cursors.insert(piece.owner.to_owned(), piece.cursor);
        wanted.events += piece.events;
        self.hold(work.member, work.lease, now);
        Ok(built)
    }

    /// The generation that is built, while the member holds the rebuild.
    pub fn built(&self, work: &Work) -> Result<Generation, BuildError> {
        self.held(work)?;
        if self.building {
            Ok(self.other())
        } else {
            Err(BuildError::Lost)
        }
    }

    /// What comparing gave a member that died before the switch.
    pub fn compared(&self, work: &Work) -> Result<Option<&Comparison>, BuildError> {
        self.built(work)?;
        Ok(self.held(work)?.comparison.as_ref())
    }

    /// Notes what comparing gave.
    pub fn note_comparison(&mut self, work: &Work, comparison: &Comparison) -> Result<(), BuildError> {
        self.built(work)?;
        self.wanted(work)?.comparison = Some(comparison.clone());
        Ok(())
    }

    /// [`Generations::switch`](super::Generations::switch).
    pub fn switch(
        &mut self,
        work: &Work,
        comparison: Option<&Comparison>,
        now: OffsetDateTime,
    ) -> Result<Outcome, BuildError> {
        self.built(work)?;
        let Some(wanted) = self.rebuild.take() else {
            return Err(BuildError::Lost);
        };
        let compared = comparison.cloned().unwrap_or_default();
        let outcome = Outcome {
            id: wanted.id,
            cause: wanted.cause,
            started_at: wanted.started_at,
            finished_at: now,
            events: wanted.events,
            equal: comparison.map(Comparison::equal),
            tables: compared.tables,
            differences: compared.differences,
            position: compared.position,
        };
        self.live = 1 - self.live;
        self.live_since = Some(now);
        self.building = false;
        self.lease = None;
        self.outcome = Some(outcome.clone());
        Ok(outcome)
    }

    fn hold(&mut self, member: Uuid, lease: Duration, now: OffsetDateTime) {
        self.lease = Some(Lease {
            member,
            until: now + lease,
        });
    }

    fn held(&self, work: &Work) -> Result<&Wanted, BuildError> {
        let is_mine = self.lease.as_ref().is_some_and(|held| held.member == work.member);
        self.rebuild
            .as_ref()
            .filter(|wanted| is_mine && wanted.id == work.rebuild)
            .ok_or(BuildError::Lost)
    }

    fn wanted(&mut self, work: &Work) -> Result<&mut Wanted, BuildError> {
        self.held(work)?;
        self.rebuild.as_mut().ok_or(BuildError::Lost)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);
    const LEASE: Duration = Duration::from_secs(30);

    fn owners() -> Vec<String> {
        vec!["/orders".to_owned(), "/users".to_owned()]
    }

    fn taken(state: &mut State, member: Uuid) -> Work {
        let rebuild = state.take(member, LEASE, NOW).expect("free");
        Work {
            rebuild: rebuild.id,
            member,
            lease: LEASE,
        }
    }

    fn read(owner: &'static str, done: bool) -> Piece<'static> {
        let cursor = Cursor {
            after: 7,
            end: Some(9),
            done,
        };
        Piece {
            owner,
            items: &[],
            events: 7,
            cursor,
        }
    }

    #[test]
    fn a_rebuild_goes_from_wanted_to_switched() {
        let (mut state, id, member) = (State::default(), Uuid::now_v7(), Uuid::now_v7());
        assert_eq!(state.want(id, NOW), id);
        assert_eq!(state.want(Uuid::now_v7(), NOW), id, "one at a time");
        let work = taken(&mut state, member);
        assert!(!state.has_begun(&work).unwrap());
        assert_eq!(state.targets(), [state.live()]);

        let built = state.begin(&work, &owners(), NOW).unwrap();
        assert_eq!(state.targets(), [state.live(), built]);
        assert_ne!(built.build, state.live().build);
        let phase = |state: &State| state.standing().rebuild.unwrap().phase;
        assert_eq!(state.note(&work, &read("/orders", true), NOW).unwrap(), built);
        assert_eq!(phase(&state), Phase::Reading);
        state.note(&work, &read("/users", true), NOW).unwrap();
        assert_eq!(phase(&state), Phase::Comparing);
        assert_eq!(state.standing().rebuild.unwrap().total, Some(18));

        let kept: State = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        assert_eq!(kept, state);
        let outcome = state.switch(&work, Some(&Comparison::default()), NOW).unwrap();
        assert_eq!((outcome.id, outcome.events, outcome.equal), (id, 14, Some(true)));
        assert_eq!((state.live(), state.targets().len()), (built, 1));
        assert_eq!(state.standing().outcome, Some(outcome));
        assert!(matches!(state.renew(&work, NOW), Err(BuildError::Lost)));
        assert!(!state.is_settled(LEASE, NOW) && state.is_settled(LEASE, NOW + 2 * LEASE));
    }

    #[test]
    fn others_keep_away_for_a_lease() {
        let (mut state, one, other) = (State::default(), Uuid::now_v7(), Uuid::now_v7());
        assert!(state.take(one, LEASE, NOW).is_none(), "nothing is wanted");
        state.want(Uuid::now_v7(), NOW);
        let work = taken(&mut state, one);
        assert!(state.take(other, LEASE, NOW + LEASE).is_none());
        state.renew(&work, NOW + LEASE).unwrap();
        assert!(state.take(other, LEASE, NOW + 2 * LEASE).is_none());
        assert!(state.take(other, LEASE, NOW + 3 * LEASE).is_some());
        assert!(matches!(
            state.begin(&work, &owners(), NOW),
            Err(BuildError::Lost)
        ));
        state.release(one);
        assert!(
            state.take(one, LEASE, NOW + 3 * LEASE).is_none(),
            "it was the other one's"
        );
        state.release(other);
        assert!(state.take(one, LEASE, NOW + 3 * LEASE).is_some());
    }

    #[test]
    fn what_is_replaced_is_lost_and_its_build_never_comes_again() {
        let (mut state, one, other) = (State::default(), Uuid::now_v7(), Uuid::now_v7());
        state.want(Uuid::now_v7(), NOW);
        let work = taken(&mut state, one);
        let relieved = state.begin(&work, &owners(), NOW).unwrap();
        let taking_over = state.replace(Uuid::now_v7(), other, LEASE, NOW);
        assert!(!state.is_building());
        assert!(matches!(
            state.note(&work, &read("/orders", true), NOW),
            Err(BuildError::Lost)
        ));
        assert!(matches!(state.switch(&work, None, NOW), Err(BuildError::Lost)));
        assert!(
            matches!(state.built(&taking_over), Err(BuildError::Lost)),
            "not begun yet"
        );
        let built = state.begin(&taking_over, &owners(), NOW).unwrap();
        assert_eq!(built.place, relieved.place);
        assert_ne!(built.build, relieved.build);
        assert_eq!(state.switch(&taking_over, None, NOW).unwrap().cause, Cause::Bus);
        assert_eq!(state.live(), built);
    }
}
