//! Texts of all kinds.

use proptest::prelude::*;

use super::*;

fn ok(text: &str) -> Exposition {
    read(text.as_bytes(), "orders").unwrap()
}

fn refused(text: &str) -> Unreadable {
    read(text.as_bytes(), "orders").unwrap_err()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let mut labels: Labels = pairs
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    labels.insert(SERVICE.to_owned(), "orders".to_owned());
    labels
}

#[test]
fn all_that_the_format_has_is_read() {
    let given = ok(concat!(
        "# HELP a_total A \\n help { text = \" with anything.\n# TYPE a_total counter\n\n",
        "a_total{x=\"1\",service=\"somebody else\"} 3\r\n",
        "\ta_total { x = \"2\" , y=\"a\\\"b\\\\c, }\" , }  1e3 1395066363000 \n",
        "# a comment\n#\ngauge 1\nplain -1.5\nempty{} +4\nnothing{x=\"\"} .5\nunicode{x=\"grün 日本\"} 0x\n",
    )
    .replace("0x\n", "0\n")
    .as_str());
    let seen: Vec<(&str, Kind, &Labels, &Value)> = given
        .readings
        .iter()
        .map(|reading| {
            (
                &*reading.series.metric,
                reading.series.kind,
                &reading.series.labels,
                &reading.value,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (
                "a_total",
                Kind::Counter,
                &labels(&[("x", "1")]),
                &Value::Number(3.0)
            ),
            (
                "a_total",
                Kind::Counter,
                &labels(&[("x", "2"), ("y", "a\"b\\c, }")]),
                &Value::Number(1000.0)
            ),
            ("gauge", Kind::Gauge, &labels(&[]), &Value::Number(1.0)),
            ("plain", Kind::Gauge, &labels(&[]), &Value::Number(-1.5)),
            ("empty", Kind::Gauge, &labels(&[]), &Value::Number(4.0)),
            ("nothing", Kind::Gauge, &labels(&[]), &Value::Number(0.5)),
            (
                "unicode",
                Kind::Gauge,
                &labels(&[("x", "grün 日本")]),
                &Value::Number(0.0)
            ),
        ]
    );
    assert!(given.left.is_empty());
    assert_eq!(ok(""), Exposition::default());
}

#[test]
fn a_histogram_is_one_series() {
    let given = ok(concat!(
        "# TYPE h histogram\n",
        "h_bucket{r=\"a\",le=\"1\"} 2\nh_bucket{r=\"a\",le=\"0.5\"} 1\nh_bucket{r=\"a\",le=\"+Inf\"} 4\n",
        "h_sum{r=\"a\"} 7.5\nh_count{r=\"a\"} 4\n",
        "h_sum{r=\"b\"} 0\nh_count{r=\"b\"} 3\nh_bucket{r=\"b\",le=\"1\"} 3\n",
        "# TYPE s summary\ns{quantile=\"0.5\"} 2\ns_sum 8\ns_count 4\n",
        "loose_bucket{le=\"1\"} 5\n",
    ));
    let histograms: Vec<&Reading> = given
        .readings
        .iter()
        .filter(|reading| reading.series.kind == Kind::Histogram)
        .collect();
    assert_eq!(histograms.len(), 2);
    assert_eq!(
        *histograms[0],
        Reading {
            series: Series {
                metric: "h".to_owned(),
                kind: Kind::Histogram,
                labels: labels(&[("r", "a")]),
                bounds: vec![0.5, 1.0]
            },
            value: Value::Histogram {
                totals: vec![1, 2, 4],
                sum: 7.5
            }
        }
    );
    assert_eq!(
        histograms[1].value,
        Value::Histogram {
            totals: vec![3, 3],
            sum: 0.0
        },
        "the count stands for +Inf"
    );
    let others: Vec<(&str, Kind)> = given
        .readings
        .iter()
        .map(|reading| (&*reading.series.metric, reading.series.kind))
        .take(4)
        .collect();
    assert_eq!(
        others,
        [
            ("s", Kind::Gauge),
            ("s_sum", Kind::Counter),
            ("s_count", Kind::Counter),
            ("loose_bucket", Kind::Gauge)
        ]
    );
}

#[test]
fn what_breaks_the_format_is_refused_with_its_line() {
    for (text, problem) in [
        ("a", "there is no value"),
        ("a{} ", "after the series come"),
        ("a 1 2 3", "after the series come"),
        ("a one", "this is no number"),
        ("a 0x1p-2", "this is no number"),
        ("a 1 now", "this is no time stamp"),
        ("1a 1", "no metric's name"),
        ("a-b 1", "no metric's name"),
        ("{x=\"1\"} 1", "no metric's name"),
        ("a{x} 1", "a label has no value"),
        ("a{x=1} 1", "not in quotes"),
        ("a{x=\"1} 1", "has no end"),
        ("a{x=\"\\t\"} 1", "no such escape"),
        ("a{x=\"\\", "no such escape"),
        ("a{x=\"1\"y=\"2\"} 1", "no comma"),
        ("a{x=\"1\",x=\"2\"} 1", "there twice"),
        ("a{x:y=\"1\"} 1", "no label's name"),
        ("a{", "a label has no value"),
        ("a{x=\"1\"", "no comma"),
        ("<html><body>502</body></html>", "no value"),
        ("{\"status\": \"ok\"}", "no metric's name"),
        ("# TYPE a", "TYPE takes"),
        ("# TYPE a counter gauge", "TYPE takes"),
        ("# TYPE a clock", "no metric's type"),
        ("# TYPE a-b counter", "no metric's name"),
    ] {
        let error = refused(&format!("fine 1\n{text}\nfine 2\n"));
        assert!(
            matches!(error, Unreadable::Line { line: 2, .. }),
            "{text}: {error}"
        );
        assert!(error.to_string().contains(problem), "{text}: {error}");
    }
    assert_eq!(read(b"a 1\n\xff 2\n", "orders"), Err(Unreadable::Encoding));
}

#[test]
fn what_cannot_be_kept_is_left_out_and_counted() {
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    let many: Vec<String> = (0..=LABELS_MAX).map(|n| format!("l{n}=\"1\"")).collect();
    let many = many.join(",");
    let name = "n".repeat(NAME_BYTES_MAX + 1);
    let given = ok(&format!(
        "a NaN\na{{x=\"1\"}} +Inf\na{{x=\"2\"}} -Inf\na{{x=\"3\"}} 1e999\nb 1\nb 2\nb{{service=\"x\"}} 3\n\
         c{{x=\"{long}\"}} 1\nc{{{many}}} 1\n{name} 1\nc{{x=\"a\\nb\"}} 1\nc{{x=\"\u{0}\"}} 1\n\
         # TYPE d counter\nd -1\nd{{x=\"1\"}} 1\n"
    ));
    let kept: Vec<f64> = given
        .readings
        .iter()
        .map(|reading| match reading.value {
            Value::Number(value) => value,
            Value::Histogram { .. } => unreachable!(),
        })
        .collect();
    assert_eq!(kept, [1.0, 1.0], "the first b, and d");
    assert_eq!(
        given.left,
        [
            (Left::NotFinite, 4),
            (Left::Repeated, 2),
            (Left::Labels, 5),
            (Left::Negative, 1)
        ]
        .into()
    );
}

#[test]
fn parts_that_make_no_histogram_are_left_out() {
    for parts in [
        "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\n",
        "h_bucket{le=\"1\"} 1.5\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n",
        "h_bucket{le=\"1\"} -1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n",
        "h_bucket{le=\"1\"} NaN\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n",
        "h_bucket{le=\"1\"} 1e300\nh_bucket{le=\"+Inf\"} 1e300\nh_sum 1\n",
        "h_bucket{le=\"x\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n",
        "h_bucket{le=\"NaN\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n",
        "h_bucket{le=\"-Inf\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n",
        "h_bucket 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n",
        "h_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 2\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n",
        "h_bucket{le=\"+Inf\"} 2\n",
        "h_bucket{le=\"+Inf\"} 2\nh_sum NaN\n",
        "h_sum 1\n",
    ] {
        let given = ok(&format!("# TYPE h histogram\n{parts}fine 1\n"));
        assert_eq!(
            (given.readings.len(), &given.left),
            (1, &[(Left::Histogram, 1)].into()),
            "{parts}"
        );
    }
}

#[test]
fn a_text_without_end_is_refused() {
    let text = "a{x=\"1\"} 1\n".repeat(SAMPLES_MAX + 1);
    assert_eq!(refused(&text), Unreadable::TooMany);
}

#[test]
fn what_services_export_is_read_whole() {
    use emporium_service_kit::ServiceName;
    use emporium_service_kit::metrics::{Metrics, counter};

    let metrics = Metrics::new(ServiceName::Orders);
    let own = metrics.register(counter("own_total", "With\nodd \\ \"signs\".", &["label"]));
    own.with_label_values(&["a\"b\\c"]).inc();
    let given = ok(&metrics.render());
    assert!(given.left.is_empty(), "{:?}", given.left);
    let calls = given
        .readings
        .iter()
        .filter(|r| r.series.metric == "emporium_store_call_duration_seconds");
    assert_eq!(
        calls
            .filter(|r| r.series.kind == Kind::Histogram && r.series.bounds.len() == 13)
            .count(),
        10
    );
    assert!(
        given
            .readings
            .iter()
            .any(|r| r.series.labels.get("label").is_some_and(|l| l == "a\"b\\c"))
    );
}

fn written(reading: &[(String, Labels, f64)]) -> String {
    let escaped = |value: &str| {
        value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    };
    let lines: Vec<String> = reading
        .iter()
        .map(|(name, labels, value)| {
            let labels: Vec<String> = labels
                .iter()
                .map(|(n, v)| format!("{n}=\"{}\"", escaped(v)))
                .collect();
            format!("{name}{{{}}} {value:?}\n", labels.join(","))
        })
        .collect();
    lines.concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No bytes make it panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes, "orders");
    }

    /// Nor do texts made of the format's own pieces, which come further.
    #[test]
    fn pieces_of_the_format_are_read_or_refused(pieces in proptest::collection::vec(prop_oneof![
        Just("# TYPE h histogram\n"), Just("h_bucket"), Just("h_sum"), Just("h_count"), Just("{"), Just("}"), Just("le"),
        Just("="), Just("\""), Just("\\"), Just("\\\""), Just("+Inf"), Just("NaN"), Just("-1"), Just("1e400"), Just("7"),
        Just(" "), Just("\n"), Just(","), Just("# TYPE a counter\n"), Just("a"), Just("é"), Just("\0"), Just("\r\n"),
    ], 0..60)) {
        let text = pieces.concat();
        if let Ok(given) = read(text.as_bytes(), "orders") {
            for reading in given.readings {
                prop_assert_eq!(&reading.series.labels[SERVICE], "orders");
                match reading.value {
                    Value::Number(value) => prop_assert!(value.is_finite()),
                    Value::Histogram { totals, sum } => {
                        prop_assert!(totals.is_sorted() && totals[0] >= 0 && sum.is_finite());
                        prop_assert_eq!(totals.len(), reading.series.bounds.len() + 1);
                    }
                }
            }
        }
    }

    /// What is written is read.
    #[test]
    fn what_is_written_is_read(samples in proptest::collection::hash_map(
        ("[a-z_:][a-z0-9_:]{0,8}", proptest::collection::btree_map("[a-r_][a-z0-9_]{0,4}", "[ -~äß日]{1,8}", 0..4)),
        -1e9..1e9f64, 0..10))
    {
        let samples: Vec<(String, Labels, f64)> =
            samples.into_iter().map(|((name, labels), value)| (name, labels, value)).collect();
        let given = ok(&written(&samples));
        prop_assert!(given.left.is_empty());
        let back: Vec<(String, Labels, f64)> = given.readings.into_iter().map(|mut reading| {
            reading.series.labels.remove(SERVICE);
            let Value::Number(value) = reading.value else { unreachable!() };
            (reading.series.metric, reading.series.labels, value)
        }).collect();
        prop_assert_eq!(back, samples);
    }
}

