//! A server that is full, and a script that breaks off.

use std::sync::Arc;

use emporium_service_kit::{Clock, StoreError};
use emporium_test_kit::stores::{self, Durability};
use time::Duration;
use uuid::Uuid;

use super::{connection, namespace, on};
use crate::store::contract::{PER_USER_MAX, THROTTLE, begun, look_up, marker, session};
use crate::store::redis::keys::Keys;
use crate::store::{SessionStore, Standing};
use crate::token::Hash;

/// Nobody can sign in, but who is signed in stays so, and can be signed out or blocked: whoever fills the server's memory
/// must not make his sessions safe from that.
#[tokio::test]
async fn a_full_server_still_takes_what_ends_sessions() {
    let Some(server) = stores::own_redis(Durability::None).await else {
        return;
    };
    let store: Arc<dyn SessionStore> = Arc::new(on(&server.url, "sessions").await);
    let now = Clock::System.now();
    let [ended, blocked] = [
        begun(&store, Uuid::new_v4(), now).await,
        begun(&store, Uuid::new_v4(), now).await,
    ];
    let mark = marker(&store, now).await;
    let mut connection = connection(&server.url).await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(1);
    let () = set.query_async(&mut connection).await.unwrap();

    let email = Hash::of_email("ann@example.org");
    let refused = store.admit(email, now, &THROTTLE).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let begins = store
        .begin(&session(Uuid::new_v4(), now), mark, PER_USER_MAX)
        .await;
    assert!(matches!(begins, Err(StoreError::Unavailable(_))), "{begins:?}");
    let failures: Vec<String> = redis::cmd("KEYS")
        .arg("*failures")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!(failures.is_empty());

    let later = now + Duration::hours(1);
    let slid = look_up(&store, &ended, later).await.unwrap();
    assert!(slid.expires_at > ended.expires_at);
    assert_eq!(store.end_all(&[ended.user_id]).await.unwrap(), 1);
    assert_eq!(look_up(&store, &ended, now).await, None);
    let told = Standing {
        user_id: blocked.user_id,
        version: 1,
        blocked: true,
    };
    assert_eq!(store.set_blocked(&[told]).await.unwrap(), 1);
    assert!(look_up(&store, &blocked, now).await.unwrap().blocked);
}

/// A script may end in the middle, as in a cluster whose slot is being moved. Repeated, it does all of its work: a block
/// counts as known only when it is done.
#[tokio::test]
async fn a_block_that_broke_off_is_still_news() {
    let Some(server) = stores::redis().await else {
        return;
    };
    let namespace = namespace();
    let store: Arc<dyn SessionStore> = Arc::new(on(&server.url, &namespace).await);
    let (now, user) = (Clock::System.now(), Uuid::new_v4());
    let first = begun(&store, user, now).await;
    let second = begun(&store, user, now + Duration::seconds(1)).await;
    let key = Keys::new(&namespace).session(second.token);
    let aside = format!("{key}:aside");
    let mut connection = connection(&server.url).await;
    let () = redis::pipe()
        .rename(&key, &aside)
        .set(&key, "no session")
        .query_async(&mut connection)
        .await
        .unwrap();
    let told = Standing {
        user_id: user,
        version: 1,
        blocked: true,
    };
    assert!(store.set_blocked(&[told]).await.is_err());
    let () = redis::pipe()
        .rename(&aside, &key)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(
        store.set_blocked(&[told]).await.unwrap(),
        1,
        "the one that is left"
    );
    for session in [first, second] {
        let found = look_up(&store, &session, now + Duration::seconds(1)).await;
        assert!(found.unwrap().blocked);
    }
}
