//! The address book: exactly one default, whatever happens at once.

use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::accounts::futures_join;
use crate::{Shop, id};

fn street(name: &str) -> Value {
    json!({"street": name, "city": "London", "postal_code": "NW1 6XE", "country": "gb"})
}

async fn book(shop: &Shop, user: &str) -> Vec<Value> {
    let list = shop
        .gateway
        .get(&format!("/users/{user}/addresses"))
        .await
        .expect(200);
    assert!(list["next_cursor"].is_null());
    let items = list["items"].as_array().unwrap().clone();
    let defaults = items
        .iter()
        .filter(|address| address["is_default"] == true)
        .count();
    assert_eq!(defaults, usize::from(!items.is_empty()), "one default: {items:?}");
    items
}

#[tokio::test]
async fn the_life_of_an_address_book() {
    let shop = Shop::start().await;
    let user = id(&shop.register("ada").await);
    let base = format!("/users/{user}/addresses");
    assert!(book(&shop, &user).await.is_empty());
    let first = shop
        .gateway
        .post(&base, street(" 1 First Street "))
        .await
        .expect(201);
    assert_eq!(
        first,
        json!({"id": first["id"], "street": "1 First Street", "city": "London", "postal_code": "NW1 6XE",
            "country": "GB", "is_default": true})
    );
    let second = shop
        .gateway
        .post(&base, street("2 Second Street"))
        .await
        .expect(201);
    assert_eq!(second["is_default"], false);
    let mut third = street("3 Third Street");
    third["is_default"] = json!(true);
    let third = shop.gateway.post(&base, third).await.expect(201);
    assert_eq!(third["is_default"], true);
    assert_eq!(book(&shop, &user).await[0], third);

    let path = format!("{base}/{}", id(&second));
    let changed = shop
        .gateway
        .put(&path, street("2b Second Street"))
        .await
        .expect(200);
    assert_eq!(
        (&changed["street"], &changed["is_default"]),
        (&json!("2b Second Street"), &json!(false))
    );
    assert_eq!(shop.orders.get(&path).await.expect(200), changed);
    let default = shop
        .gateway
        .put(&format!("{path}/default"), json!(null))
        .await
        .expect(200);
    assert_eq!(default["is_default"], true);
    shop.gateway
        .put(&format!("{path}/default"), json!(null))
        .await
        .expect(200);
    // A change that says "not the default" does not leave the book without one.
    let mut no_default = street("2b Second Street");
    no_default["is_default"] = json!(false);
    shop.gateway.put(&path, no_default).await.expect(200);
    assert_eq!(id(&book(&shop, &user).await[0]), id(&second));

    // The default goes; the newest remaining one takes over.
    assert_eq!(shop.gateway.delete(&path).await.status, 204);
    shop.gateway.delete(&path).await.expect_problem(404, "not-found");
    assert_eq!(id(&book(&shop, &user).await[0]), id(&third));
    assert_eq!(
        shop.gateway
            .delete(&format!("{base}/{}", id(&first)))
            .await
            .status,
        204
    );
    assert_eq!(
        shop.gateway
            .delete(&format!("{base}/{}", id(&third)))
            .await
            .status,
        204
    );
    assert!(book(&shop, &user).await.is_empty());

    let changes: Vec<String> = shop
        .events(&user)
        .await
        .into_iter()
        .skip(1)
        .map(|(kind, _, data)| {
            assert_eq!(kind, "user.address_changed.v1");
            assert_eq!(data["user_id"], user);
            data["change"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected = [
        "added", "added", "added", "changed", "default", "deleted", "default", "deleted", "deleted",
    ];
    assert_eq!(changes, expected);
    shop.check_versions(&user).await;
}

#[tokio::test]
async fn somebody_elses_address_is_unknown() {
    let shop = Shop::start().await;
    let (ada, eve) = (id(&shop.register("ada").await), id(&shop.register("eve").await));
    let address = shop
        .gateway
        .post(&format!("/users/{ada}/addresses"), street("1 A"))
        .await
        .expect(201);
    let path = format!("/users/{eve}/addresses/{}", id(&address));
    shop.gateway.get(&path).await.expect_problem(404, "not-found");
    shop.gateway
        .put(&path, street("2 B"))
        .await
        .expect_problem(404, "not-found");
    shop.gateway
        .put(&format!("{path}/default"), json!(null))
        .await
        .expect_problem(404, "not-found");
    shop.gateway.delete(&path).await.expect_problem(404, "not-found");
    let nobody = format!("/users/{}/addresses", Uuid::new_v4());
    shop.gateway.get(&nobody).await.expect_problem(404, "not-found");
    shop.gateway
        .post(&nobody, street("1 A"))
        .await
        .expect_problem(404, "not-found");
    assert_eq!(book(&shop, &ada).await, [address]);
}

#[tokio::test]
async fn at_most_fifty_even_at_once() {
    let shop = Shop::start().await;
    let user = id(&shop.register("ada").await);
    let base = format!("/users/{user}/addresses");
    let asks: Vec<_> = (0..60)
        .map(|n| {
            let mut address = street(&format!("{n} Street"));
            address["is_default"] = json!(n % 3 == 0);
            shop.gateway.post(&base, address)
        })
        .collect();
    let mut made = 0;
    for reply in futures_join(asks).await {
        if reply.status == 201 {
            made += 1;
        } else {
            reply.expect_problem(422, "too-many-addresses");
        }
    }
    assert_eq!(made, 50);
    let book_before = book(&shop, &user).await;
    assert_eq!(book_before.len(), 50);
    // Default moved and defaults deleted, all at once.
    let asks: Vec<_> = book_before
        .iter()
        .enumerate()
        .map(|(n, address)| {
            let path = format!("{base}/{}", id(address));
            let shop = &shop;
            async move {
                if n % 2 == 0 {
                    shop.gateway.put(&format!("{path}/default"), json!(null)).await
                } else {
                    shop.gateway.delete(&path).await
                }
            }
        })
        .collect();
    for reply in futures_join(asks).await {
        assert!(matches!(reply.status, 200 | 204), "{}", reply.text);
    }
    assert_eq!(book(&shop, &user).await.len(), 25);
    shop.check_versions(&user).await;
}

#[derive(Debug, Clone)]
enum Step {
    Add(bool),
    Default(usize),
    Change(usize, bool),
    Delete(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => any::<bool>().prop_map(Step::Add),
        1 => (0..8_usize).prop_map(Step::Default),
        1 => ((0..8_usize), any::<bool>()).prop_map(|(n, default)| Step::Change(n, default)),
        2 => (0..8_usize).prop_map(Step::Delete),
    ];
    prop::collection::vec(step, 1..25)
}

/// What an address book should be: ids in the order of making, and the default.
#[derive(Default)]
struct Model {
    ids: Vec<String>,
    default: Option<String>,
}

/// Random steps against a model of an address book.
#[tokio::test(flavor = "multi_thread")]
async fn random_steps_do_as_the_model() {
    let shop = Shop::start().await;
    let runtime = tokio::runtime::Handle::current();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 12,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    tokio::task::block_in_place(|| {
        runner
            .run(&steps(), |steps| {
                runtime.block_on(follow(&shop, steps));
                Ok(())
            })
            .unwrap();
    });
}

async fn follow(shop: &Shop, steps: Vec<Step>) {
    let user = id(&shop.register(&Uuid::new_v4().to_string()).await);
    let base = format!("/users/{user}/addresses");
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Add(default) => {
                let mut body = street("1 Street");
                body["is_default"] = json!(default);
                let new = id(&shop.gateway.post(&base, body).await.expect(201));
                if default || model.ids.is_empty() {
                    model.default = Some(new.clone());
                }
                model.ids.push(new);
            }
            Step::Default(n) => {
                if let Some(address) = model.ids.get(n) {
                    shop.gateway
                        .put(&format!("{base}/{address}/default"), json!(null))
                        .await
                        .expect(200);
                    model.default = Some(address.clone());
                }
            }
            Step::Change(n, default) => {
                if let Some(address) = model.ids.get(n) {
                    let mut body = street(&format!("{n} Other Street"));
                    body["is_default"] = json!(default);
                    shop.gateway
                        .put(&format!("{base}/{address}"), body)
                        .await
                        .expect(200);
                    if default {
                        model.default = Some(address.clone());
                    }
                }
            }
            Step::Delete(n) => {
                if n < model.ids.len() {
                    let address = model.ids.remove(n);
                    assert_eq!(
                        shop.gateway.delete(&format!("{base}/{address}")).await.status,
                        204
                    );
                    if model.default.as_ref() == Some(&address) {
                        model.default = model.ids.last().cloned();
                    }
                }
            }
        }
        let book = book(shop, &user).await;
        assert_eq!(book.first().map(id), model.default);
        assert_eq!(book.len(), model.ids.len());
    }
    shop.check_versions(&user).await;
}