/// A line of 400,000 labels takes no longer than many lines of few, and is left out.
#[test]
fn a_line_of_labels_without_end_is_left_out() {
    let labels: Vec<String> = (0..400_000).map(|n| format!("l{n}=\"\"")).collect();
    let given = ok(&format!("m{{{},x=\"1\"}} 1\nn 2\n", labels.join(",")));
    assert_eq!(given.readings.len(), 2, "an empty label is none");
    let labels: Vec<String> = (0..400_000).map(|n| format!("l{n}=\"x\"")).collect();
    let given = ok(&format!("m{{{}}} 1\nn 2\n", labels.join(",")));
    assert_eq!((given.readings.len(), given.left[&Left::Labels]), (1, 1));
}

/// A histogram is one series, so its buckets are bounded by themselves.
#[test]
fn a_histogram_of_too_many_buckets_is_left_out() {
    let histogram = |buckets: usize| {
        let lines: Vec<String> = (1..buckets)
            .map(|n| format!("h_bucket{{le=\"{n}\"}} {n}\n"))
            .collect();
        format!(
            "# TYPE h histogram\n{}h_bucket{{le=\"+Inf\"}} {buckets}\nh_sum 1\nh_count {buckets}\n",
            lines.concat()
        )
    };
    assert_eq!(ok(&histogram(BUCKETS_MAX)).readings.len(), 1);
    let given = ok(&histogram(BUCKETS_MAX + 1));
    assert_eq!((given.readings.len(), given.left[&Left::Histogram]), (0, 1));
}
