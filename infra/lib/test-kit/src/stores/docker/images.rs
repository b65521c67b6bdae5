//! The official images, and how they are started to be like the servers of `infra/stores`.

use testcontainers::core::{ContainerRequest, IntoContainerPort};
use testcontainers::{GenericImage, ImageExt};

use crate::stores::kind::{Durability, RedisSettings, Store};
use crate::stores::spec::{Spec, checked};

/// Name and tag of Redis.
const REDIS: (&str, &str) = ("redis", "8.2-alpine");
/// Name and tag of Elasticsearch.
const ELASTICSEARCH: (&str, &str) = ("docker.elastic.co/elasticsearch/elasticsearch", "9.4.3");
/// Name and tag of Neo4j.
const NEO4J: (&str, &str) = ("neo4j", "2026.08.1-community");
/// Name and tag of ClickHouse.
const CLICKHOUSE: (&str, &str) = ("clickhouse/clickhouse-server", "26.9");
/// Name and tag of MongoDB.
const MONGODB: (&str, &str) = ("mongo", "8.0");

/// The same settings for all.
const REDIS_CONF: &[u8] = include_bytes!("../../../../../stores/redis/redis.conf");
const REDIS_CONF_PATH: &str = "/etc/emporium-redis.conf";
/// Inside its container a server listens everywhere; what is published decides who reaches it.
const OPEN: &str = "--bind 0.0.0.0 --protected-mode no";

/// Name and tag of the image for `spec`.
pub(super) fn image(spec: &Spec) -> (&'static str, &'static str) {
    match spec.store() {
        Store::Redis | Store::RedisCluster => REDIS,
        Store::Elasticsearch => ELASTICSEARCH,
        Store::Neo4j => NEO4J,
        Store::ClickHouse => CLICKHOUSE,
        Store::MongoDb => MONGODB,
        Store::Prometheus => unreachable!("no source has it in a container"),
    }
}

/// A server on `port`, inside its container and outside.
pub(super) fn server(spec: &Spec, port: u16) -> ContainerRequest<GenericImage> {
    let (name, tag) = image(spec);
    let image = GenericImage::new(name, tag);
    let password = match spec {
        Spec::Redis { settings, .. } => {
            return image
                .with_copy_to(REDIS_CONF_PATH, REDIS_CONF.to_vec())
                .with_cmd(redis_command(settings, port))
                .with_mapped_port(port, port.tcp());
        }
        Spec::Prometheus(settings) => settings.password.as_deref(),
        Spec::Other { password, .. } => password.as_deref(),
    };
    match spec.store() {
        Store::Neo4j => neo4j(image, password, port),
        Store::ClickHouse => clickhouse(image, password, port),
        Store::MongoDb => mongodb(image, password, port),
        _ => elasticsearch(image, password, port),
    }
}

/// Three servers in one container, so that they reach each other where their clients reach them: on loopback.
pub(super) fn cluster(ports: &[u16]) -> ContainerRequest<GenericImage> {
    let list = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
    let script = format!(
        "for port in {list}; do mkdir -p /data/$port; redis-server {REDIS_CONF_PATH} {OPEN} --port $port --dir /data/$port \
         --appendonly yes --cluster-enabled yes --cluster-node-timeout 2000 --cluster-announce-ip 127.0.0.1 & done; wait"
    );
    let image = GenericImage::new(REDIS.0, REDIS.1)
        .with_copy_to(REDIS_CONF_PATH, REDIS_CONF.to_vec())
        .with_cmd(["sh", "-c", &script]);
    ports
        .iter()
        .fold(image, |image, port| image.with_mapped_port(*port, port.tcp()))
}

fn redis_command(settings: &RedisSettings, port: u16) -> Vec<String> {
    let durability = match settings.durability {
        Durability::None => "--appendonly no --save ''".to_owned(),
        other => format!("--appendonly yes --appendfsync {}", other.as_str()),
    };
    let mut command = format!("redis-server {REDIS_CONF_PATH} {OPEN} --port {port} {durability}");
    if let Some(password) = &settings.password {
        command.extend([" --requirepass ", checked(password)]);
    }
    if let Some((name, password)) = &settings.user {
        let words = [
            " --user ",
            checked(name),
            " on >",
            checked(password),
            " ~* &* +@all",
        ];
        command.extend(words);
    }
    command.split(' ').map(|word| word.replace("''", "")).collect()
}

fn elasticsearch(image: GenericImage, password: Option<&str>, port: u16) -> ContainerRequest<GenericImage> {
    // As elasticsearch.yml has it.
    let image = image
        .with_mapped_port(port, 9200.tcp())
        .with_env_var("discovery.type", "single-node")
        .with_env_var("ES_JAVA_OPTS", "-Xms512m -Xmx512m")
        .with_env_var("action.auto_create_index", "false")
        .with_env_var("cluster.routing.allocation.disk.threshold_enabled", "false")
        .with_env_var(
            "xpack.security.enabled",
            if password.is_some() { "true" } else { "false" },
        );
    match password {
        None => image,
        Some(password) => image
            .with_env_var("xpack.security.http.ssl.enabled", "false")
            .with_env_var("ELASTIC_PASSWORD", checked(password)),
    }
}

fn neo4j(image: GenericImage, password: Option<&str>, port: u16) -> ContainerRequest<GenericImage> {
    let auth = password.map_or("none".to_owned(), |password| {
        format!("neo4j/{}", checked(password))
    });
    // As neo4j.conf has it.
    image
        .with_mapped_port(port, 7687.tcp())
        .with_env_var("NEO4J_AUTH", auth)
        .with_env_var("NEO4J_server_memory_heap_initial__size", "512m")
        .with_env_var("NEO4J_server_memory_heap_max__size", "512m")
        .with_env_var("NEO4J_server_memory_pagecache_size", "128m")
        .with_env_var("NEO4J_db_transaction_timeout", "5m")
        .with_env_var("NEO4J_dbms_usage__report_enabled", "false")
}

fn clickhouse(image: GenericImage, password: Option<&str>, port: u16) -> ContainerRequest<GenericImage> {
    let image = image.with_mapped_port(port, 8123.tcp());
    match password {
        // Without it the image lets nobody in from outside its container.
        None => image.with_env_var("CLICKHOUSE_SKIP_USER_SETUP", "1"),
        Some(password) => image.with_env_var("CLICKHOUSE_PASSWORD", checked(password)),
    }
}

/// A replica set of one, whose member has the address that it has outside. It is initiated by whoever asks it first.
fn mongodb(image: GenericImage, password: Option<&str>, port: u16) -> ContainerRequest<GenericImage> {
    let server = format!("exec docker-entrypoint.sh mongod --replSet rs0 --port {port} --bind_ip_all");
    let image = image.with_entrypoint("bash").with_mapped_port(port, port.tcp());
    match password {
        None => image.with_cmd(["-c".to_owned(), server]),
        Some(password) => {
            // Members of a replica set with users tell each other by a key.
            let key = "head -c 64 /dev/urandom | base64 -w 0 > /data/key && chmod 400 /data/key && chown mongodb /data/key";
            image
                .with_cmd(["-c".to_owned(), format!("{key} && {server} --keyFile /data/key")])
                .with_env_var("MONGO_INITDB_ROOT_USERNAME", "admin")
                .with_env_var("MONGO_INITDB_ROOT_PASSWORD", checked(password))
        }
    }
}
