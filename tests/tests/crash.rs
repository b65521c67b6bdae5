//! The process is killed at every named point of the saga: before and after every commit of every step. After the next
//! start the order ends, and stock, money, points and cart agree with how it ended.
#![allow(clippy::unwrap_used)]

use emporium_orders::crash::{
    ANSWER, AWAIT, CANCEL, CHARGE, CLAIM, COMPENSATE, CONFIRM, CREATE, POINTS, POINTS_ADDED, RESERVE, SETTLE,
};
use emporium_test_kit::http::Reply;
use emporium_tests::customer::text;
use emporium_tests::{Admin, Customer, Options, ShopProcess};
use serde_json::{Value, json};
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

/// How many looks in a row find a checkout at its end before it is taken to have missed the crash point.
const CALM_LOOKS: u32 = 30;

/// One data folder for all points: each start is a recovery from the kill before it.
#[tokio::test]
async fn a_kill_at_every_point_of_the_saga_loses_nothing() {
    let mut shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let mut killed = Vec::new();
    for (token, points) in [
        ("tok_ok", &POINTS[..]),
        ("tok_decline", &POINTS[..]),
        ("tok_slow", &[AWAIT, CHARGE][..]),
    ] {
        for point in points {
            for side in ["before", "after"] {
                let place = format!("{point}:{side}");
                let was_killed = kill_at(&mut shop, token, &place).await;
                println!(
                    "{token} at {place}: {}",
                    if was_killed {
                        "killed, recovered"
                    } else {
                        "not on this path"
                    }
                );
                if was_killed {
                    killed.push(place);
                }
            }
        }
    }
    for point in [
        CLAIM,
        CREATE,
        RESERVE,
        POINTS_ADDED,
        CHARGE,
        AWAIT,
        CONFIRM,
        SETTLE,
        ANSWER,
        CANCEL,
        COMPENSATE,
    ] {
        for side in ["before", "after"] {
            assert!(
                killed.contains(&format!("{point}:{side}")),
                "{point}:{side} was never reached: the test proves less than it says"
            );
        }
    }
}

/// Runs one checkout in a shop that dies at `place`, starts it again, and checks that everything agrees. False when the
/// checkout never comes to that place.
async fn kill_at(shop: &mut ShopProcess, token: &str, place: &str) -> bool {
    let what = format!("{token} at {place}");
    assert!(shop.terminate().success(), "{what}: {}", shop.output());
    let armed = Options {
        env: vec![("EMPORIUM_ORDERS_CRASH_AT".into(), place.into())],
        ..Options::default()
    };
    shop.start_again(PROGRAM, &armed).await;
    let checkout = Checkout::prepare(shop, token).await;
    let request = checkout.request();
    let answer = tokio::spawn(request.send());
    // Either the process dies, or the checkout goes through to the end: answered, agreed, and still alive a while later,
    // since the last commits come after everything that can be seen from outside.
    let mut calm = 0;
    let died = emporium_test_kit::eventually(&format!("an end, {what}"), 40, async || {
        if shop.has_ended() {
            return Some(true);
        }
        calm = if answer.is_finished() && checkout.agrees(shop).await {
            calm + 1
        } else {
            0
        };
        (calm > CALM_LOOKS).then_some(false)
    })
    .await;
    let _ = answer.await;
    if died {
        shop.wait_for_end().await;
        shop.start_again(PROGRAM, &Options::default()).await;
    }
    let checkout = Checkout {
        customer: checkout.customer.sign_in_again(shop).await,
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
        checkout.agrees(shop).await.then_some(())
    })
    .await;
    assert_eq!(
        checkout.customer.see(&order).await["status"],
        wanted,
        "{what}: an end is an end"
    );
    died
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

    /// Whether the customer has exactly one order, it has ended, and stock, money, points and cart are as its end says.
    async fn agrees(&self, shop: &ShopProcess) -> bool {
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
        let stock = "SELECT on_hand::bigint, reserved::bigint FROM catalog_stock WHERE product_id = $1";
        let stock: Option<(i64, i64)> = sqlx::query_as(stock)
            .bind(product)
            .fetch_optional(&shop.db("catalog"))
            .await
            .ok()
            .flatten();
        let paid = "SELECT (amount - refunded)::bigint FROM payments_charge WHERE saga_id = $1 AND state = 'succeeded'";
        let paid: Option<i64> = sqlx::query_scalar(paid)
            .bind(id)
            .fetch_optional(&shop.db("payments"))
            .await
            .ok()
            .flatten();
        let cart: Vec<i64> = cart["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|item| item["quantity"].as_i64())
            .collect();
        let points = me["points"].as_i64().unwrap_or(-1);
        match order["status"].as_str() {
            Some("confirmed") => {
                stock == Some((8, 0)) && paid == Some(2_500) && points > 0 && cart.is_empty()
            }
            Some("cancelled") => {
                stock == Some((10, 0)) && paid.unwrap_or(0) == 0 && points == 0 && cart == [2]
            }
            _ => false,
        }
    }
}
