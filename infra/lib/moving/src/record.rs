//! What a store knows of itself: whether it serves, is left, or is filled by a move. One value under compare-and-swap, in
//! each of the two stores; its methods are the transitions, without any store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// How often what was copied may turn out to differ before the move is given up. A write whose process died between the write
/// and its mark in the journal makes it differ once.
pub const PASSES_MAX: u32 = 3;
/// How often closing begins once more before everything is copied anew.
pub const CLOSINGS_MAX: u32 = 3;
/// Differences that are told.
pub const DIFFERENCES_MAX: usize = 20;

/// What a store is to the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Standing {
    /// What the service keeps is here, or nothing was ever said: then nobody moved it.
    Serving {
        /// What became of the last move from here that did not end in leaving, or of the one that came here.
        #[serde(default)]
        last: Option<Box<Outcome>>,
    },
    /// It is here, and is being moved elsewhere.
    Moving(Box<Move>),
    /// A move is filling this store; nobody may read it.
    Filling {
        /// The move.
        by: Uuid,
        /// The instance that does it. One that takes over writes itself down here, so that what a relieved one still swaps fails.
        mover: Uuid,
        /// Where it is moved from, without secrets.
        from: String,
    },
    /// It was here.
    Left(Box<Departure>),
}

impl Default for Standing {
    fn default() -> Self {
        Self::Serving { last: None }
    }
}

/// Where to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Scheme, host, port and path, without secrets.
    pub address: String,
    /// The URL, [sealed](crate::seal); of the service's own database, the text `postgres:`.
    pub sealed: String,
}

/// Where it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Departure {
    /// The move.
    pub by: Uuid,
    /// Where it is now.
    pub to: Place,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// What a move is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Every instance of the service has to hear of it: from then on they note what they write to.
    Announced,
    /// The other store is filled.
    Copying,
    /// All is there; what is written to is copied again. With `shadow`, reads are answered by both and compared, until the
    /// operator decides.
    Following,
    /// Writes wait, the last of them is copied, and both are compared.
    Closing,
}

/// An instance of the service, as it told of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The epoch by which it acts: everything that it began under an earlier one has ended.
    pub epoch: i64,
    /// Grows while it lives.
    pub beat: i64,
    /// What it tells.
    #[serde(flatten)]
    pub report: Report,
}

/// What an instance tells of its part in a move.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What it compared.
    #[serde(default)]
    pub shadow: Shadow,
    /// How far building is: done, and of how many.
    #[serde(default)]
    pub built: Option<(i64, Option<i64>)>,
    /// What keeps it from going on.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// Reads that were answered by both stores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Shadow {
    /// How many.
    pub compared: u64,
    /// How many answers differed, and still did when they were asked for again.
    pub different: u64,
    /// How many the other store could not answer.
    pub failed: u64,
    /// Some that differed or failed, in words.
    pub differences: Vec<String>,
}

impl Shadow {
    /// Adds another instance's.
    pub fn add(&mut self, other: &Self) {
        self.compared += other.compared;
        self.different += other.different;
        self.failed += other.failed;
        let room = DIFFERENCES_MAX.saturating_sub(self.differences.len());
        self.differences
            .extend(other.differences.iter().take(room).cloned());
    }
}

/// A move that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own, and the text in the store is read by people
pub struct Move {
    /// Which one.
    pub id: Uuid,
    /// Where from, without secrets.
    pub from: String,
    /// Where to.
    pub to: Place,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub began_at: OffsetDateTime,
    /// Whether the operator wants to compare answers and decide.
    pub shadow: bool,
    /// Whether what the other store holds may be thrown away.
    pub overwrite: bool,
    /// What it is at.
    pub phase: Phase,
    /// Grows with each phase: the instances say which one they act by.
    pub epoch: i64,
    /// Whether the operator wants it to end.
    pub cancelled: bool,
    /// Whether the other store was emptied for this pass.
    pub emptied: bool,
    /// Whether building has begun in this pass.
    pub building: bool,
    /// How far copying is, in the source's own words.
    pub cursor: Option<String>,
    /// Whether all that can be listed was copied.
    pub listed: bool,
    /// Records that were copied.
    pub copied: i64,
    /// How often copying began anew, because the stores differed.
    pub passes: u32,
    /// How they differed the last time.
    pub differences: Vec<String>,
    /// How often closing began once more in this pass, because something that was built differed.
    #[serde(default)]
    pub closings: u32,
    /// The instances.
    pub members: BTreeMap<Uuid, Member>,
    /// The instance that does the work.
    pub mover: Option<Uuid>,
    /// How often the work was taken up: whoever did it before, and does it again, knows that somebody else may have in between.
    #[serde(default)]
    pub turns: u64,
}

