//! The program as a process: start, stop, kill, and start again.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use emporium_test_kit::Reply;
use emporium_tests::customer::text;
use emporium_tests::process::emporium_postgres_pid;
use emporium_tests::{Admin, Customer, Options, ShopProcess};
use serde_json::{Value, json};
use sqlx::Connection;

const PROGRAM: &str = env!("CARGO_BIN_EXE_shop-under-test");

#[tokio::test]
async fn sigkill_loses_nothing_and_leaves_no_orphan() {
    let options = Options::default();
    let mut shop = ShopProcess::start(PROGRAM, &options).await;
    let admin = Admin::of(&shop).await;
    let product = admin.product("Survivor", 1_500, 20).await;
    let customer = Customer::sign_up(&shop).await;
    let address = customer.add_address().await;
    customer.put(&product, 2).await;
    let order = customer.order(&address, "tok_ok").await.expect(201);
    customer.put(&product, 3).await;
    for round in 0..2 {
        let server = shop.postgres_pid();
        shop.kill();
        emporium_test_kit::eventually("the database server ends with the program", 20, async || {
            emporium_postgres_pid(&shop.path().join("postgres"))
                .is_none()
                .then_some(())
        })
        .await;
        shop.start_again(PROGRAM, &options).await;
        assert_ne!(shop.postgres_pid(), server, "round {round}");
    }
    let customer = customer.sign_in_again(&shop).await;
    let seen = customer.see(order["id"].as_str().unwrap()).await;
    assert_eq!(
        (&seen["status"], &seen["lines"], &seen["total"]),
        (&order["status"], &order["lines"], &order["total"])
    );
    assert_eq!(customer.cart().await, [(product.clone(), 3)]);
    assert_eq!(
        customer
            .api
            .get(&format!("/api/products/{product}"))
            .await
            .expect(200)["stock"],
        18
    );
}

/// Asks until the answer is no longer 503.
async fn again(what: &str, ask: impl AsyncFn() -> Reply) -> Value {
    let reply = emporium_test_kit::eventually(what, 30, async || {
        let reply = ask().await;
        (reply.status != 503).then_some(reply)
    });
    let reply = reply.await;
    assert!(
        (200..300).contains(&reply.status),
        "{what}: {} {}",
        reply.status,
        reply.text
    );
    reply.json
}

#[tokio::test]
async fn a_killed_database_server_is_started_again() {
    let mut shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let product = Admin::of(&shop).await.product("Survivor", 1_500, 20).await;
    let customer = Customer::sign_up(&shop).await;
    let address = customer.add_address().await;
    customer.put(&product, 1).await;
    for times in 1..=2 {
        let server = shop.postgres_pid();
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(server.try_into().unwrap()).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        emporium_test_kit::eventually("it is back", 30, async || {
            (shop.output().matches("PostgreSQL is back.").count() == times).then_some(())
        })
        .await;
        assert_ne!(shop.postgres_pid(), server);
    }
    assert!(
        shop.output().contains("ended by itself, see "),
        "{}",
        shop.output()
    );
    // Every service finds it again by itself: an ended order has been through all of them. A connection that broke shows at
    // its next statement, so that the first answers may still be 503, and repeating is safe.
    let cart = again("the cart", async || customer.api.get("/api/cart").await).await;
    assert_eq!(cart["items"][0]["quantity"], 1, "{cart}");
    let item = format!("/api/cart/items/{product}");
    again("into the cart", async || {
        customer.api.put(&item, json!({ "quantity": 2 })).await
    })
    .await;
    let order = json!({ "address_id": address, "payment_token": "tok_ok" });
    let order = again("a checkout", async || customer.order_with("once", &order).await).await;
    let ended = again("the order", async || {
        let path = format!("/api/orders/{}", text(&order["id"]));
        customer.api.get(&path).await
    })
    .await;
    assert_eq!(ended["total"]["amount"], 3_000, "{ended}");
    assert_eq!(customer.ended(&text(&order["id"])).await["status"], "confirmed");
    assert!(shop.terminate().success(), "{}", shop.output());
}

