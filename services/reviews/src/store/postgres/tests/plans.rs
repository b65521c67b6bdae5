//! What PostgreSQL makes of the statements, at a size at which a scan would show.

use emporium_service_kit::{Db, ServiceName, Tx};
use emporium_test_kit::{TestPostgres, connect};
use sqlx::{AssertSqlSafe, Execute, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{on, opinion};
use crate::attributes::AttributeFilter;
use crate::listing::{LOOK_MAX, NewestReviews, Place, ProductReviews, Sort, Viewer, Which};
use crate::model::State;
use crate::store::contract::Bench;
use crate::store::postgres::read;
use crate::store::{AnswerDraft, Draft, Edit, Moderation, Posted};

const REVIEWS: u32 = 60_000;
/// The first product has a third of all reviews.
pub const PRODUCTS: u32 = 500;

pub fn numbered(kind: u32, n: u32) -> Uuid {
    format!("0190{kind:04x}-0000-7000-8000-{n:012x}").parse().unwrap()
}

/// Reviews, votes, purchases and names in numbers at which a scan would show.
pub async fn fill(db: &Db) {
    let id = |kind: u32, n: &str| {
        format!("('0190{kind:04x}-0000-7000-8000-' || lpad(to_hex({n}), 12, '0'))::uuid")
    };
    let product = id(1, &format!("CASE WHEN n % 3 = 0 THEN 0 ELSE n % {PRODUCTS} END"));
    let (review, author, voter) = (id(0, "n"), id(2, "n"), id(3, "n"));
    let rows = format!("FROM generate_series(1, {REVIEWS}) AS n");
    let statements = [
        format!(
            "INSERT INTO reviews_review (id, product_id, author_id, rating, title, body, attributes, hidden, hidden_reason,
                helpful, created_at, updated_at)
             SELECT {review}, {product}, {author}, 1 + n % 5, 'Title', repeat('Some words. ', 20),
                jsonb_build_object('size', n % 5000, 'pros', jsonb_build_array('p' || n % 7)), n % 50 = 0,
                CASE WHEN n % 50 = 0 THEN 'x' END, n % 11, now() + n * interval '1 ms', now() {rows}"
        ),
        format!("INSERT INTO reviews_vote SELECT {review}, {voter}, true {rows}"),
        format!(
            "INSERT INTO reviews_standing (generation, customer_id, product_id, bought, rating, visible, version)
             SELECT 0, {author}, {product}, n % 2, 1 + n % 5, n % 50 <> 0, 1 {rows}"
        ),
        format!("INSERT INTO reviews_author SELECT 0, {author}, 'Name', true, 1 {rows}"),
        format!(
            "INSERT INTO reviews_summary SELECT 0, product_id, count(*), 0, 0, 0, 0, 0 FROM
             (SELECT {product} AS product_id {rows}) AS p GROUP BY product_id"
        ),
    ];
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement)).execute(db).await.unwrap();
    }
    sqlx::query("VACUUM ANALYZE").execute(db).await.unwrap();
}

/// The plan of a statement, with the values that it is given.
async fn plan(db: &Db, statement: QueryBuilder<Postgres>) -> String {
    explained(&mut db.begin().await.unwrap(), statement).await
}

/// The same of a statement that looks for what fits.
async fn plan_along(db: &Db, statement: QueryBuilder<Postgres>) -> String {
    let mut tx = db.begin().await.unwrap();
    sqlx::query(read::ALONG_THE_INDEX).execute(&mut tx).await.unwrap();
    explained(&mut tx, statement).await
}

async fn explained(tx: &mut Tx, mut statement: QueryBuilder<Postgres>) -> String {
    let sql = format!("EXPLAIN {}", statement.sql().as_str());
    let arguments = statement.build().take_arguments().unwrap().unwrap();
    let lines: Vec<String> = sqlx::query_scalar_with(AssertSqlSafe(sql), arguments)
        .fetch_all(tx)
        .await
        .unwrap();
    lines.join("\n")
}

