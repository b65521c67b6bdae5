//! Moving the search index between the service's own database and a real Elasticsearch, and back.
#![allow(clippy::unwrap_used, clippy::too_many_lines)]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use emporium_catalog::Config;
use emporium_moving::Timing;
use emporium_service_kit::client::http_builder;
use emporium_service_kit::metrics::Metrics;
use emporium_service_kit::stores::CATALOG_SEARCH;
use emporium_service_kit::{Clock, Currency, Environment, Service, ServiceName, StartError, serve};
use emporium_test_kit::stores::{elasticsearch, own_elasticsearch};
use emporium_test_kit::{Caller, Keys, Reply, TestService, eventually};
use futures::future::join_all;
use serde_json::{Value, json};
use support::corner::{Corner, is_degraded};
use support::{create, gateway, mug};
use tokio_util::sync::CancellationToken;

/// What a move may take on a busy machine.
const LONG: u64 = 90;

fn timing() -> Timing {
    Timing {
        idle: Duration::from_millis(50),
        moving: Duration::from_millis(20),
        valid: Duration::from_secs(3),
        announce: Duration::from_secs(4),
    }
}

async fn build(environment: &Environment, setting: &str) -> Result<Service, StartError> {
    let mut environment = environment.clone();
    environment.stores.set(CATALOG_SEARCH, setting.to_owned())?;
    let config = Config {
        currency: Currency::GBP,
        search_lag_max_s: 30,
    };
    emporium_catalog::build_timed(&environment, config, timing()).await
}

async fn start(setting: &str) -> TestService {
    let build = async |environment: &Environment| build(environment, setting).await;
    TestService::start(ServiceName::Catalog, &Keys::default(), &[], Clock::System, build).await
}

/// Another instance of the same service.
struct Another {
    running: serve::Running,
    operator: Caller,
    gateway: Caller,
}

fn anew(environment: &Environment) -> Environment {
    Environment {
        shutdown: CancellationToken::new(),
        metrics: Metrics::new(ServiceName::Catalog),
        ..environment.clone()
    }
}

async fn another(environment: &Environment, keys: &Keys, setting: &str) -> Another {
    let environment = anew(environment);
    let built = build(&environment, setting).await.unwrap();
    let running = serve::start(&environment, built, serve::listen("127.0.0.1:0").await.unwrap()).unwrap();
    let url = format!("http://{}", running.address);
    let caller = |name| Caller::new(&url, ServiceName::Catalog, Some(keys.secret(name)));
    Another {
        operator: caller(ServiceName::Operator),
        gateway: caller(ServiceName::Gateway),
        running,
    }
}

