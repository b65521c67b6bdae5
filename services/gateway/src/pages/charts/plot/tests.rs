//! Whatever is to be drawn, the drawing is sound.

use askama::Template;
use emporium_service_kit::Currency;
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use super::*;

fn plot(shape: Shape, figures: Figures, series: &[Vec<Option<f64>>]) -> Plot {
    let points = series.iter().map(Vec::len).max().unwrap_or(0);
    let moments: Vec<_> = (0..points)
        .map(|n| OffsetDateTime::UNIX_EPOCH + Duration::days(i64::try_from(n).unwrap()))
        .collect();
    Plot::new(Sheet {
        id: "p",
        title: "T",
        unit: Unit::Money(Currency::GBP),
        shape,
        figures,
        names: moments.iter().map(|moment| moment.date().to_string()).collect(),
        moments,
        series: series
            .iter()
            .enumerate()
            .map(|(n, values)| Series {
                name: format!("series {n}"),
                values: values.clone(),
            })
            .collect(),
    })
}

#[test]
fn nothing_is_said_to_be_nothing() {
    for series in [
        vec![],
        vec![vec![]],
        vec![vec![None, None]],
        vec![vec![Some(f64::NAN)]],
    ] {
        let html = plot(Shape::Lines, Figures::Each, &series).render().unwrap();
        assert!(
            html.contains("Nothing is known") && !html.contains("<path"),
            "{html}"
        );
    }
}

#[test]
fn lines_are_broken_where_nothing_is_known() {
    let plot = plot(
        Shape::Area,
        Figures::Each,
        &[vec![Some(0.0), Some(100.0), None, Some(50.0)]],
    );
    assert_eq!(plot.lines[0].path, "M125.0 1000.0L375.0 0.0M875.0 500.0");
    assert_eq!(
        plot.lines[0].area.as_deref(),
        Some("M125.0 1000.0L125.0 1000.0L375.0 0.0L375.0 1000.0ZM875.0 1000.0L875.0 500.0L875.0 1000.0Z")
    );
    assert_eq!(
        (plot.dots.len(), &*plot.dots[0].x, &*plot.dots[0].y),
        (1, "87.50%", "50.00%")
    );
}

#[test]
fn bars_stand_on_each_other_and_losses_hang() {
    let plot = plot(
        Shape::Stacked,
        Figures::Each,
        &[vec![Some(300.0)], vec![Some(100.0)], vec![Some(-200.0)]],
    );
    let places: Vec<(&str, &str, &str)> = plot
        .bars
        .iter()
        .map(|bar| (bar.class, &*bar.y, &*bar.height))
        .collect();
    // From -200 to 400: zero stands two thirds down.
    assert_eq!(plot.zero, "66.67%");
    assert_eq!(
        places,
        [
            ("s1", "16.67%", "50.00%"),
            ("s2", "0.00%", "16.67%"),
            ("s3", "66.67%", "33.33%")
        ]
    );
}

#[test]
fn the_largest_are_drawn_and_all_are_told() {
    let series: Vec<_> = (0..12).map(|n| vec![Some(f64::from(n)), Some(1.0)]).collect();
    let plot = plot(Shape::Lines, Figures::Summary, &series);
    let drawn: Vec<&str> = plot.legend.iter().map(|key| &*key.name).collect();
    assert_eq!(
        (drawn.len(), drawn[0], drawn[7], plot.undrawn),
        (8, "series 4", "series 11", 4)
    );
    assert_eq!(plot.body.len(), 12);
    assert_eq!(plot.body[11][1..], ["£0.01", "£0.06", "£0.01", "£0.11"]);
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![Just(Shape::Lines), Just(Shape::Area), Just(Shape::Stacked)]
}

fn values() -> impl Strategy<Value = Vec<Option<f64>>> {
    let value = prop_oneof![proptest::num::f64::ANY, -1e6..1e6_f64];
    proptest::collection::vec(proptest::option::weighted(0.8, value), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_values_make_a_sound_drawing(shape in shapes(), series in proptest::collection::vec(values(), 0..12)) {
        let plot = plot(shape, Figures::Each, &series);
        let html = plot.render().unwrap();
        prop_assert!(!html.contains("NaN") && !html.contains("inf"), "{}", html);
        let within = |text: &str| {
            let place: f64 = text.trim_end_matches('%').parse().unwrap();
            (-0.01..=100.01).contains(&place)
        };
        for mark in plot.rows.iter().chain(&plot.columns) {
            prop_assert!(within(&mark.at), "{}", mark.at);
        }
        for block in plot.bars.iter().chain(&plot.bands) {
            for place in [&block.x, &block.y, &block.width, &block.height] {
                prop_assert!(within(place), "{place}");
            }
        }
        for line in &plot.lines {
            for number in line.path.split(['M', 'L', ' ']).filter(|part| !part.is_empty()) {
                let place: f64 = number.parse().unwrap();
                prop_assert!((0.0..=1000.0).contains(&place), "{number}");
            }
        }
        prop_assert!(plot.columns.len() <= MARKS_MAX && plot.legend.len() <= DRAWN_MAX);
    }
}