/// Whether a plan reads a large table, or a large index, from end to end.
fn scans(plan: &str) -> bool {
    let large = [
        "reviews_review",
        "reviews_vote",
        "reviews_standing_g0",
        "reviews_author_g0",
    ];
    large
        .iter()
        .any(|table| plan.contains(&format!("Seq Scan on {table} ")))
        || plan.contains("Index Cond: (voter_id = ")
}

fn scans_or_sorts(plan: &str) -> bool {
    scans(plan) || plan.contains("Sort")
}

pub fn pages() -> Vec<ProductReviews> {
    let mut pages = Vec::new();
    for product in [numbered(1, 0), numbered(1, 7)] {
        for sort in Sort::ALL {
            for after in [
                None,
                Some(Place {
                    sort,
                    rank: 3,
                    id: numbered(0, REVIEWS / 2),
                }),
            ] {
                let page = ProductReviews {
                    product_id: product,
                    sort,
                    rating: None,
                    verified: None,
                    attributes: Vec::new(),
                    viewer: Viewer::customer(numbered(3, 5)),
                    after,
                    max: 20,
                    look: LOOK_MAX,
                };
                pages.push(page);
            }
        }
    }
    pages
}

fn filtered(page: &ProductReviews) -> Vec<ProductReviews> {
    let by = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        AttributeFilter::read_all(&texts).unwrap()
    };
    vec![
        ProductReviews {
            rating: Some(2),
            ..page.clone()
        },
        ProductReviews {
            verified: Some(true),
            ..page.clone()
        },
        ProductReviews {
            attributes: by(&["pros:p3"]),
            ..page.clone()
        },
        ProductReviews {
            attributes: by(&["size:33"]),
            ..page.clone()
        },
        ProductReviews {
            attributes: by(&["size:33", "pros:p3"]),
            rating: Some(1),
            verified: Some(false),
            ..page.clone()
        },
    ]
}

/// Lists come in the order of an index, without sorting; no filter reads a table from end to end.
#[tokio::test(flavor = "multi_thread")]
async fn lists_come_from_indexes() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Reviews, 4);
    on(db.clone()).await;
    fill(&db).await;
    for page in pages() {
        let plan = plan(&db, read::list(&page, None)).await;
        assert!(!scans_or_sorts(&plan), "{:?}\n{plan}", page.sort);
        let index = match page.sort {
            Sort::Helpful => "reviews_review_helpful",
            Sort::New => "reviews_review_new",
            Sort::RatingHigh => "reviews_review_best",
            Sort::RatingLow => "reviews_review_worst",
        };
        assert!(plan.contains(index), "{:?}\n{plan}", page.sort);
        if page.after.is_some() {
            // The index begins where the page does.
            let from = plan
                .lines()
                .find(|line| line.contains("Index Cond: ((product_id"))
                .unwrap();
            assert!(from.contains("ROW("), "{plan}");
        }
        for page in filtered(&page) {
            let plan = plan_along(&db, read::edge(&page)).await;
            assert!(!scans_or_sorts(&plan), "{page:?}\n{plan}");
            assert!(plan.contains(index), "{page:?}\n{plan}");
            let last = Some(Place {
                sort: page.sort,
                rank: 1,
                id: numbered(0, 1),
            });
            let plan = plan_along(&db, read::list(&page, last)).await;
            assert!(!scans_or_sorts(&plan), "{page:?}\n{plan}");
            assert!(plan.contains(index), "{page:?}\n{plan}");
        }
    }
    for which in [
        Which::By(numbered(2, 5)),
        Which::In(State::Visible),
        Which::In(State::Hidden),
    ] {
        let page = NewestReviews {
            which,
            before: Some(numbered(0, REVIEWS / 2)),
            max: 21,
        };
        let plan = self::plan(&db, read::newest_statement(&page)).await;
        assert!(!scans_or_sorts(&plan), "{which:?}\n{plan}");
    }
}

/// Rows and entries of indexes that statements have read so far.
async fn rows_read(db: &Db) -> i64 {
    let rows = emporium_test_kit::postgres::rows_read(db, "^reviews_").await;
    let sql = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname ~ '^reviews_'";
    let entries: i64 = sqlx::query_scalar(sql).fetch_one(db).await.unwrap();
    rows + entries
}

