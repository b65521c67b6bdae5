//! In which steps a question is answered, from which points, and whether that is too much.

use time::{Duration, OffsetDateTime};

use super::promql::{Tier, is_answered};
use crate::error::Error;
use crate::model::Kind;
use crate::question::{Question, Windows};
use crate::store::steps::chosen;

/// Seconds from one scrape to the next, to estimate how many points there are: as the shop's configuration has it.
const SCRAPE_S: i64 = 5;
/// Most points that the server reads as they were scraped: it does some 15 million a second. Beyond, hours answer.
pub const POINTS_MAX: i64 = 30_000_000;
/// Most points that there can be where the service reads them itself; fewer, if there really are so many.
const FOLDED_POSSIBLE_MAX: i64 = 4_000_000;
/// Within that time from an hour's end on the rules have not made it.
const HOUR_LATE: Duration = Duration::seconds(120);
const HOUR_S: i64 = 3_600;
/// How far back a step looks for the point that its increase begins with, at least: what the server's rules look back.
const LOOK_BACK_MIN_S: i64 = 300;
/// And at most.
const LOOK_BACK_MAX_S: i64 = 6 * HOUR_S;

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub windows: Windows,
    /// The points they are made of.
    pub tier: Tier,
}

/// What a question is about.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Series that may have points then.
    pub series: usize,
    /// What they are.
    pub kind: Kind,
    /// Most points that are read as they were scraped.
    pub points_max: i64,
    /// Since when the server has collected by itself, if a move has brought the hours before.
    pub own_since: Option<OffsetDateTime>,
}

/// The steps of an answer by what they are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts {
    /// From hours that a move has brought.
    pub moved: Option<Windows>,
    /// One step whose beginning is of such hours, and for how many seconds; its end is the server's own.
    pub mixed: Option<(Windows, i64)>,
    /// All others.
    pub own: Option<Windows>,
}

/// How far back a step of this length looks for the point that its increase begins with, in seconds.
pub fn look_back_s(step_s: i64) -> i64 {
    step_s.clamp(LOOK_BACK_MIN_S, LOOK_BACK_MAX_S)
}

/// Chooses the steps and the points. Points as they were scraped answer everything exactly; where there are too many, the hours
/// that the rules have made do, in steps of hours. What a move has brought is there by the hour only.
pub fn plan(question: &Question, amount: Amount, now: OffsetDateTime) -> Result<Plan, Error> {
    let is_moved = amount.own_since.is_some_and(|own| question.from < own);
    let own_from = amount
        .own_since
        .map_or(question.from, |own| own.max(question.from));
    let span_s = (question.to - own_from).whole_seconds().max(0);
    let series = i64::try_from(amount.series).unwrap_or(i64::MAX);
    // The look-back of one step is read as well.
    let read = |step_s: i64| series.saturating_mul((span_s + 2 * step_s + LOOK_BACK_MIN_S) / SCRAPE_S);
    let is_hours = |step_s: i64| step_s % HOUR_S == 0;
    if !is_answered(amount.kind, question.how) {
        let step_s = chosen(question, |step_s| !is_moved || is_hours(step_s));
        if is_moved && !is_hours(step_s) {
            return Err(hours_only());
        }
        if read(step_s) > FOLDED_POSSIBLE_MAX {
            return Err(Error::TooMuchWork);
        }
        return Ok(raw(question, step_s));
    }
    let is_little = |step_s: i64| read(step_s) <= amount.points_max;
    let step_s = chosen(question, |step_s| {
        (is_little(step_s) && !is_moved) || is_hours(step_s)
    });
    if is_moved && !is_hours(step_s) {
        return Err(hours_only());
    }
    if is_little(step_s) {
        return Ok(raw(question, step_s));
    }
    if !is_hours(step_s) {
        return Err(hours_only());
    }
    let plan = Plan {
        tier: Tier::Hour,
        ..raw(question, step_s)
    };
    let own = plan.parts(amount.own_since).own;
    let fresh = own.and_then(|own| plan.settled(own, now).1);
    // Steps that reach into the present are made of scraped points, as no hours are there yet.
    let unsettled_s = fresh.map_or(0, |windows| {
        (now.min(windows.to()) - windows.from).whole_seconds()
    });
    if series.saturating_mul(unsettled_s / SCRAPE_S) > amount.points_max {
        return Err(Error::TooMuchWork);
    }
    Ok(plan)
}

fn hours_only() -> Error {
    Error::StepUnsuitable {
        multiple_of_s: HOUR_S,
    }
}

fn raw(question: &Question, step_s: i64) -> Plan {
    Plan {
        windows: Windows::covering(question.from, question.to, step_s),
        tier: Tier::Raw,
    }
}

impl Plan {
    /// The steps by what they are made of. Steps that are no hours have nothing of hours that were brought: such a one is refused
    /// where it would need any, and else known from `own_since` on.
    pub fn parts(&self, own_since: Option<OffsetDateTime>) -> Parts {
        let windows = self.windows;
        let begin = windows.from.unix_timestamp();
        let moved_s = own_since.map_or(0, |own| own.unix_timestamp() - begin);
        if moved_s <= 0 || windows.step_s % HOUR_S != 0 {
            return Parts {
                own: Some(windows),
                ..Parts::default()
            };
        }
        let whole = usize::try_from(moved_s / windows.step_s).unwrap_or(usize::MAX);
        let whole = whole.min(windows.count);
        let rest_s = moved_s % windows.step_s;
        let is_mixed = rest_s > 0 && whole < windows.count;
        let mixed = usize::from(is_mixed);
        Parts {
            moved: part(windows, 0, whole),
            mixed: part(windows, whole, mixed).map(|one| (one, rest_s)),
            own: part(windows, whole + mixed, windows.count - whole - mixed),
        }
    }

