//! A row's text and a table's digest are the same from PostgreSQL and from what other stores use.

use emporium_event_bus::projection::{Digest, Digester, RowText};
use emporium_service_kit::ServiceName;
use emporium_test_kit::{TestPostgres, connect};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

const COLUMNS: &[&str] = &[
    "id",
    "at AT TIME ZONE 'UTC'",
    "number",
    "words",
    "bytes",
    "numbers",
    "truth",
];

/// What tables of projections have, nasty values among it.
#[derive(Clone)]
struct Sample {
    id: Uuid,
    at: OffsetDateTime,
    number: i64,
    words: Option<String>,
    bytes: Vec<u8>,
    numbers: Vec<i64>,
    truth: bool,
}

impl Sample {
    fn text(&self) -> RowText {
        RowText::new()
            .with(self.id)
            .with_time(self.at)
            .with(self.number)
            .with_opt(self.words.as_ref())
            .with_bytes(&self.bytes)
            .with_numbers(&self.numbers)
            .with(self.truth)
    }
}

fn samples() -> Vec<Sample> {
    let first = Sample {
        id: Uuid::nil(),
        at: datetime!(2009-12-01 07:45:00 UTC),
        number: i64::MIN,
        words: Some(String::new()),
        bytes: Vec::new(),
        numbers: Vec::new(),
        truth: false,
    };
    let mut all = vec![first.clone()];
    for (micros, words) in [
        (1, Some("it's \"quoted\", (really) \\ {so}")),
        (100_000, None),
        (120_340, Some("null")),
        (999_999, Some("Größe 🎁\n\tline")),
    ] {
        all.push(Sample {
            id: Uuid::now_v7(),
            at: first.at + Duration::microseconds(micros),
            number: micros - 7,
            words: words.map(str::to_owned),
            bytes: vec![0, 1, 0xab, 0xff],
            numbers: vec![-1, 0, i64::MAX],
            truth: true,
        });
    }
    all
}

pub async fn check() {
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Users, 2);
    sqlx::query(
        "CREATE TABLE sample (id uuid, at timestamptz, number bigint, words text, bytes bytea, numbers bigint[], truth boolean)",
    )
    .execute(&db)
    .await
    .unwrap();
    let digest = async || {
        let mut tx = db.begin().await.unwrap();
        Digest::of_rows("sample", COLUMNS, "sample", &mut tx)
            .await
            .unwrap()
    };
    assert_eq!(digest().await, Digester::default().finish("sample"), "of nothing");
    for sample in samples() {
        sqlx::query("INSERT INTO sample VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(sample.id)
            .bind(sample.at)
            .bind(sample.number)
            .bind(sample.words)
            .bind(sample.bytes)
            .bind(sample.numbers)
            .bind(sample.truth)
            .execute(&db)
            .await
            .unwrap();
    }
    // In any order; `samples` makes new ids, so these come from the table.
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM sample ORDER BY at DESC")
        .fetch_all(&db)
        .await
        .unwrap();
    let mut digester = Digester::default();
    for (sample, id) in samples().into_iter().rev().zip(ids) {
        digester.add(Sample { id, ..sample }.text().as_str());
    }
    assert_eq!(digest().await, digester.finish("sample"));
}
