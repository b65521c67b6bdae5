//! Shelves of suggestions, as the public API and the pages show them: they follow the orders, and when whoever makes them
//! is killed, hangs or has lost its database, they are missing and nothing else is.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use emporium_service_kit::ServiceName;
use emporium_service_kit::auth::Secret;
use emporium_test_kit::{Caller, eventually};
use emporium_tests::customer::text;
use emporium_tests::{Admin, Apart, Customer, DatabaseAway, Options, ShopProcess, TablesLocked};
use serde_json::{Value, json};
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");
/// An order is on the shelves within this, on a busy machine too.
const FOLLOWS_S: u64 = 15;
/// Longest that a page may take while suggestions hang: what a page waits for a part, and some for a busy machine.
const PAGE_MAX: Duration = Duration::from_secs(6);
/// What a page says in place of a shelf.
const ABSENT: &str = "finds what goes with what does not answer just now";

/// A customer with an address.
struct Buyer {
    customer: Customer,
    address: String,
}

impl Buyer {
    async fn new(shop: &ShopProcess) -> Self {
        let customer = Customer::sign_up(shop).await;
        let address = customer.add_address().await;
        Self { customer, address }
    }

    /// Buys one of each; gives when the order was placed.
    async fn buys(&self, goods: &[&str]) -> String {
        for product in goods {
            self.customer.put(product, 1).await;
        }
        let order = self.customer.order(&self.address, "tok_ok").await.expect(201);
        assert_eq!(order["status"], "confirmed", "{order}");
        text(&order["placed_at"])
    }

    async fn suggestions(&self) -> Value {
        self.customer.api.get("/api/me/recommendations").await.expect(200)
    }
}

async fn beside(caller: &Caller, product: &str) -> Value {
    caller
        .get(&format!("/api/products/{product}/recommendations"))
        .await
        .expect(200)
}

/// The goods of a list.
fn ids(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap_or_else(|| panic!("{list} is no list"));
    items
        .iter()
        .map(|one| one["product_id"].as_str().unwrap())
        .collect()
}

/// The HTML of a page that is there, in time.
async fn page(caller: &Caller, path: &str) -> String {
    let began = Instant::now();
    let reply = caller.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    assert!(began.elapsed() < PAGE_MAX, "{path} took {:.1?}", began.elapsed());
    reply.text
}

/// Waits for goods on a shelf, and says how long that took.
async fn follows(what: &str, seen: impl AsyncFn() -> bool) {
    let began = Instant::now();
    eventually(what, FOLLOWS_S, async || seen().await.then_some(())).await;
    println!("{what}: after {:.0?}", began.elapsed());
}

