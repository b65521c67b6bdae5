//! Popularity counted anew, because somebody asked or the bus lost its data: what changed is told once a product.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use emporium_event_bus::Bus;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::{Clock, Environment, Service, ServiceName, StartError, serve};
use emporium_test_kit::stores::{self, Durability};
use emporium_test_kit::{Caller, Keys, TestService, eventually};
use serde_json::{Value, json};
use support::create;
use support::orders::{Orders, PAGE, order};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PRODUCTS: i64 = 20;
const ORDERS: usize = 6 * PAGE;

/// A catalog beside orders that have a history.
struct World {
    catalog: TestService,
    orders: Arc<Orders>,
    bus: Arc<dyn Bus>,
    products: Vec<Uuid>,
}

async fn build(environment: &Environment, bus: Option<&str>) -> Result<Service, StartError> {
    let mut environment = environment.clone();
    if let Some(url) = bus {
        environment.events_url = Some(url.to_owned());
    }
    emporium_catalog::build(&environment).await
}

impl World {
    /// With products that were never counted, and orders of all of them.
    async fn with_orders(redis: Option<&str>) -> Self {
        let orders = Orders::start().await;
        let catalog = TestService::start(
            ServiceName::Catalog,
            &Keys::default(),
            &[(ServiceName::Orders, orders.url.clone())],
            Clock::System,
            async |environment: &Environment| build(environment, redis).await,
        )
        .await;
        let url = redis.or(catalog.environment.events_url.as_deref()).unwrap();
        let bus = emporium_event_bus::bus::open_at(url, Metrics::new(ServiceName::Operator))
            .await
            .unwrap();
        let mut world = Self {
            catalog,
            orders,
            bus,
            products: Vec::new(),
        };
        world.joined().await;
        let gateway = support::gateway(&world.catalog);
        for n in 0..PRODUCTS {
            let id = create(&gateway, &format!("MUG-{n}"), 0).await;
            world.products.push(id.parse().unwrap());
        }
        for n in 0..ORDERS {
            world.orders.add(order(&[world.sold(n), world.sold(n * 3 + 1)]));
        }
        world
    }

    fn sold(&self, n: usize) -> (Uuid, i64) {
        (
            self.products[n % self.products.len()],
            1 + i64::try_from(n % 3).unwrap(),
        )
    }

    async fn joined(&self) {
        eventually("the group has joined", 20, async || {
            self.bus.group_position("catalog").await.unwrap_or(None)
        })
        .await;
    }

    /// Asks for a rebuild; gives its id.
    async fn ask_for_rebuild(&self) -> Value {
        let operator = self.catalog.as_caller(ServiceName::Operator);
        let asked = operator
            .post("/projections/catalog/rebuild", json!({}))
            .await
            .expect(202);
        asked["rebuild"]["id"].clone()
    }

    /// What came of it.
    async fn outcome(&self, rebuild: &Value) -> Value {
        outcome(&self.catalog.as_caller(ServiceName::Operator), rebuild).await
    }

    /// What the catalog says, by product.
    async fn told(&self) -> BTreeMap<Uuid, i64> {
        let rows: Vec<(Uuid, i64)> =
            sqlx::query_as("SELECT product_id, popularity FROM catalog_stock WHERE popularity <> 0")
                .fetch_all(&self.catalog.db())
                .await
                .unwrap();
        rows.into_iter().collect()
    }

    async fn counted(&self, expected: &BTreeMap<Uuid, i64>) {
        eventually("all is counted, and once", 20, async || {
            (self.told().await == *expected).then_some(())
        })
        .await;
    }

    async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&self.catalog.db())
            .await
            .unwrap()
    }

    async fn events(&self) -> i64 {
        self.number("SELECT count(*) FROM catalog_outbox WHERE type = 'popularity.changed.v1'")
            .await
    }

    /// An index outside hears of every version, and the last event has what the catalog says.
    async fn events_agree(&self) {
        let unlike = "SELECT count(*) FROM catalog_stock AS s LEFT JOIN LATERAL (
                 SELECT count(*) AS versions, max(version) AS last FROM catalog_outbox WHERE subject = s.product_id::text
               ) AS o ON true LEFT JOIN catalog_outbox AS l ON l.subject = s.product_id::text AND l.version = s.version
               WHERE s.version <> o.versions OR s.version <> o.last OR s.popularity <> (l.data->>'popularity')::bigint";
        assert_eq!(self.number(unlike).await, 0);
    }
}

async fn outcome(operator: &Caller, rebuild: &Value) -> Value {
    eventually("the rebuild has ended", 20, async || {
        let status = operator.get("/projections/catalog").await.expect(200);
        (status["outcome"]["id"] == *rebuild).then(|| status["outcome"].clone())
    })
    .await
}

