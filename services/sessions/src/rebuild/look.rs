//! Asking the store, and putting right what differs.

use std::collections::HashMap;

use emporium_event_bus::ApplyError;
use emporium_event_bus::history;
use emporium_event_bus::projection::{BuildError, Comparison, DIFFERENCES_MAX};
use time::OffsetDateTime;
use uuid::Uuid;

use super::judge::{News, Side, Verdict, line};
use super::{Comparer, news_of};
use crate::events::UPDATED;
use crate::store::{Correction, STANDINGS_MAX, Standing};

const MORE: &str = "… and more";

/// What one look at the store found.
#[derive(Default)]
pub struct Found {
    live: Side,
    rebuilt: Side,
    pub lacking: Vec<Correction>,
    wrong: Vec<Correction>,
    ahead: Vec<(Standing, News)>,
}

impl Comparer {
    /// Asks the store of all these users.
    pub async fn look(&self, newest: &HashMap<Uuid, News>, cursor: i64) -> Result<Found, BuildError> {
        let oldest = self.now() - self.lifetime;
        let mut users: Vec<Uuid> = newest.keys().copied().collect();
        // In an order that is the same every time.
        users.sort_unstable();
        let mut found = Found::default();
        for some in users.chunks(STANDINGS_MAX) {
            for standing in self.store.standings(some).await.map_err(ApplyError::from)? {
                found.judge(standing, newest[&standing.user_id], oldest);
            }
        }
        if !found.ahead.is_empty() {
            self.look_ahead(&mut found, cursor, oldest).await?;
        }
        Ok(found)
    }

    /// Forgets those users of a page of whom nothing is to be told. News that comes on a later page brings them back.
    pub async fn forget_passed(
        &self,
        newest: &mut HashMap<Uuid, News>,
        page: &[(Uuid, News)],
    ) -> Result<(), ApplyError> {
        let oldest = self.now() - self.lifetime;
        let mut users: Vec<Uuid> = page.iter().map(|(user, _)| *user).collect();
        users.sort_unstable();
        users.dedup();
        for some in users.chunks(STANDINGS_MAX) {
            for found in self.store.standings(some).await? {
                let is_told = |news: &News| news.judge(&found, oldest) != Verdict::Passed;
                if !newest.get(&found.user_id).is_some_and(is_told) {
                    newest.remove(&found.user_id);
                }
            }
        }
        Ok(())
    }

    /// Reads what the history has got since, for users of whom the store knows more than was read.
    async fn look_ahead(
        &self,
        found: &mut Found,
        cursor: i64,
        oldest: OffsetDateTime,
    ) -> Result<(), BuildError> {
        let mut ahead: HashMap<Uuid, (Standing, Vec<News>)> = std::mem::take(&mut found.ahead)
            .into_iter()
            .map(|(standing, news)| (standing.user_id, (standing, vec![news])))
            .collect();
        let mut after = cursor;
        loop {
            let page = history::fetch_page(&self.users, after)
                .await
                .map_err(|error| ApplyError::Unavailable(error.to_string()))?;
            for item in page.items.iter().filter(|item| item.event.kind == UPDATED) {
                let (user, news) = news_of(item)?;
                if let Some((_, later)) = ahead.get_mut(&user) {
                    later.push(news);
                }
            }
            if page.at_end {
                break;
            }
            after = page.next_after;
        }
        for (standing, later) in ahead.into_values() {
            let same = later.iter().find(|news| news.version == standing.version);
            let newest = later.iter().max_by_key(|news| news.version);
            if let Some(news) = same.or(newest) {
                found.judge(standing, *news, oldest);
            }
        }
        // None of the history has these.
        for (standing, news) in std::mem::take(&mut found.ahead) {
            found.differs(standing, news, oldest, true);
        }
        Ok(())
    }

    /// Puts right what differs.
    pub async fn mend(&self, found: &Found) -> Result<(), ApplyError> {
        for some in found.lacking.chunks(STANDINGS_MAX) {
            let news: Vec<Standing> = some.iter().map(|lacking| lacking.right).collect();
            self.store.set_blocked(&news).await?;
        }
        for some in found.wrong.chunks(STANDINGS_MAX) {
            self.store.correct(some).await?;
        }
        Ok(())
    }
}

impl Found {
    fn judge(&mut self, standing: Standing, news: News, oldest: OffsetDateTime) {
        match news.judge(&standing, oldest) {
            Verdict::Passed => {}
            Verdict::Equal => {
                self.live.add(&standing);
                self.rebuilt.add(&standing);
            }
            Verdict::Lacking => self.differs(standing, news, oldest, false),
            Verdict::Wrong => self.differs(standing, news, oldest, true),
            Verdict::Ahead => self.ahead.push((standing, news)),
        }
    }

    fn differs(&mut self, found: Standing, news: News, oldest: OffsetDateTime, wrong: bool) {
        let right = news.of(found.user_id);
        self.live.add(&found);
        if news.at >= oldest.unix_timestamp() {
            self.rebuilt.add(&right);
        }
        let list = if wrong { &mut self.wrong } else { &mut self.lacking };
        list.push(Correction { found, right });
    }

    /// With what was found before this, by a member that died.
    pub fn comparison(&self, before: Option<&Comparison>) -> Comparison {
        let mut differences = before
            .map(|before| before.differences.clone())
            .unwrap_or_default();
        let told = self.lacking.iter().chain(&self.wrong);
        for line in told.map(|wrong| line(&wrong.found, &wrong.right)) {
            if differences.len() == DIFFERENCES_MAX {
                MORE.clone_into(&mut differences[DIFFERENCES_MAX - 1]);
                break;
            }
            if !differences.contains(&line) {
                differences.push(line);
            }
        }
        Comparison {
            tables: vec![self.live.against(self.rebuilt)],
            differences,
            position: before.and_then(|before| before.position),
        }
    }
}