#[tokio::test]
async fn shelves_follow_the_orders() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let (admin, visitor) = (Admin::of(&shop).await, shop.visitor());
    let mut goods = Vec::new();
    for name in ["Kettle", "Teapot", "Mug", "Tray"] {
        goods.push(admin.product(name, 1_000, 1_000).await);
    }
    let [kettle, teapot, mug, tray] = [&goods[0], &goods[1], &goods[2], &goods[3]].map(String::as_str);
    // Asked before there is anything, so that what is kept of an answer would show below.
    let before = beside(&visitor, kettle).await;
    assert_eq!(
        (&before["bought_together"], &before["also_bought"]),
        (&json!([]), &json!([]))
    );
    let newcomer = Buyer::new(&shop).await;
    assert_eq!(newcomer.suggestions().await["for_you"], json!([]));
    let (ada, bob, cyd) = (
        Buyer::new(&shop).await,
        Buyer::new(&shop).await,
        Buyer::new(&shop).await,
    );
    ada.buys(&[kettle, teapot]).await;
    bob.buys(&[kettle, teapot]).await;
    let last = cyd.buys(&[kettle, mug]).await;
    follows("also bought, bought together", async || {
        let shelves = beside(&visitor, kettle).await;
        ids(&shelves["also_bought"]) == [teapot, mug] && ids(&shelves["bought_together"]) == [teapot]
    })
    .await;
    let shelves = beside(&visitor, kettle).await;
    assert_eq!(shelves["degraded"], json!([]));
    assert!(
        text(&before["as_of"]) < text(&shelves["as_of"]),
        "{before} {shelves}"
    );
    assert!(
        last <= text(&shelves["as_of"]),
        "what was placed at {last} is in it: {shelves}"
    );
    let first = &shelves["bought_together"][0];
    assert_eq!(
        (&first["together"], &first["explanation"]),
        (&json!(2), &json!("Bought together in 2 orders"))
    );
    assert_eq!(first["product"]["name"], "Teapot");
    let html = page(&visitor, &format!("/products/{kettle}")).await;
    assert!(
        html.contains("id=\"bought-together\"") && html.contains("Bought together in 2 orders"),
        "{html}"
    );
    // Somebody who bought a kettle is shown what others bought with it, and why; never what was just bought.
    let eve = Buyer::new(&shop).await;
    eve.buys(&[kettle]).await;
    follows("for you", async || {
        ids(&eve.suggestions().await["for_you"]).first() == Some(&teapot)
    })
    .await;
    let shown = eve.suggestions().await;
    let first = &shown["for_you"][0];
    assert_eq!(
        (&first["because"], &first["explanation"]),
        (&json!(kettle), &json!("Because you bought Kettle"))
    );
    assert!(ids(&shown["for_you"]).contains(&mug), "{shown}");
    eve.buys(&[teapot]).await;
    follows("what was just bought goes", async || {
        !ids(&eve.suggestions().await["for_you"]).contains(&teapot)
    })
    .await;
    let shown = eve.suggestions().await;
    for shelf in ["for_you", "popular", "buy_again"] {
        let there = ids(&shown[shelf]);
        assert!(
            !there.contains(&kettle) && !there.contains(&teapot),
            "{shelf}: {shown}"
        );
    }
    // A newcomer is shown what is popular, best first; what nobody bought is not. An answer from before may be kept for a
    // while, and then says how old it is.
    let early = newcomer.suggestions().await;
    assert!(
        !ids(&early["popular"]).is_empty() || text(&early["as_of"]) < last,
        "{early}"
    );
    let late = Buyer::new(&shop).await;
    let shown = late.suggestions().await;
    assert_eq!(ids(&shown["popular"]), [kettle, teapot, mug], "{shown}");
    assert_eq!((&shown["for_you"], &shown["buy_again"]), (&json!([]), &json!([])));
    assert!(!ids(&shown["popular"]).contains(&tray));
    assert!(
        page(&late.customer.api, "/")
            .await
            .contains("what others like these days")
    );
    assert!(page(&eve.customer.api, "/").await.contains("Because you bought"));
    // What is not sold any more leaves the shelves.
    admin
        .api
        .delete(&format!("/api/admin/products/{teapot}"))
        .await
        .expect(200);
    follows("what is archived goes", async || {
        ids(&beside(&visitor, kettle).await["also_bought"]) == [mug]
    })
    .await;
    strange_questions(&shop, kettle).await;
}

async fn strange_questions(shop: &ShopProcess, product: &str) {
    let visitor = shop.visitor();
    visitor
        .get("/api/me/recommendations")
        .await
        .expect_problem(401, "sign-in-required");
    let unknown = format!("/api/products/{}/recommendations", Uuid::new_v4());
    visitor.get(&unknown).await.expect_problem(404, "not-found");
    for limit in ["0", "21", "-1", "many", "99999999999999999999"] {
        let reply = visitor
            .get(&format!("/api/products/{product}/recommendations?limit={limit}"))
            .await;
        assert!(matches!(reply.status, 400 | 422), "{limit}: {}", reply.text);
    }
    let one = visitor
        .get(&format!("/api/products/{product}/recommendations?limit=1"))
        .await
        .expect(200);
    assert_eq!(ids(&one["also_bought"]).len(), 1);
}

