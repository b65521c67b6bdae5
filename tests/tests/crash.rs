//! The process is killed at every named point of the saga: before and after every commit of every step. After the next
//! start the order ends, and stock, money, points and cart agree with how it ended.
//!
//! Nearly all of the time is spent waiting (for starts, leases, slow payments), so several shops are killed side by side.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use emporium_orders::crash::{
    ANSWER, AWAIT, CANCEL, CHARGE, CLAIM, COMPENSATE, CONFIRM, CREATE, POINTS, POINTS_ADDED, RESERVE, RETRY,
    SETTLE,
};
use emporium_service_kit::Db;
use emporium_test_kit::http::Reply;
use emporium_tests::customer::text;
use emporium_tests::{Admin, Customer, Options, Polyglot, ShopProcess};
use serde_json::{Value, json};
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");
/// Shops side by side.
const SHOPS: usize = 4;
/// What each payment token makes of a checkout, and the points on its way.
const WAYS: [(&str, &[&str]); 3] = [
    ("tok_slow", &[AWAIT, RETRY, CHARGE]),
    (
        "tok_ok",
        &[
            CLAIM,
            CREATE,
            RESERVE,
            POINTS_ADDED,
            CHARGE,
            CONFIRM,
            SETTLE,
            ANSWER,
        ],
    ),
    (
        "tok_decline",
        &[CLAIM, CREATE, RESERVE, POINTS_ADDED, CANCEL, COMPENSATE, ANSWER],
    ),
];
/// A cancelled order undoes this many steps, each in a commit of its own.
const COMPENSATIONS: usize = 3;

/// Where to kill which checkout: `(token, point, place)`; a place is a point, its side, and the how manieth time.
fn places() -> Vec<(&'static str, &'static str, String)> {
    let mut places = Vec::new();
    for (token, points) in WAYS {
        for point in points {
            let times = if *point == COMPENSATE { COMPENSATIONS } else { 1 };
            for n in 1..=times {
                for side in ["before", "after"] {
                    places.push((token, *point, format!("{point}:{side}:{n}")));
                }
            }
        }
    }
    let killed: HashSet<&str> = places.iter().map(|(_, point, _)| *point).collect();
    assert_eq!(killed, HashSet::from(POINTS), "a point is missing");
    places
}

#[tokio::test]
async fn a_kill_at_every_point_of_the_saga_loses_nothing() {
    let places = places();
    let shops = (0..SHOPS).map(async |n| {
        // One data folder for all of a shop's kills: each start is a recovery from the kill before it.
        let mut ground = Ground::start(Options::default()).await;
        for (token, _, place) in places.iter().skip(n).step_by(SHOPS) {
            let began = std::time::Instant::now();
            ground.kill_at(token, place).await;
            println!("{token} at {place}: killed, recovered, {:.1?}", began.elapsed());
        }
    });
    futures::future::join_all(shops).await;
}

/// The points at which another service's store or the bus is about to change, on the specialised stores.
#[tokio::test]
async fn a_kill_loses_nothing_on_the_specialised_stores_either() {
    let Some(stores) = Polyglot::get().await else {
        return;
    };
    let mut ground = Ground::start(stores.options(Options::default())).await;
    for point in [CLAIM, CONFIRM, SETTLE, ANSWER] {
        for side in ["before", "after"] {
            ground.kill_at("tok_ok", &format!("{point}:{side}:1")).await;
        }
    }
    ground
        .kill_at("tok_decline", &format!("{COMPENSATE}:after:1"))
        .await;
}

/// A shop that dies at the place which a file names.
struct Ground {
    shop: ShopProcess,
    options: Options,
    folder: tempfile::TempDir,
    databases: Databases,
}

/// To look behind the shop's API.
struct Databases {
    catalog: Db,
    orders: Db,
    payments: Db,
}

impl Databases {
    fn of(shop: &ShopProcess) -> Self {
        Self {
            catalog: shop.db("catalog"),
            orders: shop.db("orders"),
            payments: shop.db("payments"),
        }
    }
}

