//! Which tier answers a question, and in which steps.

use time::OffsetDateTime;

use super::tier::Tier;
use crate::error::Error;
use crate::question::{Question, Windows};
use crate::store::steps::chosen;

/// The coarsest tier whose points fill steps of this length: all tiers hold the same facts, and this one the fewest rows.
fn tier_for(step_s: i64) -> Tier {
    let fills = |tier: &&Tier| step_s % tier.length_s() == 0;
    Tier::ALL.iter().rev().find(fills).copied().unwrap_or(Tier::Raw)
}

/// Whether a tier still has what the question asks about. Of what is older than all of them, hours tell that it is gone.
fn reaches(tier: Tier, from: OffsetDateTime, now: OffsetDateTime) -> bool {
    tier == Tier::Hour || from >= now.saturating_sub(tier.kept())
}

/// The tier and the steps. What lies before `own_since` was moved here, by the hour.
pub fn plan(
    question: &Question,
    now: OffsetDateTime,
    own_since: Option<OffsetDateTime>,
) -> Result<(Tier, Windows), Error> {
    let (from, to) = (question.from, question.to);
    let is_moved = own_since.is_some_and(|own| from < own);
    let reaches = |tier: Tier| reaches(tier, from, now) && (tier == Tier::Hour || !is_moved);
    let step_s = chosen(question, |step_s| reaches(tier_for(step_s)));
    let tier = tier_for(step_s);
    if !reaches(tier) {
        let coarser = Tier::ALL.into_iter().find(|tier| reaches(*tier));
        let multiple_of_s = coarser.unwrap_or(Tier::Hour).length_s();
        return Err(Error::StepUnsuitable { multiple_of_s });
    }
    Ok((tier, Windows::covering(from, to, step_s)))
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::question::As;

    fn planned(ago_h: i64, span_h: i64, step_s: Option<i64>) -> Result<(Tier, i64), i64> {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_123).unwrap();
        let from = now - Duration::hours(ago_h);
        let question = Question {
            metric: "m".to_owned(),
            labels: [].into(),
            without: Vec::new(),
            by: None,
            from,
            to: from + Duration::hours(span_h),
            step_s,
            how: As::Avg,
        };
        match plan(&question, now, None) {
            Ok((tier, windows)) => Ok((tier, windows.step_s)),
            Err(Error::StepUnsuitable { multiple_of_s }) => Err(multiple_of_s),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn span_and_step_choose_the_tier() {
        let year = 366 * 24;
        for (ago_h, span_h, step_s, wanted) in [
            (1, 1, Some(5), Ok((Tier::Raw, 5))),
            (1, 1, Some(90), Ok((Tier::Raw, 90))),
            (1, 1, Some(60), Ok((Tier::Minute, 60))),
            (1, 1, Some(3_600), Ok((Tier::Hour, 3_600))),
            (2, 1, Some(30), Err(60)),
            (24, 24, Some(120), Ok((Tier::Minute, 120))),
            (24, 24, Some(90), Err(60)),
            (25, 1, Some(60), Err(3_600)),
            (year, year, Some(86_400), Ok((Tier::Hour, 86_400))),
            (2 * year, 24, Some(3_600), Ok((Tier::Hour, 3_600))),
            (1, 1, None, Ok((Tier::Raw, 30))),
            (2, 2, None, Ok((Tier::Minute, 60))),
            (24, 24, None, Ok((Tier::Minute, 600))),
            (48, 1, None, Ok((Tier::Hour, 3_600))),
            (year, year, None, Ok((Tier::Hour, 172_800))),
        ] {
            assert_eq!(
                planned(ago_h, span_h, step_s),
                wanted,
                "{ago_h} h ago, {span_h} h, {step_s:?}"
            );
        }
    }
}