/// Orders of long ago, as an import brings them.
async fn bought_long_ago(shop: &ShopProcess, customer: &str, product: &str, days: &[u8]) {
    let keys = std::fs::read_to_string(shop.path().join("keys.json")).unwrap();
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let secret = Secret::new(keys["secrets"]["operator"].as_str().unwrap());
    let orders = Caller::new(&shop.url("orders"), ServiceName::Orders, Some(&secret));
    let order = |day: &u8| {
        let id = Uuid::new_v4();
        json!({
            "record": "order", "id": id, "number": format!("I-{id}"), "customer_id": customer,
            "placed_at": format!("2011-05-{day:02}T10:00:00Z"), "fulfilment": "delivered", "source": "online-retail",
            "reference": null, "currency": "GBP", "charges": [], "shipping_address": null,
            "lines": [{ "product_id": product, "sku": "10001", "name": "Coffee", "quantity": 2, "unit_price": 500 }],
        })
    };
    let records: Vec<Value> = days.iter().map(order).collect();
    let summary = orders.bulk("/bulk/orders", &records).await.expect(200);
    assert_eq!(summary["loaded"], days.len(), "{summary}");
}

#[tokio::test]
async fn what_was_bought_before_may_be_bought_again() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let admin = Admin::of(&shop).await;
    let coffee = admin.product("Coffee", 500, 100).await;
    let soap = admin.product("Soap", 300, 100).await;
    let ada = Buyer::new(&shop).await;
    bought_long_ago(&shop, &ada.customer.id, &coffee, &[1, 9, 20]).await;
    // An order of these days, so that those are of long ago.
    ada.buys(&[&soap]).await;
    follows("buy again", async || {
        ids(&ada.suggestions().await["buy_again"]) == [&coffee]
    })
    .await;
    let again = ada.suggestions().await["buy_again"][0].clone();
    assert_eq!(
        (&again["times"], &again["explanation"]),
        (&json!(3), &json!("You bought it 3 times"))
    );
    assert!(
        page(&ada.customer.api, "/orders")
            .await
            .contains("id=\"buy-again\"")
    );
    assert!(page(&ada.customer.api, "/").await.contains("id=\"buy-again\""));
    ada.buys(&[&coffee]).await;
    follows("what was just bought again goes", async || {
        ids(&ada.suggestions().await["buy_again"]).is_empty()
    })
    .await;
    let other = Buyer::new(&shop).await;
    assert_eq!(
        other.suggestions().await["buy_again"],
        json!([]),
        "it is nobody else's"
    );
}

#[tokio::test]
async fn a_killed_service_takes_its_shelves_along_and_nothing_else() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let mut recommendations = Apart::new(PROGRAM, &shop, ServiceName::Recommendations, &[]);
    let elsewhere = [(ServiceName::Recommendations, recommendations.url())];
    let mut gateway = Apart::new(PROGRAM, &shop, ServiceName::Gateway, &elsewhere);
    tokio::join!(recommendations.start(), gateway.start());
    let admin = Admin::of(&shop).await;
    let (kettle, teapot) = (
        admin.product("Kettle", 1_000, 100).await,
        admin.product("Teapot", 2_000, 100).await,
    );
    // Everybody comes by the gateway that knows the service apart.
    let ada = through(&gateway, Buyer::new(&shop).await).await;
    let api = &ada.customer.api;
    for _ in 0..2 {
        ada.buys(&[&kettle, &teapot]).await;
    }
    let path = format!("/products/{kettle}");
    follows("the shelf of the service apart", async || {
        page(api, &path).await.contains("id=\"bought-together\"")
    })
    .await;
    for round in 0..2 {
        recommendations.kill();
        for path in [path.as_str(), "/"] {
            let html = page(api, path).await;
            assert!(html.contains(ABSENT), "{path} says what is missing: {html}");
            assert!(!html.contains("id=\"bought-together\""), "{html}");
        }
        assert!(
            page(api, &path).await.contains("Put into basket"),
            "the rest of the page is there"
        );
        page(api, "/orders").await;
        page(api, "/cart").await;
        let reply = api.get(&format!("/api/products/{kettle}/recommendations")).await;
        assert_eq!(
            (reply.status, &*reply.content_type),
            (503, "application/problem+json"),
            "{}",
            reply.text
        );
        let reply = api.get("/api/me/recommendations").await;
        assert_eq!(
            (reply.status, &*reply.content_type),
            (503, "application/problem+json"),
            "{}",
            reply.text
        );
        let began = Instant::now();
        ada.buys(&[&kettle, &teapot]).await;
        println!(
            "round {round}: a checkout without recommendations took {:.0?}",
            began.elapsed()
        );
        recommendations.start().await;
        let together = json!(3 + round);
        follows("the shelf is back, with what it missed", async || {
            let reply = api.get(&format!("/api/products/{kettle}/recommendations")).await;
            reply.status == 200 && reply.json["bought_together"][0]["together"] == together
        })
        .await;
        let html = page(api, &path).await;
        assert!(
            html.contains("id=\"bought-together\"") && !html.contains(ABSENT),
            "{html}"
        );
    }
}

