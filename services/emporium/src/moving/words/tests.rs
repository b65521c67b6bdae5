//! How moves are told.

use time::macros::datetime;
use uuid::Uuid;

use super::*;

fn view(phase: Phase) -> MoveView {
    MoveView {
        id: Uuid::now_v7(),
        to: "redis://h:1".into(),
        began_at: Clock::System.now(),
        phase,
        undecided: false,
        copied: 1_234,
        built: None,
        built_total: None,
        marked: 0,
        passes: 0,
        differences: Vec::new(),
        shadow: Shadow::default(),
        trouble: Vec::new(),
    }
}

fn moved(to: &str, ending: Ending) -> MoveStatus {
    let one = |name: &str, equal| Verified {
        name: name.into(),
        rows: 12_345,
        digest: "aa".into(),
        rows_there: if equal { 12_345 } else { 7 },
        digest_there: if equal { "aa" } else { "bb" }.into(),
        equal,
    };
    let outcome = Outcome {
        id: Uuid::now_v7(),
        from: "redis://h:1".into(),
        to: to.into(),
        ending,
        began_at: datetime!(2030-01-02 03:04:05 UTC),
        ended_at: datetime!(2030-01-02 03:04:17.5 UTC),
        copied: 24_690,
        verified: vec![one("cart", true), one("line", ending == Ending::Switched)],
        paused_ms: 340,
        shadow: Shadow::default(),
        reasons: Vec::new(),
    };
    MoveStatus {
        service: "carts".into(),
        setting: CARTS_STORE.into(),
        serving: to.into(),
        under_way: None,
        last: Some(outcome),
    }
}

#[test]
fn each_phase_says_how_far_it_is() {
    let carts = |view: &MoveView| doing(ServiceName::Carts, view);
    assert!(carts(&view(Phase::Announced)).starts_with("waiting until every instance"));
    let mut copying = view(Phase::Copying);
    assert_eq!(carts(&copying), "1,234 records copied");
    (copying.marked, copying.passes) = (12, 1);
    assert_eq!(
        carts(&copying),
        "once more, since the stores differed: 1,234 records copied; 12 written to since"
    );
    let built = MoveView {
        copied: 0,
        built: Some(1_000),
        built_total: Some(2_500),
        ..view(Phase::Copying)
    };
    assert_eq!(
        doing(ServiceName::Analytics, &built),
        "building, 1,000 of 2,500 events read"
    );
    let unknown = MoveView {
        built_total: None,
        copied: 3,
        ..built
    };
    assert_eq!(
        doing(ServiceName::Catalog, &unknown),
        "3 records copied; building, 1,000 products read"
    );
    let mut following = view(Phase::Following);
    assert_eq!(carts(&following), "all is there");
    following.marked = 3;
    assert_eq!(carts(&following), "all is there; 3 to be copied again");
    assert!(carts(&view(Phase::Closing)).starts_with("writes wait"));
}

#[test]
fn what_is_undecided_is_shown_with_its_differences_and_how_to_decide() {
    let shadow = Shadow {
        compared: 1_000,
        different: 2,
        failed: 1,
        differences: vec!["3 here, 4 there".into()],
    };
    let undecided = MoveView {
        undecided: true,
        shadow,
        trouble: vec!["no answer".into()],
        ..view(Phase::Following)
    };
    let text = "all is there; 1,000 answers compared, 2 different, 1 not given by the other store";
    assert_eq!(
        question(ServiceName::Carts, &undecided),
        format!("carts: {text}; no answer. Switch to redis://h:1? [y/N] ")
    );
    let here = own_database();
    let lines = status(&MoveStatus {
        service: "carts".into(),
        setting: CARTS_STORE.into(),
        serving: here.clone(),
        under_way: Some(undecided),
        last: None,
    });
    assert_eq!(lines[0], format!("carts: the data is in {here} ({CARTS_STORE})"));
    assert!(
        lines[1].starts_with("A move to redis://h:1 began ") && lines[1].ends_with(text),
        "{lines:?}"
    );
    assert_eq!(
        lines[2..],
        [
            "  no answer",
            "  3 here, 4 there",
            "Decide: `emporium move carts --switch`, or `emporium move carts --cancel`"
        ]
    );
}

#[test]
fn an_outcome_tells_what_both_stores_held_and_what_the_setting_has_to_be() {
    let there = "redis://h:2";
    let lines = ended(&moved(there, Ending::Switched));
    assert_eq!(
        lines[0],
        "carts: moved from redis://h:1 to redis://h:2 on 2030-01-02T03:04:17Z, 12.50 s after it was asked for; 24,690 records \
         copied, writes waited 0.34 s"
    );
    for text in ["rows here", "rows there", "digest there", "12,345", "equal"] {
        assert!(lines[1].contains(text), "{lines:?}");
    }
    assert!(!lines[1].contains("DIFFERENT"), "{lines:?}");
    assert!(
        lines[2].starts_with("Before the next start, set EMPORIUM_CARTS_STORE to that URL (redis://h:2;"),
        "{lines:?}"
    );
    let lines = ended(&moved(&own_database(), Ending::Switched));
    assert!(
        lines[2].starts_with("Before the next start, unset EMPORIUM_CARTS_STORE"),
        "{lines:?}"
    );

    let mut given_up = moved(there, Ending::Different);
    if let Some(last) = &mut given_up.last {
        last.reasons = vec!["line: 12345 rows (aa) here, 7 rows (bb) there".into()];
    }
    let lines = ended(&given_up);
    assert!(
        lines[0].contains("was given up") && lines[1].contains("DIFFERENT"),
        "{lines:?}"
    );
    assert_eq!(
        lines[2..],
        ["  line: 12345 rows (aa) here, 7 rows (bb) there"],
        "no setting changes"
    );
    assert!(ended(&moved(there, Ending::Cancelled))[0].contains("was cancelled"));
    assert!(ended(&moved(there, Ending::Refused))[0].contains("was refused"));
}

#[test]
fn an_interrupted_command_says_who_goes_on() {
    let carts = ServiceName::Carts;
    assert!(left(carts, None).contains("before anything was asked"));
    let running = left(carts, Some(false));
    for text in [
        "goes on in the carts service",
        "`emporium move carts` looks on",
        "--cancel` ends it",
    ] {
        assert!(running.contains(text), "{running}");
    }
    assert!(left(carts, Some(true)).contains("waits for the next start"));
}