/// How a move ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The other store serves.
    Switched,
    /// The operator did not want it any more.
    Cancelled,
    /// The stores differed again and again.
    Different,
    /// The other store could not take it.
    Refused,
}

/// What both stores held, in one table or of one kind, while nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// The table, or the kind of record.
    pub name: String,
    /// Rows there were.
    pub rows: i64,
    /// Their digest, which is the same in every store.
    pub digest: String,
    /// Rows in the other store.
    pub rows_there: i64,
    /// Their digest.
    pub digest_there: String,
    /// Whether they are equal.
    pub equal: bool,
}

/// What became of a move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// Which one.
    pub id: Uuid,
    /// Where from, without secrets.
    pub from: String,
    /// Where to, without secrets.
    pub to: String,
    /// How it ended.
    pub ending: Ending,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub began_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub ended_at: OffsetDateTime,
    /// Records that were copied; what is built from events is not counted.
    pub copied: i64,
    /// What was compared before the switch.
    pub verified: Vec<Verified>,
    /// For how many milliseconds writes waited.
    pub paused_ms: i64,
    /// Reads that were answered by both.
    pub shadow: Shadow,
    /// Why it did not end well, in words.
    pub reasons: Vec<String>,
}

impl Move {
    /// One that was just asked for.
    pub fn asked(from: &str, to: Place, shadow: bool, overwrite: bool, now: OffsetDateTime) -> Self {
        Self {
            id: Uuid::now_v7(),
            from: from.to_owned(),
            to,
            began_at: now,
            shadow,
            overwrite,
            phase: Phase::Announced,
            epoch: 1,
            cancelled: false,
            emptied: false,
            building: false,
            cursor: None,
            listed: false,
            copied: 0,
            passes: 0,
            differences: Vec::new(),
            closings: 0,
            members: BTreeMap::new(),
            mover: None,
            turns: 0,
        }
    }

    /// An instance acts by the present epoch; `beat` is greater than the one before.
    pub fn acknowledge(&mut self, member: Uuid, beat: i64, report: Report) {
        let epoch = self.epoch;
        self.members.insert(member, Member { epoch, beat, report });
    }

    /// Whether every instance acts by the present epoch.
    pub fn all_follow(&self) -> bool {
        self.members.values().all(|member| member.epoch == self.epoch)
    }

    /// Forgets instances that are dead. What they compared is lost with them.
    pub fn forget(&mut self, dead: &[Uuid]) {
        self.members.retain(|id, _| !dead.contains(id));
        if self.mover.is_some_and(|mover| dead.contains(&mover)) {
            self.mover = None;
        }
    }

    /// The instance does the work from now on, if nobody else does; says whether it does.
    pub fn take(&mut self, member: Uuid) -> bool {
        if self.mover.is_none() {
            self.mover = Some(member);
            self.turns += 1;
        }
        self.mover == Some(member)
    }

    /// Goes on to the next phase.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }

    /// Copies everything once more, since the stores differ; false when that was done too often.
    pub fn begin_anew(&mut self, differences: Vec<String>) -> bool {
        self.differences = differences;
        self.passes += 1;
        self.closings = 0;
        (self.emptied, self.building) = (false, false);
        (self.cursor, self.listed) = (None, false);
        self.enter(Phase::Copying);
        self.passes < PASSES_MAX
    }

