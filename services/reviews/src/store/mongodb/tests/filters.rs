//! Filters by attributes find here what they find in PostgreSQL, whose SQL/JSON paths they were first written as.

use emporium_service_kit::ServiceName;
use emporium_test_kit::{TestPostgres, connect, seed, stores};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::attributes::{AttributeFilter, Attributes};
use crate::listing::{LOOK_MAX, ProductReviews, Sort, Viewer};
use crate::store::ReviewStore;
use crate::store::copied::canonical;

const REVIEWS: usize = 60;
const FILTERS: usize = 150;
/// Few keys and values, so that filters meet them; numbers as keys, and values of one look and several kinds.
const KEYS: [&str; 4] = ["a", "b", "0", "é x"];

fn scalar(rng: &mut StdRng) -> Value {
    let all = [
        json!(1),
        json!("1"),
        json!(1.5),
        json!(-0.1),
        json!(true),
        json!("true"),
        json!(null),
        json!("null"),
        json!(""),
    ];
    all[rng.random_range(0..all.len())].clone()
}

fn value(rng: &mut StdRng, depth: usize) -> Value {
    match rng.random_range(0..if depth == 0 { 1 } else { 4 }) {
        0 | 1 => scalar(rng),
        2 => (0..rng.random_range(0..4))
            .map(|_| value(rng, depth - 1))
            .collect(),
        _ => Value::Object(object(rng, depth - 1)),
    }
}

fn object(rng: &mut StdRng, depth: usize) -> Attributes {
    let mut fields = Map::new();
    for _ in 0..rng.random_range(1..4) {
        let name = KEYS[rng.random_range(0..KEYS.len())];
        fields.insert(name.to_owned(), value(rng, depth));
    }
    fields
}

fn filter(rng: &mut StdRng) -> String {
    let path: Vec<&str> = (0..rng.random_range(1..4))
        .map(|_| KEYS[rng.random_range(0..KEYS.len())])
        .collect();
    let text = match scalar(rng) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    format!("{}:{text}", path.join("."))
}

async fn found(store: &dyn ReviewStore, product_id: Uuid, filter: &str) -> Vec<String> {
    let page = ProductReviews {
        product_id,
        sort: Sort::New,
        rating: None,
        verified: None,
        attributes: AttributeFilter::read_all(&[filter.to_owned()]).unwrap(),
        viewer: Viewer::default(),
        after: None,
        max: 100,
        look: LOOK_MAX,
    };
    let found = store.of_product(&page).await.unwrap();
    let mut shapes: Vec<String> = found
        .items
        .iter()
        .map(|review| Value::from(canonical(review.attributes.clone())).to_string())
        .collect();
    shapes.sort();
    shapes
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_find_what_they_find_in_postgresql() {
    let Some(server) = stores::mongodb().await else {
        return;
    };
    let seed = seed();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (mongo, _) = super::on(&server.url).await;
    let database = TestPostgres::get().await.empty_database().await;
    let db = connect(&database.url, ServiceName::Reviews, 4);
    let postgres = crate::store::postgres::tests::on(db).await.store;
    let product = Uuid::new_v4();
    for _ in 0..REVIEWS {
        let mut draft = super::draft(product);
        draft.opinion.attributes = object(&mut rng, 3);
        mongo.post(&draft).await.unwrap();
        postgres.post(&draft).await.unwrap();
    }
    let mut met = 0;
    for _ in 0..FILTERS {
        let filter = filter(&mut rng);
        let here = found(&mongo, product, &filter).await;
        assert_eq!(here, found(&*postgres, product, &filter).await, "{filter}");
        met += usize::from(!here.is_empty());
    }
    assert!(met > FILTERS / 10, "only {met} found anything");
}
