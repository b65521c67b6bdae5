//! Reading reviews and summaries.

use emporium_service_kit::{Db, StoreError};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Executor, FromRow, Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::filter;
use crate::attributes::Attributes;
use crate::listing::{Found, NewestReviews, Place, ProductReviews, Sort, Viewer, Which};
use crate::model::{Answer, Review, State, Summary};

/// The generation that is read, once a statement.
pub const LIVE: &str = "(SELECT live FROM reviews_projections WHERE projection = 'reviews.ratings')";

/// The beginning of a statement that reads reviews with what the projection and the viewer's vote add to them. Each combination
/// of filters is a text of its own, so that PostgreSQL plans it for what it is.
fn select(viewer: Option<Uuid>) -> QueryBuilder<Postgres> {
    let mut statement = QueryBuilder::new(
        "SELECT r.id, r.product_id, r.author_id,
                CASE WHEN a.user_id IS NULL THEN r.author_name WHEN a.active THEN a.name END AS author_name,
                r.rating, r.title, r.body, r.attributes, r.answers, r.hidden, r.hidden_reason, r.helpful, r.unhelpful,
                coalesce(s.bought > s.refunded, false) AS verified, r.version, r.created_at, r.updated_at,
                (SELECT v.helpful FROM reviews_vote AS v WHERE v.review_id = r.id AND v.voter_id = ",
    );
    statement.push_bind(viewer);
    // Asked for each review of the page, by its key: joined, one voter's votes on all reviews would be looked for first.
    statement.push(format!(
        ") AS own_vote
         FROM reviews_review AS r
         LEFT JOIN reviews_standing AS s
            ON s.generation = {LIVE} AND s.customer_id = r.author_id AND s.product_id = r.product_id
         LEFT JOIN reviews_author AS a ON a.generation = {LIVE} AND a.user_id = r.author_id"
    ));
    statement
}

#[derive(FromRow)]
struct Row {
    id: Uuid,
    product_id: Uuid,
    author_id: Uuid,
    author_name: Option<String>,
    rating: i16,
    title: String,
    body: String,
    attributes: Json<Attributes>,
    answers: Json<Vec<Answer>>,
    hidden: bool,
    hidden_reason: Option<String>,
    helpful: i64,
    unhelpful: i64,
    verified: bool,
    own_vote: Option<bool>,
    version: i64,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<Row> for Review {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            product_id: row.product_id,
            author_id: row.author_id,
            author_name: row.author_name,
            rating: row.rating,
            title: row.title,
            text: row.body,
            attributes: row.attributes.0,
            state: State::of(!row.hidden),
            hidden_reason: row.hidden_reason,
            verified: row.verified,
            helpful: row.helpful,
            unhelpful: row.unhelpful,
            own_vote: row.own_vote,
            answers: row.answers.0,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

async fn all<'c, E>(mut statement: QueryBuilder<Postgres>, executor: E) -> Result<Vec<Review>, sqlx::Error>
where
    E: Executor<'c, Database = Postgres>,
{
    let rows: Vec<Row> = statement.build_query_as().fetch_all(executor).await?;
    Ok(rows.into_iter().map(Review::from).collect())
}

/// One review, whoever may see it.
pub async fn review<'c, E>(executor: E, id: Uuid, viewer: Viewer) -> Result<Option<Review>, sqlx::Error>
where
    E: Executor<'c, Database = Postgres>,
{
    let mut statement = select(viewer.customer);
    statement.push(" WHERE r.id = ").push_bind(id);
    Ok(all(statement, executor).await?.pop())
}

/// An author's review of a product.
pub async fn own(db: &Db, product_id: Uuid, author_id: Uuid) -> Result<Option<Review>, StoreError> {
    let mut statement = select(Some(author_id));
    statement.push(" WHERE r.author_id = ").push_bind(author_id);
    statement.push(" AND r.product_id = ").push_bind(product_id);
    Ok(all(statement, db).await?.pop())
}

/// What an order sorts by before the id, as its index has it. The newest go by their time and not by their ids alone, which have
/// the same order: else PostgreSQL might take all products' reviews by their ids and look for this product's among them.
fn rank(sort: Sort) -> &'static str {
    match sort {
        Sort::Helpful => "r.score",
        Sort::New => "r.created_at",
        Sort::RatingHigh => "r.rating",
        // `RATING_TURNED`
        Sort::RatingLow => "(6 - r.rating)",
    }
}

/// The rank as [`Place`] has it.
fn numbered(sort: Sort) -> &'static str {
    match sort {
        Sort::Helpful => "r.score",
        Sort::New => "(extract(epoch FROM r.created_at) * 1000000)::bigint",
        Sort::RatingHigh => "r.rating::bigint",
        Sort::RatingLow => "(6 - r.rating)::bigint",
    }
}

/// Where a list is read: from where the page before ended, in an index's order. The rating is part of that where the order goes
/// by it: reviews of other ratings are then not even looked at.
fn push_stretch(statement: &mut QueryBuilder<Postgres>, page: &ProductReviews) {
    statement.push(" WHERE NOT r.hidden AND r.product_id = ");
    statement.push_bind(page.product_id);
    match (page.sort, page.rating) {
        (Sort::RatingHigh, Some(rating)) => statement.push(" AND r.rating = ").push_bind(rating),
        (Sort::RatingLow, Some(rating)) => statement.push(" AND (6 - r.rating) = ").push_bind(6 - rating),
        _ => statement,
    };
    if let Some(place) = page.after {
        push_place(statement, page.sort, "<", place);
    }
}

fn push_place(statement: &mut QueryBuilder<Postgres>, sort: Sort, is: &str, place: Place) {
    statement.push(format!(" AND ({}, r.id) {is} (", rank(sort)));
    match sort {
        Sort::New => statement.push_bind(place.time()),
        _ => statement.push_bind(place.rank),
    };
    statement.push(", ").push_bind(place.id).push(")");
}

/// The statement that finds the last review that a page looks at: two rows where others follow it.
pub(super) fn edge(page: &ProductReviews) -> QueryBuilder<Postgres> {
    let (rank, number) = (rank(page.sort), numbered(page.sort));
    let mut statement = QueryBuilder::new(format!("SELECT {number}, r.id FROM reviews_review AS r"));
    push_stretch(&mut statement, page);
    statement.push(format!(" ORDER BY {rank} DESC, r.id DESC LIMIT 2 OFFSET "));
    statement.push_bind(i64::from(page.look.max(page.max).saturating_sub(1)));
    statement
}

/// The statement of a product's list, up to `last`. One more than the page has shows that there are more.
pub(super) fn list(page: &ProductReviews, last: Option<Place>) -> QueryBuilder<Postgres> {
    let mut statement = select(page.viewer.customer);
    push_stretch(&mut statement, page);
    if let Some(last) = last {
        push_place(&mut statement, page.sort, ">=", last);
    }
    if let Some(rating) = page.rating.filter(|_| !page.sort.is_by_rating()) {
        statement.push(" AND r.rating = ").push_bind(rating);
    }
    if let Some(verified) = page.verified {
        let condition = " AND coalesce(s.bought > s.refunded, false) = ";
        statement.push(condition).push_bind(verified);
    }
    if let Some(predicate) = filter::predicate(&page.attributes) {
        statement
            .push(" AND r.attributes @@ ")
            .push_bind(predicate)
            .push("::jsonpath");
    }
    let rank = rank(page.sort);
    statement.push(format!(" ORDER BY {rank} DESC, r.id DESC LIMIT "));
    statement.push_bind(i64::from(page.max) + 1);
    statement
}

/// A page of a product's list.
pub async fn of_product(db: &Db, page: &ProductReviews) -> Result<Found, StoreError> {
    let (mut items, last) = if looks_through(page) {
        look_through(db, page).await?
    } else {
        (all(list(page, None), db).await?, None)
    };
    let is_full = items.len() > page.max as usize;
    items.truncate(page.max as usize);
    let shown = items.last().map(|review| Place::of(review, page.sort));
    Ok(Found {
        next: if is_full { shown } else { last },
        items,
    })
}

/// Leaves one way to read a list: along its order's index, row by row. Other ways, such as sorting what another index finds, pay
/// where few reviews fit, and read all of a product's reviews where that was guessed wrong.
pub(super) const ALONG_THE_INDEX: &str = "
    SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
           set_config('enable_sort', 'off', true), set_config('enable_hashjoin', 'off', true),
           set_config('enable_mergejoin', 'off', true)";

/// Looks at a stretch of a list for what fits; gives it, at most one more than the page has, and the stretch's last review when
/// others follow. The stretch is measured in reviews and then read by its ends, so whatever changes in between, the next page
/// begins where this one stopped looking.
async fn look_through(db: &Db, page: &ProductReviews) -> Result<(Vec<Review>, Option<Place>), sqlx::Error> {
    let mut tx = db.begin().await?;
    sqlx::query(ALONG_THE_INDEX).execute(&mut tx).await?;
    let ends: Vec<(i64, Uuid)> = edge(page).build_query_as().fetch_all(&mut tx).await?;
    let last = match ends[..] {
        [(rank, id), _] => Some(Place {
            sort: page.sort,
            rank,
            id,
        }),
        _ => None,
    };
    let items = all(list(page, last), &mut tx).await?;
    tx.rollback().await?;
    Ok((items, last))
}

/// Whether reviews are read that may not fit.
fn looks_through(page: &ProductReviews) -> bool {
    let rating = page.rating.is_some() && !page.sort.is_by_rating();
    rating || page.verified.is_some() || !page.attributes.is_empty()
}

/// The statement of a list of the newest.
pub(super) fn newest_statement(page: &NewestReviews) -> QueryBuilder<Postgres> {
    let mut statement = select(None);
    match page.which {
        Which::By(author) => statement.push(" WHERE r.author_id = ").push_bind(author),
        Which::In(State::Visible) => statement.push(" WHERE NOT r.hidden"),
        Which::In(State::Hidden) => statement.push(" WHERE r.hidden"),
    };
    if let Some(before) = page.before {
        statement.push(" AND r.id < ").push_bind(before);
    }
    statement
        .push(" ORDER BY r.id DESC LIMIT ")
        .push_bind(i64::from(page.max));
    statement
}

/// A page of the newest.
pub async fn newest(db: &Db, page: &NewestReviews) -> Result<Vec<Review>, StoreError> {
    Ok(all(newest_statement(page), db).await?)
}

/// How products are rated.
pub async fn summaries(db: &Db, products: &[Uuid]) -> Result<Vec<Summary>, StoreError> {
    type Counts = (Uuid, i64, i64, i64, i64, i64, i64);
    let sql = format!(
        "SELECT product_id, ratings_1, ratings_2, ratings_3, ratings_4, ratings_5, verified
         FROM reviews_summary WHERE generation = {LIVE} AND product_id = ANY ($1)"
    );
    let rows: Vec<Counts> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(products)
        .fetch_all(db)
        .await?;
    let summary = |(id, r1, r2, r3, r4, r5, verified)| Summary::of(id, [r1, r2, r3, r4, r5], verified);
    Ok(rows.into_iter().filter_map(summary).collect())
}