#[tokio::test]
async fn sigterm_and_ctrl_c_stop_cleanly_and_a_warm_start_follows() {
    let options = Options::default();
    let mut shop = ShopProcess::start(PROGRAM, &options).await;
    let admin_file = shop.path().join("admin.json");
    let before = std::fs::read(&admin_file).unwrap();
    assert_eq!(
        std::fs::metadata(&admin_file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let document: Value = serde_json::from_slice(&before).unwrap();
    assert_eq!(
        document.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["email", "password"]
    );
    assert!(shop.terminate().success(), "{}", shop.output());
    assert!(!shop.path().join("running.json").exists());
    assert!(
        emporium_postgres_pid(&shop.path().join("postgres")).is_none(),
        "no server stays behind"
    );
    shop.start_again(PROGRAM, &options).await;
    assert_eq!(
        std::fs::read(&admin_file).unwrap(),
        before,
        "the administrator is made once"
    );
    Admin::of(&shop).await;
    assert!(shop.interrupt().success(), "{}", shop.output());
    assert!(
        emporium_postgres_pid(&shop.path().join("postgres")).is_none(),
        "no server stays behind"
    );
    shop.start_again(PROGRAM, &options).await;
    assert!(shop.hang_up().success(), "{}", shop.output());
    assert!(
        shop.output().contains("Stopped;"),
        "a closed terminal stops as orderly: {}",
        shop.output()
    );
    assert!(
        !shop.output().contains("WARN"),
        "nothing is wrong with a clean stop: {}",
        shop.output()
    );
}

/// A port after which ten more are free.
fn free_ports() -> u16 {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    (0..10_000)
        .map(|_| rand::random_range(20_000..30_000))
        .find(|first| (*first..first + 11).all(is_free))
        .unwrap()
}

#[tokio::test]
async fn nobody_can_sign_up_before_the_administrator() {
    let port = free_ports();
    let greedy = tokio::spawn(async move {
        let gateway = emporium_service_kit::ServiceName::Gateway;
        let caller = emporium_test_kit::Caller::new(&format!("http://127.0.0.1:{port}"), gateway, None);
        let body =
            json!({ "email": "admin@emporium.example", "password": "long enough pw", "name": "Greedy" });
        loop {
            match caller.request("POST", "/api/users").json(&body).send().await {
                Ok(answer) => return answer.status().as_u16(),
                Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    });
    let shop = ShopProcess::start(
        PROGRAM,
        &Options {
            port: Some(port),
            ..Options::default()
        },
    )
    .await;
    assert_eq!(
        greedy.await.unwrap(),
        409,
        "the address was taken before the gateway opened"
    );
    Admin::of(&shop).await;
}

#[tokio::test]
async fn an_address_that_a_customer_has_is_replaced() {
    let mut shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let customer = Customer::sign_up(&shop).await;
    assert!(shop.terminate().success());
    let file = shop.path().join("admin.json");
    let admin = json!({ "email": customer.email, "password": "some other password" });
    std::fs::write(&file, admin.to_string()).unwrap();
    shop.start_again(PROGRAM, &Options::default()).await;
    assert!(
        shop.output()
            .contains(&format!("{} belongs to a customer", customer.email)),
        "{}",
        shop.output()
    );
    let admin: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(admin["email"].as_str().unwrap().starts_with("admin-"), "{admin}");
    Admin::of(&shop)
        .await
        .product("Made by the new administrator", 100, 1)
        .await;
    customer.sign_in_again(&shop).await;
}

#[tokio::test]
async fn groups_do_not_wait_for_the_leases_of_a_killed_run() {
    let mut shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let keys: Value = serde_json::from_slice(&std::fs::read(shop.path().join("keys.json")).unwrap()).unwrap();
    let password = keys["passwords"]["emporium_bus"].as_str().unwrap();
    let options: sqlx::postgres::PgConnectOptions = shop.database_url("orders").parse().unwrap();
    let options = options
        .username("emporium_bus")
        .database("emporium_bus")
        .password(password);
    let mut bus = sqlx::postgres::PgConnection::connect_with(&options)
        .await
        .unwrap();
    let taken = "UPDATE bus_group SET member = '00000000-0000-7000-8000-000000000000', leased_until = now() + interval '1 day'";
    assert_eq!(
        sqlx::query(taken)
            .execute(&mut bus)
            .await
            .unwrap()
            .rows_affected(),
        6,
        "sessions, catalog, orders, recommendations, reviews.ratings, analytics"
    );
    shop.kill();
    shop.start_again(PROGRAM, &Options::default()).await;
    let port = shop
        .database_url("orders")
        .parse::<sqlx::postgres::PgConnectOptions>()
        .unwrap()
        .get_port();
    let mut bus = sqlx::postgres::PgConnection::connect_with(&options.port(port))
        .await
        .unwrap();
    let waiting = "SELECT count(*) FROM bus_group WHERE leased_until > now() + interval '1 hour'";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(&mut bus)
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn sample_data_belongs_to_the_database_and_is_no_reason_to_stay_closed() {
    let mut shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let email = emporium_seed::DEMO_ACCOUNTS[0].email;
    let body = json!({ "email": email, "password": "long enough pw", "name": "First" });
    shop.visitor().post("/api/users", body).await.expect(201);
    assert!(shop.terminate().success());
    let options = Options {
        sample: Some("tiny"),
        ..Options::default()
    };
    shop.start_again(PROGRAM, &options).await;
    assert!(shop.output().contains("warning:"), "{}", shop.output());
    assert_eq!(
        shop.visitor().get("/api/products?limit=1").await.expect(200)["total"],
        200
    );
    assert!(shop.terminate().success());
    std::fs::remove_dir_all(shop.path().join("postgres")).unwrap();
    shop.start_again(PROGRAM, &options).await;
    assert_eq!(
        shop.visitor().get("/api/products?limit=1").await.expect(200)["total"],
        200
    );
    Admin::of(&shop).await;
}

#[tokio::test]
async fn requests_under_way_are_answered_before_the_end() {
    let mut shop = ShopProcess::start(PROGRAM, &Options::default()).await;
    let admin = Admin::of(&shop).await;
    let product = admin.product("Bought while stopping", 1_500, 20).await;
    let customer = Customer::sign_up(&shop).await;
    let address = customer.add_address().await;
    customer.put(&product, 1).await;
    // A checkout that takes some seconds, since the payment only answers late.
    let running = tokio::spawn({
        let (customer, address) = (customer.clone(), address.clone());
        async move { customer.order(&address, "tok_slow").await }
    });
    let orders = shop.db("orders");
    emporium_test_kit::eventually("the checkout is under way", 10, async || {
        let sql = "SELECT count(*) FROM orders_order";
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&orders).await.unwrap();
        (count == 1).then_some(())
    })
    .await;
    orders.pool().close().await;
    let stopped = tokio::task::spawn_blocking(move || {
        let status = shop.terminate();
        (shop, status)
    });
    let reply = running.await.unwrap();
    assert!(
        matches!(reply.status, 201 | 202),
        "{} {}",
        reply.status,
        reply.text
    );
    let (mut shop, status) = stopped.await.unwrap();
    assert!(status.success(), "{}", shop.output());
    shop.start_again(PROGRAM, &Options::default()).await;
    let customer = customer.sign_in_again(&shop).await;
    let ended = customer.ended(&text(&reply.json["id"])).await;
    assert_eq!(
        ended["status"], "confirmed",
        "the saga goes on after the restart: {ended}"
    );
}
