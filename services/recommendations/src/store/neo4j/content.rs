//! A build's content as rows of the tables that PostgreSQL has, with the same text: so digests are the same. All of it is read,
//! the relationships too; nothing is taken from sums that are kept.

use emporium_event_bus::projection::RowText;
use emporium_service_kit::StoreError;
use neo4rs::BoltType;
use uuid::Uuid;

use super::client::Tx;
use super::rows::{GoodRow, Id, IdRow, PurchaseRow, ReturnRow, WholeBasketRow, id, ids, moment};
use super::statements as cypher;

/// Rows of a page.
const PAGE: usize = 2_000;

/// A table of the projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Basket,
    Purchase,
    Good,
    Return,
}

impl Table {
    /// All of them, in PostgreSQL's order.
    pub const ALL: [Self; 4] = [Self::Basket, Self::Purchase, Self::Good, Self::Return];

    pub fn name(self) -> &'static str {
        match self {
            Self::Basket => "recommendations_basket",
            Self::Purchase => "recommendations_purchase",
            Self::Good => "recommendations_good",
            Self::Return => "recommendations_return",
        }
    }

    /// How many of a row's first fields name it.
    pub fn key(self) -> usize {
        match self {
            Self::Basket | Self::Good => 1,
            Self::Purchase => 3,
            Self::Return => 2,
        }
    }
}

/// What takes rows.
pub(super) type Each<'a> = &'a mut (dyn FnMut(RowText) + Send);

/// Gives each row of a build's table.
pub(super) async fn read(tx: &mut Tx, build: i64, table: Table, each: Each<'_>) -> Result<(), StoreError> {
    match table {
        Table::Basket => baskets(tx, build, each).await,
        Table::Purchase => purchases(tx, build, each).await,
        Table::Good => goods(tx, build, each).await,
        Table::Return => returns(tx, build, each).await,
    }
}

fn page(build: i64, after: Option<Uuid>) -> [(&'static str, BoltType); 3] {
    // Before all ids.
    let after = after.map_or_else(|| "".into(), id);
    let max = i64::try_from(PAGE).unwrap_or(i64::MAX);
    [("build", build.into()), ("after", after), ("max", max.into())]
}

async fn baskets(tx: &mut Tx, build: i64, each: Each<'_>) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let rows: Vec<WholeBasketRow> = tx.rows(&cypher::PAGE_BASKETS, page(build, after)).await?;
        for row in &rows {
            let text = RowText::new()
                .with(row.id.0)
                .with_opt(row.customer.map(|customer| customer.0))
                .with_time(moment(row.at))
                .with(row.size)
                .with_bytes(&row.goods.0)
                .with_numbers(&row.units);
            each(text);
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = Some(last.id.0),
            _ => return Ok(()),
        }
    }
}

async fn purchases(tx: &mut Tx, build: i64, each: Each<'_>) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let baskets: Vec<IdRow> = tx.rows(&cypher::PAGE_BASKETS, page(build, after)).await?;
        let of = ids(baskets.iter().map(|row| row.id.0));
        let parameters = [("build", build.into()), ("ids", of)];
        let rows: Vec<PurchaseRow> = tx.rows(&cypher::PAGE_PURCHASES, parameters).await?;
        for row in rows {
            let text = RowText::new().with(row.good.0).with_time(moment(row.at));
            // One that leads elsewhere than it says is a difference.
            each(text.with(row.id.0).with(i32::from(row.whole)));
        }
        match baskets.last() {
            Some(last) if baskets.len() == PAGE => after = Some(last.id.0),
            _ => return Ok(()),
        }
    }
}

async fn goods(tx: &mut Tx, build: i64, each: Each<'_>) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let rows: Vec<GoodRow> = tx.rows(&cypher::PAGE_GOODS, page(build, after)).await?;
        for row in &rows {
            let sums = row.sums();
            let mut text = RowText::new()
                .with(row.id.0)
                .with(row.version)
                .with(row.active)
                .with(sums.baskets);
            for decayed in [sums.season, sums.week] {
                for slot in 0..2 {
                    text = text.with(decayed.eras[slot]).with(decayed.sums[slot]);
                }
            }
            each(text);
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = Some(last.id.0),
            _ => return Ok(()),
        }
    }
}

async fn returns(tx: &mut Tx, build: i64, each: Each<'_>) -> Result<(), StoreError> {
    let mut after: Option<(Id, Id)> = None;
    loop {
        let (customer, good) = match after {
            Some((customer, good)) => (customer.into(), good.into()),
            None => ("".into(), "".into()),
        };
        let [build, _, max] = page(build, None);
        let parameters = [build, ("customer", customer), ("good", good), max];
        let rows: Vec<ReturnRow> = tx.rows(&cypher::PAGE_RETURNS, parameters).await?;
        for row in &rows {
            each(
                RowText::new()
                    .with(row.customer.0)
                    .with(row.good.0)
                    .with(&row.units),
            );
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = Some((last.customer, last.good)),
            _ => return Ok(()),
        }
    }
}
