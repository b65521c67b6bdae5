//! What the server makes of the queries. On MongoDB a page has to be read along its index, without sorting; servers that only speak
//! its protocol have to find it by an index, at least.

use mongodb::bson::{Bson, Document, doc};
use uuid::Uuid;

use super::on;
use crate::attributes::AttributeFilter;
use crate::listing::{LOOK_MAX, NewestReviews, Place, ProductReviews, Sort, Viewer, Which};
use crate::model::{Opinion, State};
use crate::store::mongodb::tx::Find;
use crate::store::mongodb::{MongoReviews, list, outbox, read, schema};
use crate::store::{Draft, ReviewStore};
use emporium_test_kit::stores;

/// The stages of a plan, with the indexes that they use.
fn stages(plan: &Bson, found: &mut Vec<(String, String)>) {
    match plan {
        Bson::Document(fields) => {
            if let Ok(stage) = fields.get_str("stage") {
                let index = fields.get_str("indexName").unwrap_or_default();
                found.push((stage.to_owned(), index.to_owned()));
            }
            fields.values().for_each(|value| stages(value, found));
        }
        Bson::Array(items) => items.iter().for_each(|item| stages(item, found)),
        _ => {}
    }
}

async fn plan(store: &MongoReviews, collection: &str, find: Find) -> Vec<(String, String)> {
    let explain = doc! { "explain": find.command(collection), "verbosity": "queryPlanner" };
    let told: Document = store.mongo.command(explain).await.unwrap();
    let mut found = Vec::new();
    let winner = told
        .get_document("queryPlanner")
        .unwrap()
        .get("winningPlan")
        .unwrap();
    stages(winner, &mut found);
    found
}

async fn goes_by(store: &MongoReviews, collection: &str, find: Find, indexes: &[&str]) {
    let plan = plan(store, collection, find.clone()).await;
    let is_mongodb = store.mongo.is_mongodb();
    // Others than MongoDB take any index that begins with the right fields, and sort what they find.
    let fits = |name: &str| indexes.contains(&name) || !is_mongodb;
    let uses = plan.iter().any(|(stage, name)| stage == "IXSCAN" && fits(name));
    assert!(uses, "{indexes:?}: {plan:?} of {find:?}");
    let refused = |stage: &str| stage == "COLLSCAN" || (is_mongodb && stage == "SORT");
    assert!(plan.iter().all(|(stage, _)| !refused(stage)), "{plan:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_goes_by_its_index() {
    let Some(server) = stores::mongodb().await else {
        return;
    };
    let (store, _) = on(&server.url).await;
    println!("{}", store.mongo.product());
    let product_id = Uuid::new_v4();
    for n in 0..20 {
        let opinion = Opinion {
            rating: n % 5 + 1,
            title: "Title".to_owned(),
            text: "Text".to_owned(),
            attributes: serde_json::Map::new(),
        };
        let draft = Draft {
            product_id,
            author_id: Uuid::new_v4(),
            author_name: None,
            opinion,
        };
        store.post(&draft).await.unwrap();
    }
    for (sort, index) in [
        (Sort::Helpful, "helpful"),
        (Sort::New, "new"),
        (Sort::RatingHigh, "best"),
        (Sort::RatingLow, "worst"),
    ] {
        for (after, rating) in [
            (None, None),
            (None, Some(3)),
            (Some(2), None),
            (Some(2), Some(2)),
            (Some(4), Some(2)),
        ] {
            let place = |rank| Place {
                sort,
                rank,
                id: Uuid::now_v7(),
            };
            let page = ProductReviews {
                product_id,
                sort,
                rating,
                verified: None,
                attributes: Vec::<AttributeFilter>::new(),
                viewer: Viewer::default(),
                after: after.map(place),
                max: 20,
                look: LOOK_MAX,
            };
            for piece in list::pieces(&page) {
                // Of one rating, both directions of ratings are the same.
                let either = ["best", "worst"];
                let indexes: &[&str] = if sort.is_by_rating() { &either } else { &[index] };
                goes_by(&store, schema::REVIEW, piece.limit(21), indexes).await;
            }
        }
    }
    let filtered = ProductReviews {
        product_id,
        sort: Sort::New,
        rating: Some(2),
        verified: Some(true),
        attributes: AttributeFilter::read_all(&["a:1".to_owned(), "b:2".to_owned()]).unwrap(),
        viewer: Viewer::default(),
        after: None,
        max: 20,
        look: LOOK_MAX,
    };
    let some = list::fitting(&filtered, &[Uuid::now_v7(), Uuid::now_v7()]);
    // SecantusDB tells a scan of everything for ids beside other conditions: only MongoDB is held to this one.
    if store.mongo.is_mongodb() {
        goes_by(&store, schema::REVIEW, some, &["_id_"]).await;
    }
    for (which, index) in [
        (Which::By(Uuid::new_v4()), "author"),
        (Which::In(State::Hidden), "state"),
        (Which::In(State::Visible), "state"),
    ] {
        let page = NewestReviews {
            which,
            before: Some(Uuid::now_v7()),
            max: 21,
        };
        goes_by(&store, schema::REVIEW, read::newest(&page), &[index]).await;
    }
    goes_by(&store, schema::OUTBOX, outbox::waiting().limit(9), &["waiting"]).await;
    goes_by(&store, schema::OUTBOX, outbox::numbered(3, 9), &["position"]).await;
    let one = Find::by(read::by_pair(product_id, Uuid::new_v4()));
    goes_by(&store, schema::REVIEW, one, &["once"]).await;
}