async fn what_changed_is_told_once(redis: Option<&str>) -> World {
    let world = World::with_orders(redis).await;
    let rebuild = world.ask_for_rebuild().await;
    let expected = world.orders.units();
    let outcome = world.outcome(&rebuild).await;
    assert_eq!(
        (&outcome["equal"], &outcome["events"]),
        (&json!(false), &json!(ORDERS))
    );
    world.counted(&expected).await;
    assert_eq!(world.events().await, PRODUCTS, "one a product");
    // Now one is wrong, and the others are as they should be.
    sqlx::query("UPDATE catalog_stock SET popularity = popularity + 5 WHERE product_id = $1")
        .bind(world.products[7])
        .execute(&world.catalog.db())
        .await
        .unwrap();
    let rebuild = world.ask_for_rebuild().await;
    let outcome = world.outcome(&rebuild).await;
    let (wrong, right) = (world.products[7], expected[&world.products[7]]);
    let told = format!("popularity of {wrong}: was {}, is {right}", right + 5);
    assert_eq!(outcome["differences"], json!([told]));
    world.counted(&expected).await;
    assert_eq!(world.events().await, PRODUCTS + 1, "the one that was wrong");
    // And nothing is wrong any more.
    let rebuild = world.ask_for_rebuild().await;
    let outcome = world.outcome(&rebuild).await;
    assert_eq!(
        (&outcome["equal"], &outcome["differences"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(outcome["tables"][0]["rows_live"], json!(PRODUCTS));
    assert_eq!(world.events().await, PRODUCTS + 1);
    world.events_agree().await;
    world
}

#[tokio::test]
async fn a_rebuild_tells_each_product_that_changed_once() {
    let world = what_changed_is_told_once(None).await;
    world.catalog.stop().await;
}

#[tokio::test]
async fn a_bus_on_redis_that_lost_everything_makes_no_events() {
    let Some(server) = stores::own_redis(Durability::None).await else {
        return;
    };
    let world = what_changed_is_told_once(Some(&server.url)).await;
    let reads = world.orders.reads();
    server.kill().await;
    server.restart().await;
    eventually("the history is read again", 30, async || {
        (world.orders.reads() > reads).then_some(())
    })
    .await;
    world.joined().await;
    let sale = order(&[(world.products[3], 2)]);
    world.orders.add(sale.clone());
    world.bus.append(&[sale]).await.unwrap();
    world.counted(&world.orders.units()).await;
    assert_eq!(world.events().await, PRODUCTS + 2, "the sale that came after it");
    world.events_agree().await;
    world.catalog.stop().await;
}

/// While the history is read, the catalog goes on counting. Then it dies; another instance goes on with the page it was at, and finds
/// no difference.
#[tokio::test]
async fn sales_during_a_rebuild_that_dies_half_way_count_once() {
    let world = World::with_orders(None).await;
    world.ask_for_rebuild().await;
    let before = world.orders.units();
    world.counted(&before).await;

    world.orders.hold_from(2 * PAGE);
    let rebuild = eventually("the one before has ended", 20, async || {
        let rebuild = world.ask_for_rebuild().await;
        let operator = world.catalog.as_caller(ServiceName::Operator);
        let status = operator.get("/projections/catalog").await.expect(200);
        (status["outcome"]["id"] != rebuild).then_some(rebuild)
    })
    .await;
    world.orders.asked_for(2 * PAGE).await;
    assert_eq!(world.told().await, before, "nothing is taken back");
    // Orders go on: they come by the bus, and the rebuild finds them in the history as well.
    let sell = async |orders: &Orders, bus: &dyn Bus, product| {
        let sale = order(&[(product, 10)]);
        orders.add_now(sale.clone());
        bus.append(&[sale]).await.unwrap();
    };
    sell(&world.orders, world.bus.as_ref(), world.products[1]).await;
    let mut environment = world.catalog.environment.clone();
    let World {
        catalog,
        orders,
        bus,
        products,
    } = world;
    let db = catalog.db();
    catalog.stop().await;

    environment.shutdown = CancellationToken::new();
    environment.metrics = Metrics::new(ServiceName::Catalog);
    let again = emporium_catalog::build(&environment).await.unwrap();
    let running = serve::start(&environment, again, serve::listen("127.0.0.1:0").await.unwrap()).unwrap();
    orders.asked_for(2 * PAGE).await;
    sell(&orders, bus.as_ref(), products[2]).await;
    orders.hold_from(usize::MAX);
    for product in &products[3..9] {
        sell(&orders, bus.as_ref(), *product).await;
    }
    let expected = orders.units();
    eventually("all is counted, and once", 20, async || {
        let rows: Vec<(Uuid, i64)> =
            sqlx::query_as("SELECT product_id, popularity FROM catalog_stock WHERE popularity <> 0")
                .fetch_all(&db)
                .await
                .unwrap();
        (rows.into_iter().collect::<BTreeMap<_, _>>() == expected).then_some(())
    })
    .await;
    let events: i64 =
        sqlx::query_scalar("SELECT count(*) FROM catalog_outbox WHERE type = 'popularity.changed.v1'")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(events, PRODUCTS + 8, "the eight that were sold");
    let standing = async || {
        let kept: Option<serde_json::Value> = sqlx::query_scalar("SELECT outcome FROM catalog_projections")
            .fetch_one(&db)
            .await
            .unwrap();
        kept.filter(|outcome| outcome["id"] == rebuild)
    };
    let outcome = eventually("the rebuild has ended", 20, standing).await;
    assert_eq!(
        (&outcome["equal"], &outcome["differences"]),
        (&json!(true), &json!([]))
    );
    running.stop().await;
}
