//! Settings are read as documented, and nothing of a secret is ever shown.

use super::*;

/// A password that must not be seen anywhere.
const SECRET: &str = "s3cr3t";

fn from(toml: Option<&str>, variables: &[(&str, &str)]) -> Result<StoreUrls, StartError> {
    let file = toml.map(|text| {
        let path = std::env::temp_dir().join(format!("stores-{}.toml", uuid::Uuid::new_v4()));
        std::fs::write(&path, text).unwrap();
        path
    });
    let pairs = variables.iter().map(|(name, value)| (name.into(), value.into()));
    let read = StoreUrls::from_sources(file.as_deref(), pairs);
    if let Some(file) = file {
        std::fs::remove_file(file).unwrap();
    }
    read
}

#[track_caller]
fn refused(toml: Option<&str>, variables: &[(&str, &str)], words: &[&str]) {
    let text = from(toml, variables).unwrap_err().to_string();
    assert!(!text.contains(SECRET), "{text}");
    assert!(!text.contains('\n'), "one line: {text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in {text:?}");
    }
}

#[test]
fn a_file_may_be_written_in_three_ways() {
    for toml in [
        "EMPORIUM_CARTS_STORE = \"redis://h:1\"",
        "carts_store = 'redis://h:1'",
        "# the carts\n[carts]\nstore = \"redis://h:1\"\n",
        "carts.store = \"redis://h:1\"",
        "[emporium]\ncarts_store = \"redis://h:1\"",
        "\u{feff}carts_store = \"redis://h:1\"\r\n",
    ] {
        let urls = from(Some(toml), &[]).unwrap_or_else(|error| panic!("{toml}: {error}"));
        assert_eq!(urls.get(CARTS_STORE), Some("redis://h:1"), "{toml}");
        assert_eq!(urls.get(SESSIONS_STORE), None);
        assert!(urls.setting(CARTS_STORE).is_set() && !urls.setting(EVENTS).is_set());
    }
    let urls = from(
        Some("events = \"redis://h:2/3\"\n[catalog]\nsearch = \"elasticsearch://h:3\""),
        &[],
    )
    .unwrap();
    assert_eq!(
        (urls.get(EVENTS), urls.get(CATALOG_SEARCH)),
        (Some("redis://h:2/3"), Some("elasticsearch://h:3"))
    );
    assert!(from(Some(""), &[]).is_ok());
}

#[test]
fn a_variable_wins_over_the_file_and_an_empty_one_takes_the_setting_away() {
    let file = Some("carts_store = \"redis://file:1\"\nsessions_store = \"redis://file:2\"");
    let urls = from(file, &[(CARTS_STORE, "redis://variable:1")]).unwrap();
    assert_eq!(urls.get(CARTS_STORE), Some("redis://variable:1"));
    assert_eq!(urls.get(SESSIONS_STORE), Some("redis://file:2"));
    let urls = from(file, &[(CARTS_STORE, "")]).unwrap();
    assert_eq!(urls.get(CARTS_STORE), None);
    assert!(
        from(None, &[("EMPORIUM_ANALYTICS_STORE", "")]).is_ok(),
        "unset is unset"
    );
    let urls = from(None, &[("HOME", "redis://h"), ("EMPORIUM_CACHE", "/tmp")]).unwrap();
    assert_eq!(format!("{urls:?}"), "{}");
}

