//! The servers of the specialised stores are killed in the middle of everything: the shop degrades as `docs/src/stores`
//! says, answers within bounded time, loses nothing that it acknowledged, and heals by itself.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use emporium_service_kit::stores::{CARTS_STORE, CATALOG_SEARCH, EVENTS, SESSIONS_STORE};
use emporium_test_kit::http::Reply;
use emporium_test_kit::stores::{self, Durability};
use emporium_test_kit::{Caller, eventually};
use emporium_tests::customer::text;
use emporium_tests::stores::search_setting;
use emporium_tests::{Admin, Customer, Options, ShopProcess};
use serde_json::{Value, json};
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");
/// Longest that anybody may wait for an answer while a store is away: its call's bound, and some for a busy machine.
const ANSWER_MAX: Duration = Duration::from_secs(8);
/// A store that is back is used again within this.
const HEALED_S: u64 = 20;
const CUSTOMERS: usize = 6;

/// What customers were promised, and what they saw.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    slowest: Mutex<Duration>,
}

impl Seen {
    /// Sends a request; the answer's body when it is `wanted`. Anything but that and 503 is a failure.
    async fn ask(&self, what: &str, request: reqwest::RequestBuilder, wanted: u16) -> Option<Value> {
        let began = Instant::now();
        let reply = Reply::read(request).await;
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = began.elapsed().max(*slowest);
        drop(slowest);
        if reply.status == wanted {
            self.acknowledged.fetch_add(1, Ordering::SeqCst);
            return Some(reply.json);
        }
        assert_eq!(reply.status, 503, "{what}: {}", reply.text);
        assert_eq!(reply.content_type, "application/problem+json", "{what}");
        self.refused.fetch_add(1, Ordering::SeqCst);
        None
    }

    async fn grows(&self, what: &str, counter: &AtomicUsize, by: usize) {
        let goal = counter.load(Ordering::SeqCst) + by;
        eventually(what, HEALED_S, async || {
            (counter.load(Ordering::SeqCst) >= goal).then_some(())
        })
        .await;
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }
}

/// One customer's cart: lines that were acknowledged, and lines of which nobody knows.
struct Lines {
    acknowledged: HashMap<String, i64>,
    attempted: HashMap<String, i64>,
}

/// Puts one product after the other into the cart until the end.
async fn fill_cart(seen: &Seen, customer: &Customer, products: &[String]) -> Lines {
    let mut lines = Lines {
        acknowledged: HashMap::new(),
        attempted: HashMap::new(),
    };
    for (product, quantity) in products.iter().cycle().zip(1_i64..) {
        if !seen.goes_on() {
            break;
        }
        let quantity = quantity % 999 + 1;
        let path = format!("/api/cart/items/{product}");
        let request = customer
            .api
            .request("PUT", &path)
            .json(&json!({ "quantity": quantity }));
        lines.attempted.insert(product.clone(), quantity);
        if seen.ask("a line", request, 200).await.is_some() {
            lines.acknowledged.insert(product.clone(), quantity);
            lines.attempted.remove(product);
        }
    }
    lines
}

/// Signs in again and again; gives the sessions that were acknowledged.
async fn sign_in(seen: &Seen, shop: &ShopProcess, email: &str) -> Vec<String> {
    let body = json!({ "email": email, "password": "correct horse battery" });
    let mut tokens = Vec::new();
    // Fewer than a user may have: the next one would end the first.
    while seen.goes_on() && tokens.len() < 60 {
        let request = shop.visitor().request("POST", "/api/sessions").json(&body);
        if let Some(session) = seen.ask("a session", request, 201).await {
            tokens.push(text(&session["token"]));
        }
    }
    tokens
}

#[tokio::test]
async fn redis_of_sessions_and_carts_is_killed_during_traffic() {
    let Some(redis) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let options = Options::default()
        .on(SESSIONS_STORE, &redis.url)
        .on(CARTS_STORE, &redis.url);
    let shop = ShopProcess::start(PROGRAM, &options).await;
    let admin = Admin::of(&shop).await;
    let mut products = Vec::new();
    for n in 0..30 {
        products.push(admin.product(&format!("Candle {n}"), 300, 0).await);
    }
    let mut customers = Vec::new();
    for _ in 0..CUSTOMERS {
        customers.push(Customer::sign_up(&shop).await);
    }
    let seen = Seen::default();
    let carts = futures::future::join_all(
        customers
            .iter()
            .map(|customer| fill_cart(&seen, customer, &products)),
    );
    let sessions = futures::future::join_all(
        customers
            .iter()
            .map(|customer| sign_in(&seen, &shop, &customer.email)),
    );
    let drama = async {
        seen.grows("traffic", &seen.acknowledged, 40).await;
        redis.kill().await;
        seen.grows("refusals", &seen.refused, 2 * CUSTOMERS).await;
        // What needs neither goes on.
        shop.visitor().get("/api/products").await.expect(200);
        redis.restart().await;
        seen.grows("traffic again", &seen.acknowledged, 40).await;
        seen.stop.store(true, Ordering::SeqCst);
    };
    let (carts, sessions, ()) = futures::join!(carts, sessions, drama);
    let slowest = *seen.slowest.lock().unwrap();
    println!(
        "{} acknowledged, {} refused, slowest answer {slowest:.1?}",
        seen.acknowledged.load(Ordering::SeqCst),
        seen.refused.load(Ordering::SeqCst)
    );
    assert!(slowest < ANSWER_MAX, "{slowest:?}");
    for ((customer, lines), tokens) in customers.iter().zip(carts).zip(sessions) {
        let cart: HashMap<String, i64> = customer.cart().await.into_iter().collect();
        for (product, quantity) in &lines.acknowledged {
            let kept = cart.get(product);
            let unknown = lines.attempted.get(product);
            assert!(
                kept == Some(quantity) || (unknown.is_some() && kept == unknown),
                "{product}: {quantity} was acknowledged and {unknown:?} perhaps, but the cart has {kept:?}"
            );
        }
        for product in cart.keys() {
            assert!(lines.acknowledged.contains_key(product) || lines.attempted.contains_key(product));
        }
        for token in tokens {
            let session = Caller::new(
                &shop.url("gateway"),
                emporium_service_kit::ServiceName::Gateway,
                None,
            );
            session.with_token(&token).get("/api/me").await.expect(200);
        }
    }
}

