//! Instances of the service that share a cache.

use emporium_service_kit::{Redis, ServiceName};
use emporium_test_kit::stores::{self, Durability};
use futures::future::join_all;

use super::*;
use crate::cache::RedisCache;
use crate::store::fresh_postgres;

/// Two instances, each with the same store and a connection to the cache of its own.
async fn two(redis_url: &str, store: &Arc<dyn RecommendationStore>) -> Vec<Shelves> {
    let instance = async || {
        let metrics = Metrics::new(ServiceName::Recommendations);
        let redis = Redis::connect(redis_url, metrics.clone()).await.unwrap();
        let cache = Arc::new(RedisCache::new(redis, "two", 100));
        Shelves::new(
            store.clone(),
            cache,
            Duration::from_mins(1),
            Clock::System,
            &metrics,
        )
    };
    vec![instance().await, instance().await]
}

fn made(instances: &[Shelves]) -> u64 {
    instances
        .iter()
        .map(|one| one.outcomes.with_label_values(&["made"]).get())
        .sum()
}

/// A storm at two instances has each shelf made once; without the cache each makes its own, and answers all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_makes_a_shelf_once_however_many_instances() {
    let Some(server) = stores::own_redis(Durability::None).await else {
        return;
    };
    let store = fresh_postgres().await.unwrap();
    let instances = two(&server.url, &store).await;
    let storm = async |kind: Kind| {
        let asked = (0..60).map(|turn| instances[turn % 2].get(kind, 5, || None));
        let shelves: Result<Vec<Shelf>, StoreError> = join_all(asked).await.into_iter().collect();
        assert_eq!(shelves.unwrap().len(), 60);
    };
    storm(Kind::AlsoBought(Uuid::now_v7())).await;
    assert_eq!(made(&instances), 1);
    let product = Uuid::now_v7();
    storm(Kind::AlsoBought(product)).await;
    storm(Kind::BoughtTogether(product)).await;
    assert_eq!(made(&instances), 3);
    server.kill().await;
    storm(Kind::AlsoBought(product)).await;
    assert_eq!(made(&instances), 5, "each has made it once");
    // One call has failed, or as many as were under way at once, and then none.
    let failed = failed(&instances);
    storm(Kind::AlsoBought(product)).await;
    assert_eq!((made(&instances), self::failed(&instances)), (7, failed));
}

fn failed(instances: &[Shelves]) -> u64 {
    instances
        .iter()
        .map(|one| one.outcomes.with_label_values(&["cache_failed"]).get())
        .sum()
}

/// Who died with the turn holds others up for that long and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_is_never_given_back_ends() {
    let Some(server) = stores::own_redis(Durability::None).await else {
        return;
    };
    let store = fresh_postgres().await.unwrap();
    let instances = two(&server.url, &store).await;
    let kind = Kind::AlsoBought(Uuid::now_v7());
    assert!(instances[0].takes_turn(kind).await);
    let begun = tokio::time::Instant::now();
    instances[1].get(kind, 5, || None).await.unwrap();
    assert!(begun.elapsed() + LOOK_EVERY >= TURN, "it waited");
    assert_eq!(made(&instances), 1);
}
