//! Ratings as stars, with words for those who do not see them.

use std::collections::HashMap;
use std::time::Duration;

use askama::Template;
use tokio::time::timeout;
use uuid::Uuid;

use crate::app::App;
use crate::clients::reviews::SUMMARIES_MAX;
use crate::pages::assets;
use crate::pages::listing::Card;
use crate::reviews::Rating;

/// Stars on cards are an ornament: a page waits for them no longer than this, and goes without them.
const ORNAMENT_TIMEOUT: Duration = Duration::from_millis(400);

/// Five stars, filled as far as a rating goes.
#[derive(Template)]
#[template(path = "part/stars.html")]
pub struct Stars {
    /// How far they are filled, in hundredths.
    width: u32,
    /// `4.3 out of 5`.
    words: String,
    /// How many ratings this is the mean of, where it is one.
    count: Option<i64>,
    icons: &'static str,
}

impl Stars {
    /// Of one review.
    pub fn of(rating: i64) -> Self {
        let rating = rating.clamp(1, 5);
        Self {
            width: u32::try_from(rating * 20).unwrap_or(0),
            words: format!("{rating} out of 5"),
            count: None,
            icons: &assets::addresses().icons,
        }
    }

    /// Of many; `None` when there are none.
    pub fn mean(rating: &Rating) -> Option<Self> {
        let average = rating.average.filter(|average| average.is_finite())?;
        Some(Self {
            width: hundredths(average),
            words: format!("{average:.1} out of 5"),
            count: Some(rating.count),
            icons: &assets::addresses().icons,
        })
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 100
fn hundredths(average: f64) -> u32 {
    (average * 20.0).round().clamp(0.0, 100.0) as u32
}

/// Puts stars on cards, with one call for all of them.
pub async fn rate(app: &App, lists: &mut [&mut Vec<Card>]) {
    let mut ids: Vec<Uuid> = lists
        .iter()
        .flat_map(|list| list.iter().map(|card| card.id))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.truncate(SUMMARIES_MAX);
    if ids.is_empty() {
        return;
    }
    let summaries = match timeout(ORNAMENT_TIMEOUT, app.clients.reviews.summaries(&ids)).await {
        Ok(Ok(summaries)) => summaries,
        Ok(Err(error)) => {
            tracing::warn!(%error, "cards without stars");
            return;
        }
        Err(_) => {
            tracing::warn!("cards without stars: they took too long");
            return;
        }
    };
    let known: HashMap<Uuid, Rating> = summaries
        .iter()
        .map(|summary| (summary.product_id, Rating::from(summary)))
        .collect();
    for card in lists.iter_mut().flat_map(|list| list.iter_mut()) {
        card.stars = known.get(&card.id).and_then(Stars::mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_are_filled_as_far_as_the_rating_goes() {
        let mean = |average| {
            Stars::mean(&Rating {
                count: 2,
                average,
                ..Rating::default()
            })
        };
        assert_eq!(mean(Some(4.25)).map(|stars| stars.width), Some(85));
        assert_eq!(mean(Some(4.25)).unwrap().words, "4.2 out of 5");
        assert_eq!(mean(Some(1e300)).map(|stars| stars.width), Some(100));
        assert!(mean(None).is_none() && mean(Some(f64::NAN)).is_none());
        assert_eq!((Stars::of(9).width, Stars::of(1).width), (100, 20));
    }
}