#[test]
fn wrong_schemes_and_texts_that_are_no_urls_are_refused() {
    for (name, url, words) in [
        (
            CARTS_STORE,
            "mysql://u:s3cr3t@h",
            vec![CARTS_STORE, "\"mysql\"", "postgres:// or redis://"],
        ),
        (
            CARTS_STORE,
            "elasticsearch://u:s3cr3t@h",
            vec!["\"elasticsearch\"", "redis://"],
        ),
        (
            CATALOG_SEARCH,
            "redis://:s3cr3t@h",
            vec![CATALOG_SEARCH, "elasticsearch://"],
        ),
        (SESSIONS_STORE, "s3cr3t", vec![SESSIONS_STORE, "scheme"]),
        (SESSIONS_STORE, ":s3cr3t@h://", vec![SESSIONS_STORE, "scheme"]),
        (
            SESSIONS_STORE,
            "redis://:s3cr3t@h:port",
            vec![SESSIONS_STORE, "no redis URL"],
        ),
        (
            SESSIONS_STORE,
            "redis://:s3cr3t@h:1/x",
            vec!["a number from 0 on"],
        ),
        (CARTS_STORE, "redis://:s3cr3t@h:1/-1", vec!["a number from 0 on"]),
        (
            EVENTS,
            "redis://h:1?protocol=resp3&password=s3cr3t",
            vec!["leave away what begins with ? or #"],
        ),
        (EVENTS, "rediss://:s3cr3t@h:1#insecure", vec!["leave away"]),
        // The password's end is taken for a parameter.
        (EVENTS, "redis://u:1?s3cr3t@h:1", vec!["%3F for ?"]),
        (
            SESSIONS_STORE,
            "postgres://u@h/d?sslmode=disable&pasword=s3cr3t",
            vec![SESSIONS_STORE, "unknown parameter", "sslmode"],
        ),
        (SESSIONS_STORE, "postgres://u:p@h/d#s3cr3t", vec!["%23"]),
        (SESSIONS_STORE, "redis://:s3cr3t@h:1 ", vec!["white space"]),
        (SESSIONS_STORE, "redis://:s3\ncr3t@h:1", vec!["white space"]),
        (
            EVENTS,
            "postgres://u:s3cr3t@h:99999/d",
            vec![EVENTS, "no postgres URL"],
        ),
        (CATALOG_SEARCH, "elasticsearch://", vec!["no elasticsearch URL"]),
        (
            CATALOG_SEARCH,
            "elasticsearch://u:s3cr3t@h:port",
            vec!["no elasticsearch URL"],
        ),
        (
            RECOMMENDATIONS_CACHE,
            "elasticsearch://u:s3cr3t@h",
            vec![RECOMMENDATIONS_CACHE, "postgres:// or redis://"],
        ),
    ] {
        refused(None, &[(name, url)], &words);
    }
    let long = format!("redis://{}", "h".repeat(URL_BYTES_MAX));
    refused(None, &[(EVENTS, long.as_str())], &[EVENTS, "longer than"]);
    for (name, url) in [
        (CARTS_STORE, "redis://h"),
        (CARTS_STORE, "REDISS://u:p@h:1"),
        (CARTS_STORE, "postgresql://u@h/d"),
        (
            CARTS_STORE,
            "postgres://h/d?sslmode=prefer&application_name=a&options[search_path]=b&options=-c%20x=1",
        ),
        (EVENTS, "redis://h:6379/15"),
        (CATALOG_SEARCH, "elasticsearch://u:p@h:9200"),
    ] {
        from(None, &[(name, url)]).unwrap_or_else(|error| panic!("{url}: {error}"));
    }
    // The catalog's own database has no address; another one cannot hold the index.
    for own in ["postgres:", "PostgreSQL://"] {
        assert_eq!(
            from(None, &[(CATALOG_SEARCH, own)]).unwrap().get(CATALOG_SEARCH),
            None
        );
    }
    refused(
        None,
        &[(CATALOG_SEARCH, "postgres://u:s3cr3t@h/d")],
        &[CATALOG_SEARCH, "own database"],
    );
}

#[test]
fn unknown_names_are_refused_wherever_they_stand() {
    refused(
        None,
        &[("EMPORIUM_CART_STORE", "redis://:s3cr3t@h")],
        &["EMPORIUM_CART_STORE", "did you mean EMPORIUM_CARTS_STORE?"],
    );
    refused(
        Some("cart_store = \"redis://:s3cr3t@h\""),
        &[],
        &["EMPORIUM_CART_STORE", ".toml", "did you mean"],
    );
    refused(
        Some("[orders]\nstore = \"redis://:s3cr3t@h\""),
        &[],
        &["EMPORIUM_ORDERS_STORE", ".toml"],
    );
    refused(
        Some("\"redis://:s3cr3t@h\" = \"carts\""),
        &[],
        &["no such setting"],
    );
    refused(
        Some("carts_store = \"mysql://:s3cr3t@h\""),
        &[],
        &[CARTS_STORE, ".toml", "\"mysql\""],
    );
}

#[test]
fn files_that_make_no_sense_are_refused_by_line() {
    refused(
        Some("\n\ncarts_store = redis://:s3cr3t@h"),
        &[],
        &["--stores", ".toml", "line 3"],
    );
    refused(
        Some("carts_store = \"redis://:s3cr3t@h\nevents = 1"),
        &[],
        &["line 1"],
    );
    refused(
        Some("carts_store = \"redis://:s3cr3t@h\"\ncarts_store = \"redis://:s3cr3t@h\""),
        &[],
        &["line 2", "duplicate"],
    );
    refused(
        Some("carts_store = \"redis://:s3cr3t@h\"\n[carts]\nstore = \"redis://h\""),
        &[],
        &[CARTS_STORE, "twice"],
    );
    for toml in [
        "carts_store = 6379",
        "carts_store = [\"redis://:s3cr3t@h\"]",
        "[a.b]\nc = \"redis://h\"",
        "[[carts]]\nstore = \"x\"",
    ] {
        refused(Some(toml), &[], &["--stores", "no text"]);
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let read = |path: &str| {
        StoreUrls::from_sources(Some(Path::new(path)), std::iter::empty())
            .unwrap_err()
            .to_string()
    };
    for path in ["/nowhere/stores.toml", "/", "/dev/zero"] {
        let text = read(path);
        assert!(
            text.starts_with(&format!("--stores {path}: ")) && text.contains("TOML file"),
            "{text}"
        );
    }
    let path = std::env::temp_dir().join(format!("stores-{}.toml", uuid::Uuid::new_v4()));
    std::fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    assert!(read(path.to_str().unwrap()).contains("UTF-8"));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn addresses_and_debug_output_show_no_secrets() {
    let urls = from(None, &[(CARTS_STORE, "redis://u:s3cr3t@h:1/2")]).unwrap();
    assert_eq!(urls.address(CARTS_STORE).as_deref(), Some("h:1/2"));
    assert_eq!(urls.address(EVENTS), None);
    assert!(!format!("{urls:?}").contains(SECRET));
}