impl Ground {
    async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let crash_at = folder.path().join("crash-at").to_str().unwrap().to_owned();
        let settings = [
            ("EMPORIUM_ORDERS_CRASH_AT", crash_at.as_str()),
            // Less waiting: for a dead worker's lease, for a provider that does not answer.
            ("EMPORIUM_ORDERS_LEASE_MS", "2000"),
            ("EMPORIUM_PAYMENTS_PATIENCE_MS", "500"),
        ];
        let options = settings
            .iter()
            .fold(options, |options, (name, value)| options.on(name, value));
        let shop = ShopProcess::start(PROGRAM, &options).await;
        Self {
            databases: Databases::of(&shop),
            shop,
            options,
            folder,
        }
    }

    /// Begins a checkout that the shop dies of at `place`, starts the shop again, and checks that everything agrees.
    async fn kill_at(&mut self, token: &str, place: &str) {
        let what = format!("{token} at {place}");
        let crash_at = self.folder.path().join("crash-at");
        let checkout = Checkout::prepare(&self.shop, token).await;
        std::fs::write(&crash_at, place).unwrap();
        let answer = tokio::spawn(checkout.request().send());
        emporium_test_kit::eventually(&format!("the end of the process, {what}"), 40, async || {
            self.shop.has_ended().then_some(())
        })
        .await;
        let _ = answer.await;
        std::fs::remove_file(&crash_at).unwrap();
        self.shop.wait_for_end().await;
        self.shop.start_again(PROGRAM, &self.options).await;
        self.databases = Databases::of(&self.shop);
        let checkout = Checkout {
            customer: checkout.customer.sign_in_again(&self.shop).await,
            ..checkout
        };
        // The customer's program tries again with the same key, as it should, and gets the order that there is.
        let order = emporium_test_kit::eventually(&format!("an answer, {what}"), 40, async || {
            let reply = Reply::read(checkout.request()).await;
            matches!(reply.status, 201 | 202).then(|| text(&reply.json["id"]))
        })
        .await;
        let ended = checkout.customer.ended(&order).await;
        let wanted = if token == "tok_decline" {
            "cancelled"
        } else {
            "confirmed"
        };
        assert_eq!(ended["status"], wanted, "{what}: {ended}");
        emporium_test_kit::eventually(&format!("everything agrees, {what}: {ended}"), 40, async || {
            checkout.agrees(&self.databases).await.then_some(())
        })
        .await;
        assert_eq!(
            checkout.customer.see(&order).await["status"],
            wanted,
            "{what}: an end is an end"
        );
    }
}

/// A customer with two of something in the cart, about to buy.
struct Checkout {
    customer: Customer,
    product: String,
    address: String,
    key: String,
    token: String,
}

impl Checkout {
    async fn prepare(shop: &ShopProcess, token: &str) -> Self {
        let product = Admin::of(shop).await.product("Crash test dummy", 1_250, 10).await;
        let customer = Customer::sign_up(shop).await;
        let address = customer.add_address().await;
        customer.put(&product, 2).await;
        Self {
            customer,
            product,
            address,
            key: Uuid::new_v4().to_string(),
            token: token.to_owned(),
        }
    }

    fn request(&self) -> reqwest::RequestBuilder {
        let body = json!({ "address_id": self.address, "payment_token": self.token });
        self.customer
            .api
            .request("POST", "/api/orders")
            .header("idempotency-key", &self.key)
            .json(&body)
    }

    /// Whether the customer has exactly one order, its saga is done, and stock, money, points and cart are as its end says.
    async fn agrees(&self, databases: &Databases) -> bool {
        let get = async |path: &str| -> Option<Value> {
            let answer = self.customer.api.request("GET", path).send().await.ok()?;
            if answer.status().is_success() {
                answer.json().await.ok()
            } else {
                None
            }
        };
        let (Some(orders), Some(me), Some(cart)) = (
            get("/api/orders").await,
            get("/api/me").await,
            get("/api/cart").await,
        ) else {
            return false;
        };
        let [order] = orders["items"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            return false;
        };
        let (Ok(id), Ok(product)) = (text(&order["id"]).parse::<Uuid>(), self.product.parse::<Uuid>()) else {
            return false;
        };
        let done = "SELECT true FROM orders_saga WHERE order_id = $1 AND step = 'done'";
        let done: Option<bool> = scalar(&databases.orders, done, id).await;
        let stock = "SELECT on_hand::bigint FROM catalog_stock WHERE product_id = $1 AND reserved = 0";
        let stock: Option<i64> = scalar(&databases.catalog, stock, product).await;
        let paid = "SELECT (amount - refunded)::bigint FROM payments_charge WHERE saga_id = $1 AND state = 'succeeded'";
        let paid: Option<i64> = scalar(&databases.payments, paid, id).await;
        let cart: Vec<i64> = cart["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["quantity"].as_i64())
            .collect();
        let points = me["points"].as_i64().unwrap_or(-1);
        let left = match order["status"].as_str() {
            Some("confirmed") => stock == Some(8) && paid == Some(2_500) && points > 0 && cart.is_empty(),
            Some("cancelled") => stock == Some(10) && paid.unwrap_or(0) == 0 && points == 0 && cart == [2],
            _ => false,
        };
        left && done == Some(true)
    }
}

async fn scalar<T>(db: &Db, sql: &'static str, id: Uuid) -> Option<T>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(sql)
        .bind(id)
        .fetch_optional(db)
        .await
        .ok()
        .flatten()
}
