//! One page of a list.

use emporium_service_kit::Db;
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
    pub any_word: bool,
    pub place: Option<&'a Place>,
    /// True when too many match for ranking them all.
    pub broad: bool,
}

#[derive(FromRow)]
struct Row {
    product_id: Uuid,
    in_stock: bool,
    popularity: i64,
    price: i64,
    created_at: OffsetDateTime,
    sort_name: String,
    score: i64,
}

/// The ids of the page, and the place of its last product when there are more.
pub async fn read(db: &Db, request: &Request<'_>) -> Result<(Vec<Uuid>, Option<Place>), sqlx::Error> {
    let mut sql = match (request.sort, request.words) {
        (Sort::Relevance, Some(words)) => by_relevance(request, words),
        _ => by_column(request),
    };
    let limit = usize::try_from(request.query.limit).unwrap_or(usize::MAX);
    sql.push(" LIMIT ").push_bind(i64::from(request.query.limit) + 1);
    // A statement with words or attributes is planned for them each time: one plan for all suits few of them.
    let persistent = request.words.is_none() && request.query.attributes.is_empty();
    let mut rows: Vec<Row> = sql.build_query_as().persistent(persistent).fetch_all(db).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| Place {
        key: key_of(row, request.sort),
        any_word: request.any_word,
        id: row.product_id,
    });
    Ok((rows.into_iter().map(|row| row.product_id).collect(), next))
}

fn key_of(row: &Row, sort: Sort) -> Key {
    match sort {
        Sort::Relevance => Key::Relevance(row.score),
        Sort::Popular => Key::Popular(row.in_stock, row.popularity),
        Sort::Newest => Key::Newest(micros_of(row.created_at)),
        Sort::PriceAsc => Key::PriceAsc(row.price),
        Sort::PriceDesc => Key::PriceDesc(row.price),
        Sort::Name => Key::Name(row.sort_name.clone()),
    }
}

const COLUMNS: &str = "e.product_id, e.in_stock, e.popularity, e.price, e.created_at, e.sort_name";

/// Sorts that an index gives: the page begins right after the cursor's place in it.
fn by_column(request: &Request<'_>) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(format!("SELECT {COLUMNS}, 0::bigint AS score"));
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
        Key::Relevance(score) => sql.push(" AND (score, product_id) < (").push_bind(*score),
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
fn by_relevance(request: &Request<'_>, words: &Words) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(format!("WITH hits AS MATERIALIZED (SELECT {COLUMNS}, t.words"));
    push_list(&mut sql, request.query, Some(words.expression(request.any_word)));
    if request.broad {
        sql.push(" ORDER BY e.in_stock DESC, e.popularity DESC, e.product_id DESC LIMIT ")
            .push_bind(BROAD_RANKED_MAX);
    } else {
        sql.push(" LIMIT ").push_bind(TOTAL_EXACT_MAX);
    }
    sql.push(format!(
        "), scored AS (SELECT {COLUMNS}, (1e6 * (1 + 0.05 * ln(1 + greatest(e.popularity, 0)))
           * CASE WHEN e.in_stock THEN 1 ELSE 0.5 END * ("
    ));
    sql.push(format!(
        "(SELECT sum(w.weight * ts_rank({PART_WEIGHTS}, e.words, w.query::tsquery, 1)) FROM unnest("
    ));
    sql.push_bind(words.queries.clone())
        .push("::text[], ")
        .push_bind(words.weights.clone())
        .push(format!(
            "::real[]) AS w (query, weight)) + ts_rank_cd({PART_WEIGHTS}, e.words, "
        ))
        .push_bind(words.all().to_owned())
        .push("::tsquery, 1)");
    if request.any_word {
        sql.push(" + CASE WHEN e.words @@ ")
            .push_bind(words.all().to_owned())
            .push(format!("::tsquery THEN {ALL_WORDS_BONUS} ELSE 0 END"));
    }
    sql.push("))::bigint AS score FROM hits AS e) SELECT * FROM scored WHERE true");
    if let Some(place) = request.place {
        push_after(&mut sql, place);
    }
    sql.push(" ORDER BY score DESC, product_id DESC");
    sql
}