    /// Lets events go on before closing once more, since something that is built differs; false when that was done too often. An
    /// event that had reached one of the stores when closing began, and was broken off on its way to the other one, makes them
    /// differ, and is given to both again as soon as it may be.
    pub fn close_again(&mut self, differences: Vec<String>) -> bool {
        if self.closings >= CLOSINGS_MAX {
            return false;
        }
        self.differences = differences;
        self.closings += 1;
        self.enter(Phase::Following);
        true
    }

    /// Whether it waits for the operator.
    pub fn is_undecided(&self) -> bool {
        self.shadow && self.phase == Phase::Following && self.closings == 0
    }

    /// What all instances compared.
    pub fn compared(&self) -> Shadow {
        let mut sum = Shadow::default();
        for member in self.members.values() {
            sum.add(&member.report.shadow);
        }
        sum
    }

    /// What became of it.
    pub fn outcome(&self, ending: Ending, now: OffsetDateTime) -> Outcome {
        Outcome {
            id: self.id,
            from: self.from.clone(),
            to: self.to.address.clone(),
            ending,
            began_at: self.began_at,
            ended_at: now,
            copied: self.copied,
            verified: Vec::new(),
            paused_ms: 0,
            shadow: self.compared(),
            reasons: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn asked() -> Move {
        let to = Place {
            address: "redis://h".into(),
            sealed: "x".into(),
        };
        Move::asked("postgres", to, true, false, datetime!(2030-01-01 00:00 UTC))
    }

    #[test]
    fn a_phase_is_entered_when_everybody_follows() {
        let (mut moving, one, two) = (asked(), Uuid::now_v7(), Uuid::now_v7());
        assert!(moving.all_follow(), "nobody is there");
        moving.acknowledge(one, 1, Report::default());
        moving.enter(Phase::Copying);
        assert!(!moving.all_follow());
        moving.acknowledge(one, 2, Report::default());
        assert!(moving.all_follow());
        moving.acknowledge(two, 1, Report::default());
        moving.enter(Phase::Following);
        moving.acknowledge(one, 3, Report::default());
        assert!(!moving.all_follow());
        assert!(moving.take(two) && moving.take(two) && !moving.take(one));
        moving.forget(&[two]);
        assert!(moving.all_follow() && moving.take(one));
    }

    #[test]
    fn what_differs_is_copied_again_but_not_for_ever() {
        let mut moving = asked();
        (moving.cursor, moving.listed) = (Some("k".into()), true);
        for pass in 1..=PASSES_MAX {
            let epoch = moving.epoch;
            assert_eq!(moving.begin_anew(vec!["x".into()]), pass < PASSES_MAX);
            assert_eq!(
                (moving.phase, &moving.cursor, moving.listed),
                (Phase::Copying, &None, false)
            );
            assert!(moving.epoch > epoch);
        }
    }

    #[test]
    fn what_was_broken_off_is_waited_for_a_few_times_a_pass() {
        let mut moving = asked();
        for pass in 0..2 {
            for _ in 0..CLOSINGS_MAX {
                moving.enter(Phase::Closing);
                assert!(moving.close_again(vec!["x".into()]));
                assert_eq!((moving.phase, moving.passes), (Phase::Following, pass));
                assert!(!moving.is_undecided(), "it was decided");
            }
            assert!(!moving.close_again(vec!["x".into()]));
            moving.begin_anew(vec!["x".into()]);
        }
    }

    #[test]
    fn a_standing_comes_back_from_its_text() {
        let mut moving = asked();
        moving.acknowledge(Uuid::now_v7(), 4, Report::default());
        let departure = Departure {
            by: moving.id,
            to: moving.to.clone(),
            at: datetime!(2030-01-01 00:00 UTC),
        };
        for standing in [
            Standing::default(),
            Standing::Serving {
                last: Some(Box::new(moving.outcome(Ending::Switched, moving.began_at))),
            },
            Standing::Filling {
                by: moving.id,
                mover: Uuid::now_v7(),
                from: "postgres".into(),
            },
            Standing::Left(Box::new(departure)),
            Standing::Moving(Box::new(moving)),
        ] {
            let text = serde_json::to_string(&standing).unwrap();
            assert_eq!(
                serde_json::from_str::<Standing>(&text).unwrap(),
                standing,
                "{text}"
            );
        }
    }
}
