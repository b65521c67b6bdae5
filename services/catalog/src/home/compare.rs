//! Two indexes, product by product, while products go on changing.
//!
//! Neither stands still, and an index outside follows within a second; so there is no moment at which both could be counted. What
//! is compared is each product: both have to be seen with the same version of it, in the same words. Those that are not are
//! looked at again. An index only moves forward, so one that was seen with what the other had is not behind by more than that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use emporium_event_bus::projection::{Digest, Digester};
use emporium_service_kit::StoreError;
use futures::try_join;
use tokio::time::Instant;
use uuid::Uuid;

use super::Index;
use crate::search::Row;

/// Products that are compared at a time.
const PAGE: usize = 200;
/// Between two looks at products that differ: a refresh of the index and a step of what feeds it.
const PAUSE: Duration = Duration::from_millis(300);
/// How long products may differ, in all.
const SETTLE_MAX: Duration = Duration::from_secs(20);
/// Of the digest; the same for every index.
const TABLE: &str = "listed products";

impl Index {
    async fn rows(&self, after: Uuid, upto: Option<Uuid>, max: usize) -> Result<Vec<Row>, StoreError> {
        match &self.indexer {
            Some(indexer) => Ok(indexer.outside().index.rows(after, upto, max).await?),
            None => Ok(self.store.search.rows(after, upto, max).await?),
        }
    }

    /// All of a range.
    async fn range(&self, after: Uuid, upto: Option<Uuid>) -> Result<Vec<Row>, StoreError> {
        let mut all: Vec<Row> = Vec::new();
        loop {
            let from = all.last().map_or(after, |row| row.id);
            let some = self.rows(from, upto, PAGE).await?;
            let is_end = some.len() < PAGE;
            all.extend(some);
            if is_end {
                return Ok(all);
            }
        }
    }

    /// Lets everything be found that is written.
    async fn refresh(&self) -> Result<(), StoreError> {
        let Some(indexer) = &self.indexer else {
            return Ok(());
        };
        Ok(indexer
            .outside()
            .index
            .refresh(indexer.outside().index.alias())
            .await?)
    }
}

/// What was seen of a product in one of the indexes; `None`: it was not there.
type Seen = BTreeSet<Option<String>>;

/// What was seen of the products of a range, in both.
#[derive(Default)]
struct Range(BTreeMap<Uuid, [Seen; 2]>);

impl Range {
    /// Notes what both have now, of all products or of those that were noted before.
    fn note(&mut self, rows: [Vec<Row>; 2], only_known: bool) {
        let [own, other] = rows.map(|rows| -> BTreeMap<Uuid, String> {
            rows.into_iter().map(|row| (row.id, row.text)).collect()
        });
        if !only_known {
            for id in own.keys().chain(other.keys()) {
                self.0.entry(*id).or_default();
            }
        }
        for (id, [here, there]) in &mut self.0 {
            here.insert(own.get(id).cloned());
            there.insert(other.get(id).cloned());
        }
    }

    /// Takes out those that both were seen with alike, and counts them.
    fn settle(&mut self, sums: &mut [Digester; 2]) {
        self.0.retain(|_, [here, there]| {
            let Some(common) = here.intersection(there).last() else {
                return true;
            };
            if let Some(text) = common {
                for sum in &mut *sums {
                    sum.add(text);
                }
            }
            false
        });
    }

    /// Counts what is left, as it was seen once.
    fn give_up(self, sums: &mut [Digester; 2]) {
        for (_, seen) in self.0 {
            for (sum, seen) in sums.iter_mut().zip(seen) {
                if let Some(Some(text)) = seen.into_iter().next_back() {
                    sum.add(&text);
                }
            }
        }
    }
}

/// The digests of both. They are equal when every product was seen alike.
pub async fn both(here: &Index, there: &Index) -> Result<(Digest, Digest), StoreError> {
    let mut sums = [Digester::default(), Digester::default()];
    let deadline = Instant::now() + SETTLE_MAX;
    let mut after = Uuid::nil();
    try_join!(here.refresh(), there.refresh())?;
    loop {
        let (own, other) = try_join!(here.rows(after, None, PAGE), there.rows(after, None, PAGE))?;
        let full = [&own, &other].into_iter().filter(|rows| rows.len() >= PAGE);
        let upto = full.filter_map(|rows| rows.last().map(|row| row.id)).min();
        let mut range = Range::default();
        range.note([own, other].map(|rows| within(rows, upto)), false);
        range.settle(&mut sums);
        while !range.0.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(PAUSE).await;
            try_join!(here.refresh(), there.refresh())?;
            let (own, other) = try_join!(here.range(after, upto), there.range(after, upto))?;
            range.note([own, other], true);
            range.settle(&mut sums);
        }
        range.give_up(&mut sums);
        match upto {
            Some(upto) => after = upto,
            None => break,
        }
    }
    let [own, other] = sums.map(|sum| sum.finish(TABLE));
    Ok((own, other))
}

fn within(mut rows: Vec<Row>, upto: Option<Uuid>) -> Vec<Row> {
    rows.retain(|row| upto.is_none_or(|upto| row.id <= upto));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(u128, &str)]) -> Vec<Row> {
        let row = |(id, text): &(u128, &str)| Row {
            id: Uuid::from_u128(*id),
            text: (*text).to_owned(),
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn products_that_change_meanwhile_are_alike_and_others_are_not() {
        let mut sums = [Digester::default(), Digester::default()];
        let mut range = Range::default();
        range.note(
            [
                rows(&[(1, "a1"), (2, "b2"), (3, "c1"), (5, "e1")]),
                rows(&[(1, "a1"), (2, "b1"), (4, "d1")]),
            ],
            false,
        );
        range.settle(&mut sums);
        assert_eq!(range.0.len(), 4);
        // b was followed while it went on; c is still missing; d went; e is another one.
        range.note(
            [
                rows(&[(2, "b3"), (3, "c1"), (5, "e1"), (6, "f1")]),
                rows(&[(2, "b2"), (5, "x")]),
            ],
            true,
        );
        range.settle(&mut sums);
        assert_eq!(
            range.0.keys().map(Uuid::as_u128).collect::<Vec<_>>(),
            [3, 5],
            "f was not asked for"
        );
        range.give_up(&mut sums);
        let [own, other] = sums.map(|sum| sum.finish(TABLE));
        assert_eq!((own.rows, other.rows), (4, 3));
        assert_ne!(own.digest, other.digest);
    }
}
