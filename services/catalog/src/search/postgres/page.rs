//! One page of a list.

use emporium_service_kit::Db;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use super::push_list;
use super::words::Words;
use crate::search::cursor::{Key, Place, micros_of, time_of};
use crate::search::{SearchQuery, Sort, TOTAL_EXACT_MAX};

/// When more match than can be ranked in good time, so many of the most popular ones are ranked.
const BROAD_RANKED_MAX: i64 = 1_000;
/// How much a word in each part says, as `ts_rank` wants it: description, attributes, brand and category, name.
/// Chosen on human judgments of 67 queries against the Icecat catalogue.
const PART_WEIGHTS: &str = "'{0.3,0.1,0.6,1.0}'";
/// Added to the score of products with all the words when others are listed as well; no score reaches it.
const ALL_WORDS_BONUS: &str = "10.0";

/// What page is wanted.
pub struct Request<'a> {
    pub query: &'a SearchQuery,
    pub sort: Sort,
    pub words: Option<&'a Words>,
    /// How much each word says in this list.
    pub weights: &'a [f32],
    pub any_word: bool,
    pub place: Option<&'a Place>,
    /// True when too many match for ranking them all.
    pub broad: bool,
}

impl Request<'_> {
    /// How many products were shown before, when the pages so far were another adapter's, whose scores mean nothing here.
    fn shown_elsewhere(&self) -> Option<i64> {
        let place = self.place?;
        matches!(place.key, Key::Score(..)).then(|| i64::from(place.shown).min(TOTAL_EXACT_MAX))
    }
}

/// A product of a page with what it was sorted by.
#[derive(FromRow)]
struct Row {
    product_id: Uuid,
    in_stock: bool,
    popularity: i64,
    price: i64,
    created_at: OffsetDateTime,
    sort_name: String,
}

/// A product of a page with how well it matches, in millionths.
#[derive(FromRow)]
struct Ranked {
    product_id: Uuid,
    score: i64,
}

/// The ids of the page, and the place of its last product when there are more.
pub async fn read(db: &Db, request: &Request<'_>) -> Result<(Vec<Uuid>, Option<Place>), sqlx::Error> {
    let (mut ids, last) = if let (Sort::Relevance, Some(words)) = (request.sort, request.words) {
        let rows: Vec<Ranked> = rows(db, request, by_relevance(request, words)).await?;
        let key = |row: &Ranked| Key::Relevance(row.score, request.weights.to_vec());
        let last = last_of_page(&rows, request).map(|row| (key(row), row.product_id));
        (rows.iter().map(|row| row.product_id).collect::<Vec<_>>(), last)
    } else {
        let rows: Vec<Row> = rows(db, request, by_column(request)).await?;
        let last = last_of_page(&rows, request).map(|row| (key_of(row, request.sort), row.product_id));
        (rows.iter().map(|row| row.product_id).collect(), last)
    };
    ids.truncate(page_size(request));
    let shown = match request.sort {
        Sort::Relevance => Place::shown_after(request.place, ids.len()),
        _ => 0,
    };
    let next = last.map(|(key, id)| Place {
        key,
        any_word: request.any_word,
        shown,
        id,
    });
    Ok((ids, next))
}

/// The page's rows, and one more when there is one.
async fn rows<R>(
    db: &Db,
    request: &Request<'_>,
    mut sql: QueryBuilder<Postgres>,
) -> Result<Vec<R>, sqlx::Error>
where
    R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    sql.push(" LIMIT ").push_bind(i64::from(request.query.limit) + 1);
    if let Some(shown) = request.shown_elsewhere() {
        sql.push(" OFFSET ").push_bind(shown);
    }
    // A statement with words or attributes is planned for them each time: one plan for all suits few of them.
    let persistent = request.words.is_none() && request.query.attributes.is_empty();
    sql.build_query_as().persistent(persistent).fetch_all(db).await
}

fn page_size(request: &Request<'_>) -> usize {
    usize::try_from(request.query.limit).unwrap_or(usize::MAX)
}

/// The last row of the page when another one follows it.
fn last_of_page<'a, R>(rows: &'a [R], request: &Request<'_>) -> Option<&'a R> {
    let size = page_size(request);
    (rows.len() > size).then(|| rows.get(size.checked_sub(1)?))?
}

fn key_of(row: &Row, sort: Sort) -> Key {
    match sort {
        // Without words there is nothing to match, so `relevance` is `popular`.
        Sort::Relevance | Sort::Popular => Key::Popular(row.in_stock, row.popularity),
        Sort::Newest => Key::Newest(micros_of(row.created_at)),
        Sort::PriceAsc => Key::PriceAsc(row.price),
        Sort::PriceDesc => Key::PriceDesc(row.price),
        Sort::Name => Key::Name(row.sort_name.clone()),
    }
}