#[tokio::test]
async fn redis_of_the_bus_is_killed_during_checkouts() {
    const BOUGHT: i64 = 2;
    let Some(redis) = stores::own_redis(Durability::Always).await else {
        return;
    };
    let shop = ShopProcess::start(PROGRAM, &Options::default().on(EVENTS, &redis.url)).await;
    let admin = Admin::of(&shop).await;
    let product = admin
        .product("Kettle bought through a storm", 2_000, 10_000)
        .await;
    let seen = Seen::default();
    let mut buyers = Vec::new();
    for _ in 0..4 {
        let customer = Customer::sign_up(&shop).await;
        let address = customer.add_address().await;
        buyers.push((customer, address));
    }
    let buy = async |(customer, address): &(Customer, String)| {
        let mut orders = 0;
        while seen.goes_on() {
            customer.put(&product, BOUGHT).await;
            let order = customer.order(address, "tok_ok").await.expect(201);
            assert_eq!(order["status"], "confirmed", "{order}");
            orders += 1;
            seen.acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        orders
    };
    let drama = async {
        seen.grows("orders", &seen.acknowledged, 6).await;
        redis.kill().await;
        // The outbox keeps the events: nobody who buys notices anything.
        seen.grows("orders without the bus", &seen.acknowledged, 8).await;
        redis.restart().await;
        seen.grows("orders after it", &seen.acknowledged, 4).await;
        redis.kill().await;
        seen.grows("orders without it, again", &seen.acknowledged, 4)
            .await;
        redis.restart().await;
        seen.stop.store(true, Ordering::SeqCst);
    };
    let (orders, ()) = futures::join!(futures::future::join_all(buyers.iter().map(buy)), drama);
    let sold: i64 = orders.iter().sum::<i64>() * BOUGHT;
    println!("{sold} units in {orders:?} orders");
    let id: Uuid = product.parse().unwrap();
    let catalog = shop.db("catalog");
    let popularity = async || {
        let sql = "SELECT popularity::bigint FROM catalog_stock WHERE product_id = $1";
        sqlx::query_scalar::<_, i64>(sql)
            .bind(id)
            .fetch_one(&catalog)
            .await
            .unwrap()
    };
    eventually("every sale is counted", 60, async || {
        (popularity().await >= sold).then_some(())
    })
    .await;
    // Another sale comes after all of theirs: when it is counted, nothing that would come twice is still to come.
    let (customer, address) = &buyers[0];
    customer.put(&product, 1).await;
    customer.order(address, "tok_ok").await.expect(201);
    eventually("the last sale is counted", 30, async || {
        (popularity().await > sold).then_some(())
    })
    .await;
    assert_eq!(popularity().await, sold + 1, "each sale counts once");
}

#[tokio::test]
async fn elasticsearch_is_killed_and_comes_back() {
    let Some(elasticsearch) = stores::own_elasticsearch().await else {
        return;
    };
    let shop = ShopProcess::start(
        PROGRAM,
        &Options::default().on(CATALOG_SEARCH, &search_setting(&elasticsearch.url)),
    )
    .await;
    let admin = Admin::of(&shop).await;
    let lamp = admin.product("Copper hurricane lamp", 4_500, 3).await;
    let visitor = shop.visitor();
    let search = async |words: &str| {
        let began = Instant::now();
        let page = visitor.get(&format!("/api/products?q={words}")).await.expect(200);
        assert!(began.elapsed() < ANSWER_MAX, "{:?}", began.elapsed());
        let ids: Vec<String> = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| text(&item["id"]))
            .collect();
        (ids, page["degraded"].as_array().unwrap().len())
    };
    let by_index = async |what: &str, id: &str, words: &str| {
        eventually(what, 90, async || {
            let (ids, degraded) = search(words).await;
            (degraded == 0 && ids == [id]).then_some(())
        })
        .await;
    };
    by_index("the index answers", &lamp, "hurricane").await;
    elasticsearch.kill().await;
    // At once, and from the truth; the page says so.
    let (ids, degraded) = search("hurricane").await;
    assert_eq!(
        (ids, degraded),
        (vec![lamp.clone()], 1),
        "what is missing is named"
    );
    let lantern = admin.product("Tin lantern from the dark", 1_500, 3).await;
    assert_eq!(
        search("lantern").await,
        (vec![lantern.clone()], 1),
        "what is new is found as well"
    );
    elasticsearch.restart().await;
    by_index("the index is back, with what it missed", &lantern, "lantern").await;
    by_index("and with what it had", &lamp, "hurricane").await;
}