/// A product with 20,000 reviews of which none fits: a page looks at its stretch, and the last one is found in the end. One
/// connection, so that its counts are whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_finds_nothing_has_looked_at_its_stretch_only() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Reviews, 1);
    let Bench { store, .. } = on(db.clone()).await;
    fill(&db).await;
    let nothing = ["pros:none".to_owned()];
    let attributes = AttributeFilter::read_all(&nothing).unwrap();
    for first in pages().into_iter().filter(|page| page.after.is_none()) {
        if first.product_id != numbered(1, 0) {
            continue;
        }
        let mut page = ProductReviews {
            attributes: attributes.clone(),
            verified: Some(true),
            ..first
        };
        let mut turned = 0;
        loop {
            let before = rows_read(&db).await;
            let found = store.of_product(&page).await.unwrap();
            assert!(found.items.is_empty());
            let read = rows_read(&db).await - before;
            // Measuring the stretch and reading it: an entry and a row each, at most; and what hidden reviews leave.
            assert!(read <= 5 * i64::from(LOOK_MAX), "{:?}: {read} rows", page.sort);
            turned += 1;
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
        let visible = REVIEWS / 3 - REVIEWS / 150;
        assert_eq!(turned, visible.div_ceil(LOOK_MAX), "{:?}", page.sort);
    }
}

async fn scan_counts(db: &Db) -> Vec<(String, i64)> {
    sqlx::query("SELECT pg_stat_force_next_flush()")
        .execute(db)
        .await
        .unwrap();
    sqlx::query_as("SELECT relname::text, seq_scan FROM pg_stat_user_tables WHERE relname ~ '^reviews_(re|vo|st|su|au)' ORDER BY 1")
        .fetch_all(db)
        .await
        .unwrap()
}

/// Every verb, often enough for generic plans, reads no table from end to end. One connection, so that its counts are whole.
#[tokio::test(flavor = "multi_thread")]
async fn verbs_scan_nothing() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Reviews, 1);
    let Bench { store, .. } = on(db.clone()).await;
    fill(&db).await;
    let before = scan_counts(&db).await;
    for n in 0..8 {
        let (product, author) = (numbered(1, n), Uuid::new_v4());
        let draft = Draft {
            product_id: product,
            author_id: author,
            author_name: None,
            opinion: opinion(1),
        };
        let Posted::Done(review) = store.post(&draft).await.unwrap() else {
            panic!("it is new")
        };
        store.post(&draft).await.unwrap();
        let edit = Edit {
            review_id: review.id,
            author_id: author,
            version: 1,
            opinion: opinion(2),
        };
        store.edit(&edit).await.unwrap();
        for vote in [Some(true), Some(false), None] {
            store.vote(review.id, numbered(3, n), vote).await.unwrap();
        }
        let answer = AnswerDraft {
            review_id: review.id,
            answer_id: author,
            author_id: author,
            text: "x".to_owned(),
        };
        store.answer(&answer).await.unwrap();
        store.take_answer_back(review.id, author).await.unwrap();
        store
            .moderate(review.id, &Moderation::Hide("x".to_owned()))
            .await
            .unwrap();
        store.find(review.id, Viewer::MODERATOR).await.unwrap();
        store.find_own(product, author).await.unwrap();
        let products: Vec<Uuid> = (0..100).map(|n| numbered(1, n)).collect();
        store.summaries(&products).await.unwrap();
        let newest = NewestReviews {
            which: Which::By(author),
            before: None,
            max: 21,
        };
        store.newest(&newest).await.unwrap();
        for page in pages() {
            store.of_product(&page).await.unwrap();
            for page in filtered(&page) {
                store.of_product(&page).await.unwrap();
            }
        }
        let history = store.history(0, 1_000).await.unwrap();
        let events: Vec<_> = history.items.iter().map(|item| &item.event).collect();
        store.projection().apply(&events).await.unwrap();
    }
    assert_eq!(scan_counts(&db).await, before);
}