    /// Of these steps, those that are answered from hours that the rules have made, and those that are answered from points as
    /// they were scraped.
    pub fn settled(&self, windows: Windows, now: OffsetDateTime) -> (Option<Windows>, Option<Windows>) {
        let settled = match self.tier {
            Tier::Raw => 0,
            Tier::Hour => {
                let ended_s = (now.saturating_sub(HOUR_LATE))
                    .unix_timestamp()
                    .div_euclid(HOUR_S)
                    * HOUR_S;
                let whole = (ended_s - windows.from.unix_timestamp()).div_euclid(windows.step_s);
                usize::try_from(whole).unwrap_or(0).min(windows.count)
            }
        };
        (
            part(windows, 0, settled),
            part(windows, settled, windows.count - settled),
        )
    }
}

/// Some of these steps, if it is any.
fn part(windows: Windows, skipped: usize, count: usize) -> Option<Windows> {
    let skipped_s = i64::try_from(skipped)
        .unwrap_or(i64::MAX)
        .saturating_mul(windows.step_s);
    let from = windows.from.saturating_add(Duration::seconds(skipped_s));
    (count > 0).then_some(Windows {
        from,
        count,
        ..windows
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::As;

    fn planned(series: usize, span_h: i64, step_s: Option<i64>, how: As) -> Result<(Tier, i64), String> {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_123).unwrap();
        let question = Question {
            metric: "m".to_owned(),
            labels: [].into(),
            without: Vec::new(),
            by: None,
            from: now - Duration::hours(span_h),
            to: now,
            step_s,
            how,
        };
        let amount = Amount {
            series,
            kind: Kind::Gauge,
            points_max: POINTS_MAX,
            own_since: None,
        };
        let plan = plan(&question, amount, now).map_err(|error| format!("{error:?}"))?;
        Ok((plan.tier, plan.windows.step_s))
    }

    #[test]
    fn span_and_series_choose_the_points() {
        let year = 366 * 24;
        for (series, span_h, step_s, how, wanted) in [
            (1_600, 1, Some(5), As::Max, Ok((Tier::Raw, 5))),
            (1_600, 24, None, As::Max, Ok((Tier::Raw, 600))),
            (4, year, Some(86_400), As::Max, Ok((Tier::Raw, 86_400))),
            (10, year, Some(86_400), As::Max, Ok((Tier::Hour, 86_400))),
            (10, year, None, As::Max, Ok((Tier::Hour, 172_800))),
            (10, year, Some(86_400), As::Quantile(0.5), Err("TooMuchWork")),
            (10, 24, Some(3_600), As::Quantile(0.5), Ok((Tier::Raw, 3_600))),
            (2_000, year, None, As::Max, Err("TooMuchWork")),
            (
                100,
                30 * 24,
                Some(5_400),
                As::Max,
                Err("StepUnsuitable { multiple_of_s: 3600 }"),
            ),
        ] {
            assert_eq!(
                planned(series, span_h, step_s, how),
                wanted.map_err(str::to_owned),
                "{series} series, {span_h} h, {step_s:?}, {how}"
            );
        }
    }

    #[test]
    fn the_present_is_made_of_points() {
        let at = |s: i64| OffsetDateTime::from_unix_timestamp(s).unwrap();
        let windows = Windows {
            from: at(36_000),
            step_s: 7_200,
            count: 5,
        };
        let plan = Plan {
            windows,
            tier: Tier::Hour,
        };
        let counts = |now: i64| {
            let (hours, points) = plan.settled(windows, at(now));
            assert_eq!(
                points.map_or(windows.to(), |part| part.from),
                hours.map_or(windows.from, |part| part.to())
            );
            (
                hours.map_or(0, |part| part.count),
                points.map_or(0, |part| part.count),
            )
        };
        assert_eq!(counts(36_000 + 7_200 + 119), (0, 5));
        assert_eq!(counts(36_000 + 7_200 + 120), (1, 4));
        assert_eq!(counts(36_000 + 5 * 7_200 + 120), (5, 0));
        assert_eq!(counts(1_000_000), (5, 0));
        assert_eq!(counts(1_000), (0, 5));
    }

    #[test]
    fn what_was_moved_is_in_hours() {
        let at = |s: i64| OffsetDateTime::from_unix_timestamp(s).unwrap();
        let plan = |step_s: i64, count: usize| Plan {
            windows: Windows {
                from: at(36_000),
                step_s,
                count,
            },
            tier: Tier::Raw,
        };
        let counts = |plan: Plan, own: i64| {
            let Parts { moved, mixed, own } = plan.parts(Some(at(own)));
            (
                moved.map_or(0, |part| part.count),
                mixed.map(|(part, moved_s)| (part.from.unix_timestamp(), moved_s)),
                own.map(|part| (part.from.unix_timestamp(), part.count)),
            )
        };
        let day = plan(7_200, 3);
        assert_eq!(counts(day, 36_000), (0, None, Some((36_000, 3))));
        assert_eq!(counts(day, 32_400), (0, None, Some((36_000, 3))));
        assert_eq!(counts(day, 43_200), (1, None, Some((43_200, 2))));
        assert_eq!(counts(day, 46_800), (1, Some((43_200, 3_600)), Some((50_400, 1))));
        assert_eq!(counts(day, 54_000), (2, Some((50_400, 3_600)), None));
        assert_eq!(counts(day, 99_999_600), (3, None, None));
        assert_eq!(counts(plan(60, 3), 99_999_600), (0, None, Some((36_000, 3))));
        assert_eq!(plan(3_600, 1).parts(None).own, Some(plan(3_600, 1).windows));
    }
}