async fn through(gateway: &Apart, buyer: Buyer) -> Buyer {
    let caller = Caller::new(&gateway.url(), ServiceName::Gateway, None);
    let body = json!({ "email": buyer.customer.email, "password": "correct horse battery" });
    let session = caller.post("/api/sessions", body).await.expect(201);
    let api = caller.with_token(session["token"].as_str().unwrap());
    Buyer {
        customer: Customer {
            api,
            ..buyer.customer
        },
        address: buyer.address,
    }
}

#[tokio::test]
async fn a_hanging_or_missing_database_costs_the_shelves_and_no_order() {
    let shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let (admin, visitor) = (Admin::of(&shop).await, shop.visitor());
    let (kettle, teapot) = (
        admin.product("Kettle", 1_000, 100).await,
        admin.product("Teapot", 2_000, 100).await,
    );
    let (ada, path) = (Buyer::new(&shop).await, format!("/products/{kettle}"));
    for _ in 0..2 {
        ada.buys(&[&kettle, &teapot]).await;
    }
    let together = async |orders: i64| {
        let reply = visitor
            .get(&format!("/api/products/{kettle}/recommendations"))
            .await;
        reply.status == 200 && reply.json["bought_together"][0]["together"] == orders
    };
    follows("the shelf", async || together(2).await).await;
    // Nothing is refused, and nothing is answered: pages wait a bounded time, then go without.
    let locked = TablesLocked::of(&shop, "recommendations").await;
    for path in [path.as_str(), "/"] {
        let began = Instant::now();
        let html = page(&ada.customer.api, path).await;
        println!("{path} with a hanging service: {:.1?}", began.elapsed());
        assert!(html.contains(ABSENT), "{path}: {html}");
    }
    ada.buys(&[&kettle, &teapot]).await;
    locked.free().await;
    follows("what was bought meanwhile is on the shelf", async || {
        together(3).await
    })
    .await;
    follows("the page has its shelf again", async || {
        page(&visitor, &path).await.contains("id=\"bought-together\"")
    })
    .await;
    // Its database lets nobody in: nothing that is sold meanwhile is lost.
    let away = DatabaseAway::of(&shop, "recommendations").await;
    for _ in 0..3 {
        assert!(page(&ada.customer.api, &path).await.contains(ABSENT));
        ada.buys(&[&kettle, &teapot]).await;
    }
    away.back().await;
    follows("nothing was lost", async || together(6).await).await;
    let letters = admin
        .api
        .get("/api/admin/dead-letters/recommendations")
        .await
        .expect(200);
    assert_eq!(letters["items"], json!([]), "nobody blames the events for it");
    follows("the page is whole again", async || {
        page(&visitor, &path).await.contains("id=\"bought-together\"")
    })
    .await;
}
