//! The official images, and how they are started to be like the servers of `infra/stores`.

use testcontainers::core::{ContainerRequest, IntoContainerPort};
use testcontainers::{GenericImage, ImageExt};

use crate::stores::kind::{Durability, RedisSettings};
use crate::stores::spec::{Spec, checked};

/// Name and tag of Redis.
const REDIS: (&str, &str) = ("redis", "8.2-alpine");
/// Name and tag of Elasticsearch.
const ELASTICSEARCH: (&str, &str) = ("docker.elastic.co/elasticsearch/elasticsearch", "9.4.3");

/// The same settings for all.
const REDIS_CONF: &[u8] = include_bytes!("../../../../../stores/redis/redis.conf");
const REDIS_CONF_PATH: &str = "/etc/emporium-redis.conf";
/// Inside its container a server listens everywhere; what is published decides who reaches it.
const OPEN: &str = "--bind 0.0.0.0 --protected-mode no";

/// Name and tag of the image for `spec`.
pub(super) fn image(spec: &Spec) -> (&'static str, &'static str) {
    match spec {
        Spec::Redis { .. } => REDIS,
        Spec::Elasticsearch { .. } => ELASTICSEARCH,
    }
}

/// A server on `port`, inside its container and outside.
pub(super) fn server(spec: &Spec, port: u16) -> ContainerRequest<GenericImage> {
    let (name, tag) = image(spec);
    let image = GenericImage::new(name, tag);
    match spec {
        Spec::Redis { settings, .. } => image
            .with_copy_to(REDIS_CONF_PATH, REDIS_CONF.to_vec())
            .with_cmd(redis_command(settings, port))
            .with_mapped_port(port, port.tcp()),
        Spec::Elasticsearch { password } => elasticsearch(image, password.as_deref(), port),
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
