//! Reading reviews and summaries.

use emporium_service_kit::{Db, StoreError};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Executor, FromRow, Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::filter;
use crate::attributes::Attributes;
use crate::listing::{NewestReviews, ProductReviews, Sort, Viewer, Which};
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

/// The statement of a product's list.
pub(super) fn list(page: &ProductReviews) -> QueryBuilder<Postgres> {
    let mut statement = select(page.viewer.customer);
    statement.push(" WHERE NOT r.hidden AND r.product_id = ");
    statement.push_bind(page.product_id);
    let rank = rank(page.sort);
    if let Some(place) = page.after {
        statement.push(format!(" AND ({rank}, r.id) < ("));
        match page.sort {
            Sort::New => statement.push_bind(place.time()),
            _ => statement.push_bind(place.rank),
        };
        statement.push(", ").push_bind(place.id).push(")");
    }
    if let Some(rating) = page.rating {
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
    statement.push(format!(" ORDER BY {rank} DESC, r.id DESC LIMIT "));
    statement.push_bind(i64::from(page.max));
    statement
}

/// A page of a product's list.
pub async fn of_product(db: &Db, page: &ProductReviews) -> Result<Vec<Review>, StoreError> {
    Ok(all(list(page), db).await?)
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