async fn refusal(environment: &Environment, setting: &str) -> String {
    match build(&anew(environment), setting).await {
        Ok(_) => "it starts".to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn ask(operator: &Caller, to: &str, shadow: bool) -> Value {
    operator
        .post("/move", json!({"to": to, "shadow": shadow}))
        .await
        .expect(202)
}

/// Waits for the end of the move, and gives its outcome.
async fn ended(operator: &Caller) -> Value {
    eventually("the move has ended", LONG, async || {
        let status = operator.get("/move").await.expect(200);
        (status["move"].is_null() && status["last"].is_object()).then(|| status["last"].clone())
    })
    .await
}

async fn switched(operator: &Caller, scheme: &str) -> Value {
    let outcome = ended(operator).await;
    assert_eq!(outcome["ending"], "switched", "{outcome}");
    let verified = outcome["verified"].as_array().unwrap();
    assert_eq!(verified.len(), 1);
    assert_eq!(verified[0]["equal"], true);
    assert_eq!(verified[0]["rows"], verified[0]["rows_there"]);
    assert_eq!(outcome["paused_ms"], 0, "no write ever waits");
    let serving = operator.get("/move").await.expect(200)["serving"].clone();
    assert!(serving.as_str().unwrap().contains(scheme), "{serving}");
    outcome
}

async fn undecided(operator: &Caller) -> Value {
    eventually("it waits for the decision", LONG, async || {
        let status = operator.get("/move").await.expect(200);
        (status["move"]["undecided"] == true).then(|| status["move"].clone())
    })
    .await
}

async fn load(operator: &Caller, count: u32) {
    let line = |number: u32| {
        let id = uuid::Uuid::from_u128((0x0190 << 112) + u128::from(number));
        json!({"id": id, "sku": format!("B-{number}"), "name": format!("Lamp {number}"), "category": "lamps",
               "category_name": "Lamps", "price": {"amount": number, "currency": "GBP"}, "source": "seed", "stock": 1,
               "attributes": {"watts": f64::from(number) + 0.5, "dimmable": true},
               "created_at": "2020-02-03T04:05:06Z"})
        .to_string()
    };
    let lines = (0..count).map(line).collect::<Vec<_>>().join("\n");
    Reply::read(operator.request("POST", "/bulk/products").body(lines))
        .await
        .expect(200);
}

/// Every listed product with its price, by all pages of the list; an answer of which somebody would notice something fails.
async fn listed(gateway: &Caller) -> BTreeMap<String, i64> {
    let (mut all, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let page = gateway
            .get(&format!("/products?sort=newest&limit=100{cursor}"))
            .await
            .expect(200);
        for item in page["items"].as_array().unwrap() {
            let id = item["id"].as_str().unwrap().to_owned();
            let is_new = all.insert(id, item["price"]["amount"].as_i64().unwrap());
            assert!(is_new.is_none(), "twice in a list");
        }
        let Some(next) = page["next_cursor"].as_str() else {
            return all;
        };
        cursor = format!("&cursor={next}");
    }
}

/// What was acknowledged: prices of products that are there.
type Model = Arc<Mutex<BTreeMap<String, i64>>>;

/// Creates, changes, archives and searches until told to stop; every answer has to be one.
async fn traffic(gateway: &Caller, model: &Model, stop: &AtomicBool, lane: u32) -> u32 {
    let (mut count, mut own) = (0, Vec::new());
    while !stop.load(Ordering::SeqCst) {
        count += 1;
        let id = create(
            gateway,
            &format!("T-{lane}-{count}-{}", uuid::Uuid::new_v4().simple()),
            1,
        )
        .await;
        model.lock().unwrap().insert(id.clone(), 1_250);
        own.push(id);
        let changed: &String = &own[own.len() / 2];
        let price = json!({"price": {"amount": 100 + i64::from(count), "currency": "GBP"}});
        gateway
            .patch(&format!("/products/{changed}"), price)
            .await
            .expect(200);
        model
            .lock()
            .unwrap()
            .insert(changed.clone(), 100 + i64::from(count));
        if count % 4 == 0 {
            let gone = own.remove(0);
            gateway.delete(&format!("/products/{gone}")).await.expect(200);
            model.lock().unwrap().remove(&gone);
        }
        for path in ["/products?q=mug", "/suggest?q=blu"] {
            // While a server starts beside it, the database of a busy machine may not answer in time either.
            eventually("a search is answered", 10, async || {
                let status = gateway.get(path).await.status;
                assert!(status == 200 || status == 503, "{status}");
                (status == 200).then_some(())
            })
            .await;
        }
    }
    count
}

async fn under_traffic(gateway: &Caller, model: &Model, work: impl AsyncFnOnce()) {
    let stop = AtomicBool::new(false);
    let moving = async {
        work().await;
        stop.store(true, Ordering::SeqCst);
    };
    let lanes = join_all((0..3).map(|lane| traffic(gateway, model, &stop, lane)));
    let (counts, ()) = futures::join!(lanes, moving);
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

async fn agrees(what: &str, gateway: &Caller, model: &Model) {
    let wanted = model.lock().unwrap().clone();
    eventually(what, 20, async || (listed(gateway).await == wanted).then_some(())).await;
}

#[tokio::test]
async fn there_and_back_under_traffic_nothing_is_missed() {
    let Some(server) = elasticsearch().await else {
        return;
    };
    let corner = Corner::on(&server.url);
    let catalog = start("").await;
    let (gateway, operator) = (gateway(&catalog), catalog.as_caller(ServiceName::Operator));
    load(&operator, 700).await;
    let model: Model = Arc::new(Mutex::new(listed(&gateway).await));
    for round in 0..2 {
        under_traffic(&gateway, &model, async || {
            ask(&operator, &corner.setting, false).await;
            let outcome = switched(&operator, "elasticsearch://").await;
            assert!(
                outcome["verified"][0]["rows"].as_i64().unwrap() >= 600,
                "{outcome}"
            );
        })
        .await;
        agrees(
            &format!("the index has what was acknowledged, {round}"),
            &gateway,
            &model,
        )
        .await;
        // One that is slow for a moment is stood in for by the database.
        eventually("the index answers", 60, async || {
            let page = gateway.get("/products?q=lamp").await.expect(200);
            (!is_degraded(&page)).then_some(())
        })
        .await;
        assert!(operator.get("/products?index=elasticsearch&limit=1").await.status == 200);
        under_traffic(&gateway, &model, async || {
            ask(&operator, "postgres:", false).await;
            switched(&operator, "PostgreSQL").await;
        })
        .await;
        agrees(&format!("and the database, {round}"), &gateway, &model).await;
        operator
            .get("/products?index=elasticsearch")
            .await
            .expect_problem(422, "invalid");
    }
    catalog.stop().await;
    corner.clear().await;
}

/// An instance that ends at any moment of a move leaves it to the next one.
#[tokio::test]
async fn a_move_that_is_broken_off_anywhere_goes_on() {
    let Some(server) = elasticsearch().await else {
        return;
    };
    for (shadow, phase) in [
        (false, "announced"),
        (false, "copying"),
        (true, "following"),
        (false, "closing"),
    ] {
        let corner = Corner::on(&server.url);
        let catalog = start("").await;
        let operator = catalog.as_caller(ServiceName::Operator);
        load(&operator, 900).await;
        ask(&operator, &corner.setting, shadow).await;
        // The last phase may be too short to be seen: then the switch is made already, and the record says so.
        eventually(phase, LONG, async || {
            let status = operator.get("/move").await.expect(200);
            let is_over = phase == "closing" && status["move"].is_null();
            (status["move"]["phase"] == phase || is_over).then_some(())
        })
        .await;
        let (environment, keys) = (catalog.environment.clone(), catalog.keys.clone());
        catalog.stop().await;
        let setting = if phase == "closing" && refusal(&environment, "").await != "it starts" {
            corner.setting.as_str()
        } else {
            ""
        };
        let next = another(&environment, &keys, setting).await;
        if shadow {
            undecided(&next.operator).await;
            next.operator.post("/move/switch", json!({})).await.expect(202);
        }
        let outcome = switched(&next.operator, "elasticsearch://").await;
        assert_eq!(outcome["verified"][0]["rows"], 900, "{phase}");
        assert_eq!(listed(&next.gateway).await.len(), 900, "{phase}");
        next.running.stop().await;
        corner.clear().await;
    }
}

#[tokio::test]
async fn settings_that_contradict_the_record_are_refused() {
    let Some(server) = elasticsearch().await else {
        return;
    };
    let (corner, other) = (Corner::on(&server.url), Corner::on(&server.url));
    let catalog = start("").await;
    let operator = catalog.as_caller(ServiceName::Operator);
    let environment = catalog.environment.clone();
    let second = another(&environment, &catalog.keys, "").await;
    create(&gateway(&catalog), "MUG-1", 2).await;
    ask(&operator, &corner.setting, true).await;
    undecided(&operator).await;
    let filled = refusal(&environment, &corner.setting).await;
    assert!(
        filled.starts_with(CATALOG_SEARCH)
            && filled.contains("has not ended")
            && filled.contains("PostgreSQL holds"),
        "{filled}"
    );
    let third = refusal(&environment, &other.setting).await;
    assert!(
        third.contains("was moved to") && third.contains("PostgreSQL"),
        "{third}"
    );
    second.operator.post("/move/switch", json!({})).await.expect(202);
    switched(&operator, "elasticsearch://").await;
    // The other instance goes where this one went.
    eventually("the second instance asks the index", 10, async || {
        let found = second.operator.get("/products?index=elasticsearch").await;
        (found.status == 200 && found.json["total"] == 1).then_some(())
    })
    .await;
    let left = refusal(&environment, "").await;
    let address = corner.setting.as_str();
    assert!(
        left.contains("was moved from") && left.contains(address),
        "{left}"
    );
    let third = refusal(&environment, &other.setting).await;
    assert!(third.contains(address) && third.contains("and not to"), "{third}");
    assert_eq!(refusal(&environment, &corner.setting).await, "it starts");
    second.running.stop().await;
    catalog.stop().await;
    corner.clear().await;
}

#[tokio::test]
async fn another_shops_index_is_not_overwritten_unasked_and_a_cancelled_move_leaves_nothing() {
    let Some(server) = elasticsearch().await else {
        return;
    };
    let corner = Corner::on(&server.url);
    let first = start(&corner.setting).await;
    create(&gateway(&first), "MUG-OLD", 2).await;
    support::corner::answers_from_the_index(&gateway(&first), 20).await;
    first.stop().await;
    let catalog = start("").await;
    let operator = catalog.as_caller(ServiceName::Operator);
    create(&gateway(&catalog), "MUG-1", 2).await;
    create(&gateway(&catalog), "MUG-2", 2).await;
    operator
        .post("/move", json!({"to": corner.setting}))
        .await
        .expect_problem(409, "not-empty");
    let asked = json!({"to": corner.setting, "overwrite": true, "shadow": true});
    operator.post("/move", asked).await.expect(202);
    undecided(&operator).await;
    operator
        .post("/move", json!({"to": "elasticsearch://127.0.0.1:1"}))
        .await
        .expect_problem(422, "invalid");
    operator
        .post("/move", json!({"to": Corner::on(&server.url).setting}))
        .await
        .expect_problem(409, "moving");
    operator.delete("/move").await.expect(202);
    assert_eq!(ended(&operator).await["ending"], "cancelled");
    eventually("what was built is gone", 20, async || {
        corner.indices().await.is_empty().then_some(())
    })
    .await;
    assert_eq!(refusal(&catalog.environment, "").await, "it starts");
    ask(&operator, &corner.setting, false).await;
    let outcome = switched(&operator, "elasticsearch://").await;
    assert_eq!(outcome["verified"][0]["rows"], 2);
    catalog.stop().await;
    corner.clear().await;
}

#[tokio::test]
async fn a_difference_is_found_before_the_decision_and_mended_by_building() {
    let Some(server) = elasticsearch().await else {
        return;
    };
    let corner = Corner::on(&server.url);
    let catalog = start("").await;
    let (gateway, operator) = (gateway(&catalog), catalog.as_caller(ServiceName::Operator));
    let id = create(&gateway, "MUG-1", 2).await;
    let dear = json!({"price": {"amount": 9_000, "currency": "GBP"}});
    let mut other = mug("MUG-2");
    other["price"] = dear["price"].clone();
    gateway.post("/products", other).await.expect(201);
    ask(&operator, &corner.setting, true).await;
    undecided(&operator).await;
    let shadow = async |what: &str, path: &str, is: &dyn Fn(&Value) -> bool| {
        eventually(what, 30, async || {
            gateway.get(path).await.expect(200);
            let shadow = operator.get("/move").await.expect(200)["move"]["shadow"].clone();
            is(&shadow).then_some(shadow)
        })
        .await
    };
    let equal = shadow("equal answers are counted", "/products?q=mug", &|shadow| {
        // A busy machine may let some wait for too long.
        shadow["compared"].as_i64() >= shadow["failed"].as_i64().map(|failed| failed + 3)
    })
    .await;
    assert_eq!(
        (&equal["different"], &equal["failed"]),
        (&json!(0), &json!(0)),
        "{equal}"
    );
    // By hand, at the same version.
    let index = corner.indices().await.pop_first().unwrap();
    let update = format!("{}/{index}/_doc/{id}", corner.http);
    let http = http_builder().build().unwrap();
    let kept: Value = http.get(&update).send().await.unwrap().json().await.unwrap();
    let mut document = kept["_source"].clone();
    document["price"] = json!(99_000);
    let version = &kept["_version"];
    let put = format!("{update}?version={version}&version_type=external_gte&refresh=true");
    assert!(
        http.put(put)
            .json(&document)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    let found = shadow("the difference is told", "/products?sort=price_asc", &|shadow| {
        shadow["different"].as_i64() >= Some(1)
    })
    .await;
    let told = found["differences"].to_string();
    assert!(told.contains("PriceAsc"), "{told}");
    // Whoever decides for the switch all the same gets an index that is right: it is compared, and made anew.
    operator.post("/move/switch", json!({})).await.expect(202);
    let outcome = switched(&operator, "elasticsearch://").await;
    assert_eq!(outcome["verified"][0]["rows"], 2);
    let cheap = gateway.get("/products?sort=price_asc").await.expect(200);
    assert_eq!(cheap["items"][0]["id"], *id);
    catalog.stop().await;
    corner.clear().await;
}

#[tokio::test]
async fn a_server_that_goes_away_in_the_middle_holds_up_nothing_but_the_move() {
    let Some(server) = own_elasticsearch().await else {
        return;
    };
    let corner = Corner::on(&server.url);
    let catalog = start("").await;
    let (gateway, operator) = (gateway(&catalog), catalog.as_caller(ServiceName::Operator));
    load(&operator, 2_000).await;
    let model: Model = Arc::new(Mutex::new(listed(&gateway).await));
    ask(&operator, &corner.setting, false).await;
    eventually("it is being built", LONG, async || {
        let status = operator.get("/move").await.expect(200);
        (status["move"]["phase"] == "copying").then_some(())
    })
    .await;
    server.kill().await;
    under_traffic(&gateway, &model, async || {
        eventually("what keeps it is told", LONG, async || {
            let status = operator.get("/move").await.expect(200);
            let trouble = status["move"]["trouble"].as_array()?.clone();
            (!trouble.is_empty()).then_some(())
        })
        .await;
        server.restart().await;
        switched(&operator, "elasticsearch://").await;
    })
    .await;
    agrees("all is there", &gateway, &model).await;
    // And away after the switch: the record is not on that server, so the database answers.
    server.pause().await;
    let page = eventually("the database answers", 20, async || {
        let page = gateway.get("/products").await.expect(200);
        is_degraded(&page).then_some(page)
    })
    .await;
    assert_eq!(page["total"], model.lock().unwrap().len());
    server.resume().await;
    catalog.stop().await;
}