/// Sorts that an index gives: the page begins right after the cursor's place in it.
fn by_column(request: &Request<'_>) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(
        "SELECT e.product_id, e.in_stock, e.popularity, e.price, e.created_at, e.sort_name",
    );
    let expression = request.words.map(|words| words.expression(request.any_word));
    push_list(&mut sql, request.query, expression);
    if let Some(place) = request.place {
        push_after(&mut sql, place);
    }
    sql.push(match request.sort {
        Sort::Relevance | Sort::Popular => " ORDER BY e.in_stock DESC, e.popularity DESC, e.product_id DESC",
        Sort::Newest => " ORDER BY e.created_at DESC, e.product_id DESC",
        Sort::PriceAsc => " ORDER BY e.price, e.product_id",
        Sort::PriceDesc => " ORDER BY e.price DESC, e.product_id DESC",
        Sort::Name => " ORDER BY e.sort_name, e.product_id",
    });
    sql
}

fn push_after(sql: &mut QueryBuilder<Postgres>, place: &Place) {
    match &place.key {
        Key::Score(..) => return,
        Key::Relevance(score, _) => sql.push(" AND (score, product_id) < (").push_bind(*score),
        Key::Popular(in_stock, popularity) => sql
            .push(" AND (e.in_stock, e.popularity, e.product_id) < (")
            .push_bind(*in_stock)
            .push(", ")
            .push_bind(*popularity),
        Key::Newest(micros) => sql
            .push(" AND (e.created_at, e.product_id) < (")
            .push_bind(time_of(*micros)),
        Key::PriceAsc(price) => sql.push(" AND (e.price, e.product_id) > (").push_bind(*price),
        Key::PriceDesc(price) => sql.push(" AND (e.price, e.product_id) < (").push_bind(*price),
        Key::Name(name) => sql
            .push(" AND (e.sort_name, e.product_id) > (")
            .push_bind(name.clone()),
    };
    sql.push(", ").push_bind(place.id).push(")");
}

/// Best match first. `ts_rank` knows nothing of how rare a word is, so it is asked word by word and the words are weighed
/// here; `ts_rank_cd` adds how close together they stand. Popular products, and ones in stock, get ahead of equal matches.
///
/// The inner `LIMIT` and the `OFFSET 0` keep the planner from merging the levels, so each product is ranked once though its
/// score is read twice.
fn by_relevance(request: &Request<'_>, words: &Words) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(
        "SELECT product_id, score FROM (SELECT e.product_id, (1e6 * (1 + 0.05 * ln(1 + greatest(e.popularity, 0)))
           * CASE WHEN e.in_stock THEN 1 ELSE 0.5 END * (",
    );
    push_match(&mut sql, request, words);
    sql.push("))::bigint AS score FROM (SELECT e.product_id, e.in_stock, e.popularity, t.words");
    push_list(&mut sql, request.query, Some(words.expression(request.any_word)));
    if request.broad {
        sql.push(" ORDER BY e.in_stock DESC, e.popularity DESC, e.product_id DESC LIMIT ")
            .push_bind(BROAD_RANKED_MAX);
    } else {
        sql.push(" LIMIT ").push_bind(TOTAL_EXACT_MAX);
    }
    sql.push(") AS e OFFSET 0) AS scored WHERE true");
    if let Some(place) = request.place {
        push_after(&mut sql, place);
    }
    sql.push(" ORDER BY score DESC, product_id DESC");
    sql
}

/// How well the words match. Each word is a constant of the statement, so it is parsed once and not for each product.
fn push_match(sql: &mut QueryBuilder<Postgres>, request: &Request<'_>, words: &Words) {
    for (query, weight) in words.queries.iter().zip(request.weights) {
        sql.push_bind(*weight)
            .push(format!(" * ts_rank({PART_WEIGHTS}, e.words, "))
            .push_bind(query.clone())
            .push("::tsquery, 1) + ");
    }
    sql.push(format!("ts_rank_cd({PART_WEIGHTS}, e.words, "))
        .push_bind(words.all().to_owned())
        .push("::tsquery, 1)");
    if request.any_word {
        sql.push(" + CASE WHEN e.words @@ ")
            .push_bind(words.all().to_owned())
            .push(format!("::tsquery THEN {ALL_WORDS_BONUS} ELSE 0 END"));
    }
}
