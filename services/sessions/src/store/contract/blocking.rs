//! The part of the suite about blocked users.

use futures::future::join_all;
use time::Duration;
use uuid::Uuid;

use super::{
    Begun, Correction, PER_USER_MAX, SLIDING, Standing, Store, begin_after, begun, look_up, marker, session,
    start,
};

fn told(user_id: Uuid, version: i64, blocked: bool) -> Standing {
    Standing {
        user_id,
        version,
        blocked,
    }
}

/// A block marks the user's sessions and nobody else's; they still end, and work again after it.
pub async fn blocks_mark_and_unmark(store: Store) {
    let (user, second, other, now) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4(), start());
    let mut sessions = Vec::new();
    for user in [user, user, second] {
        sessions.push(begun(&store, user, now).await);
    }
    let free = begun(&store, other, now).await;
    let blocks = [
        told(user, 2, true),
        told(second, 9, true),
        told(Uuid::new_v4(), 2, true),
    ];
    assert_eq!(store.set_blocked(&blocks).await.unwrap(), 3);
    assert_eq!(store.set_blocked(&[]).await.unwrap(), 0);
    for session in &mut sessions {
        session.blocked = true;
        assert_eq!(look_up(&store, session, now).await.as_ref(), Some(&*session));
    }
    assert_eq!(look_up(&store, &free, now).await, Some(free.clone()));
    // A use counts all the same.
    let later = now + Duration::hours(1);
    let used = look_up(&store, &sessions[0], later).await.unwrap();
    assert!(used.blocked && used.expires_at == later + SLIDING.ttl);

    store.end(sessions[1].token).await.unwrap();
    assert_eq!(look_up(&store, &sessions[1], now).await, None);
    assert_eq!(store.set_blocked(&[told(user, 3, false)]).await.unwrap(), 1);
    assert!(!look_up(&store, &sessions[0], now).await.unwrap().blocked);
    assert!(look_up(&store, &sessions[2], now).await.unwrap().blocked);
    assert_eq!(store.end_all(&[user, second]).await.unwrap(), 2);
    assert_eq!(look_up(&store, &sessions[2], now).await, None);
}

/// Events come again, and may come late: only what is newer than everything before it counts.
pub async fn old_news_changes_nothing(store: Store) {
    let (user, now) = (Uuid::new_v4(), start());
    let session = begun(&store, user, now).await;
    let blocked = async || look_up(&store, &session, now).await.unwrap().blocked;
    // The newest of a batch, in whatever order.
    let batch = [told(user, 3, true), told(user, 4, false), told(user, 2, true)];
    store.set_blocked(&batch).await.unwrap();
    assert!(!blocked().await);
    let before = marker(&store, now).await;
    for old in [told(user, 3, true), told(user, 2, true), told(user, 4, true)] {
        store.set_blocked(&[old]).await.unwrap();
        assert!(!blocked().await, "{old:?}");
    }
    let login = super::session(user, now);
    let begins = store.begin(&login, before, PER_USER_MAX).await.unwrap();
    assert_eq!(begins, Begun::Yes, "an old block holds up no login either");
    store.set_blocked(&[told(user, 7, true)]).await.unwrap();
    for old in [told(user, 4, false), told(user, 7, false)] {
        store.set_blocked(&[old]).await.unwrap();
        assert!(blocked().await, "{old:?}");
    }
    // Blocked before the unblocking is known: whoever was verified since is not, and the unblocking spares that session.
    let after = marker(&store, now).await;
    let login = super::session(user, now);
    assert_eq!(
        store.begin(&login, after, PER_USER_MAX).await.unwrap(),
        Begun::Yes
    );
    assert!(!look_up(&store, &login, now).await.unwrap().blocked);
    store.set_blocked(&[told(user, 8, false)]).await.unwrap();
    assert!(!blocked().await);
    assert!(!look_up(&store, &login, now).await.unwrap().blocked);
}

/// A login that was verified before a block and begins at the same moment: whoever comes first, no session of the user is
/// left without the mark. The same for two blocks and an unblocking that overtake each other: the newest wins.
pub async fn blocks_and_logins_race(store: Store) {
    let now = start();
    for round in 0..150 {
        let user = Uuid::new_v4();
        if round % 2 == 0 {
            begun(&store, user, now).await;
        }
        let marker = marker(&store, now).await;
        let sessions = [session(user, now), session(user, now), session(user, now)];
        let logins = join_all(
            sessions
                .iter()
                .enumerate()
                .map(|(n, session)| begin_after(&store, (round + n) % 5, session, marker)),
        );
        let news = [
            [told(user, 2, true)],
            [told(user, 3, false)],
            [told(user, 4, true)],
        ];
        let news = join_all(news.iter().map(|told| store.set_blocked(told)));
        let (logins, news) = futures::join!(logins, news);
        assert!(news.into_iter().all(|done| done.is_ok()));
        for (login, session) in logins.into_iter().zip(&sessions) {
            let found = look_up(&store, session, now).await;
            let marked = found.as_ref().map(|session| session.blocked);
            let expected = (login.unwrap() == Begun::Yes).then_some(true);
            assert_eq!(marked, expected, "round {round}");
        }
    }
}

/// A look-up that slides the expiry keeps the mark that is set meanwhile.
pub async fn sliding_takes_no_mark_off(store: Store) {
    let now = start();
    let later = now + Duration::hours(1);
    for _ in 0..100 {
        let user = Uuid::new_v4();
        let session = begun(&store, user, now).await;
        let uses = join_all((0..3).map(|_| store.look_up(session.token, later, SLIDING)));
        let block = [told(user, 2, true)];
        let (uses, done) = futures::join!(uses, store.set_blocked(&block));
        done.unwrap();
        assert!(uses.into_iter().all(|found| found.is_ok()));
        let found = look_up(&store, &session, later).await.unwrap();
        assert!(found.blocked && found.expires_at == later + SLIDING.ttl);
    }
}

/// What is noted is what news told last, also of users without sessions and of those of whom nothing was told.
pub async fn what_is_noted_can_be_read(store: Store) {
    let users: Vec<Uuid> = (0..40).map(|_| Uuid::new_v4()).collect();
    assert_eq!(store.standings(&[]).await.unwrap(), []);
    let nothing: Vec<Standing> = users.iter().map(|user| told(*user, 0, false)).collect();
    assert_eq!(store.standings(&users).await.unwrap(), nothing);
    begun(&store, users[0], start()).await;
    store.end_all(&users[1..2]).await.unwrap();
    assert_eq!(store.standings(&users).await.unwrap(), nothing, "no news");
    let news: Vec<Standing> = (2..)
        .zip(&users[..30])
        .map(|(version, user)| told(*user, version, version % 2 == 0))
        .collect();
    store.set_blocked(&news).await.unwrap();
    let mut backwards = users.clone();
    backwards.reverse();
    let mut expected: Vec<Standing> = news.iter().chain(&nothing[30..]).copied().collect();
    assert_eq!(store.standings(&users).await.unwrap(), expected);
    expected.reverse();
    assert_eq!(
        store.standings(&backwards).await.unwrap(),
        expected,
        "in their order"
    );
}

/// A correction takes the place of what was found, of nothing else; it marks the sessions and ends logins under way, as news does.
pub async fn corrections_replace_what_was_found(store: Store) {
    let (user, free, now) = (Uuid::new_v4(), Uuid::new_v4(), start());
    let (session, other) = (begun(&store, user, now).await, begun(&store, free, now).await);
    let blocked = async || look_up(&store, &session, now).await.unwrap().blocked;
    let noted = async || store.standings(&[user]).await.unwrap()[0];
    let news = [told(user, 9, true), told(free, 3, true)];
    store.set_blocked(&news).await.unwrap();
    let correct = async |found, right| store.correct(&[Correction { found, right }]).await.unwrap();
    for found in [told(user, 9, false), told(user, 8, true), told(user, 10, true)] {
        assert_eq!(correct(found, told(user, 4, false)).await, 0, "{found:?}");
    }
    assert_eq!((noted().await, blocked().await), (told(user, 9, true), true));
    assert_eq!(correct(told(user, 9, true), told(user, 4, false)).await, 1);
    assert_eq!((noted().await, blocked().await), (told(user, 4, false), false));
    assert_eq!(
        correct(told(user, 9, true), told(user, 5, true)).await,
        0,
        "done already"
    );
    let before = marker(&store, now).await;
    assert_eq!(correct(told(user, 4, false), told(user, 4, true)).await, 1);
    assert_eq!((noted().await, blocked().await), (told(user, 4, true), true));
    let login = super::session(user, now);
    let begins = store.begin(&login, before, PER_USER_MAX).await.unwrap();
    assert_eq!(begins, Begun::RevokedMeanwhile);
    let pair = |found, right| Correction { found, right };
    let both = [
        pair(told(user, 4, true), told(user, 0, false)),
        pair(told(free, 3, true), told(free, 3, false)),
    ];
    assert_eq!(store.correct(&both).await.unwrap(), 2);
    assert_eq!(store.correct(&[]).await.unwrap(), 0);
    assert!(!blocked().await && !look_up(&store, &other, now).await.unwrap().blocked);
    // News that is newer than what is right counts again.
    store.set_blocked(&[told(user, 1, true)]).await.unwrap();
    assert!(blocked().await);
}

/// News and a correction of what was found before it, at the same moment: the news wins, whoever comes first.
pub async fn corrections_and_news_race(store: Store) {
    let now = start();
    for round in 0..100 {
        let user = Uuid::new_v4();
        let session = begun(&store, user, now).await;
        store.set_blocked(&[told(user, 2, true)]).await.unwrap();
        let correction = [Correction {
            found: told(user, 2, true),
            right: told(user, 2, false),
        }];
        let news = [told(user, 3, true)];
        if round % 2 == 0 {
            let (corrected, news) = futures::join!(store.correct(&correction), store.set_blocked(&news));
            assert!(corrected.is_ok() && news.is_ok());
        } else {
            let (news, corrected) = futures::join!(store.set_blocked(&news), store.correct(&correction));
            assert!(corrected.is_ok() && news.is_ok());
        }
        assert_eq!(store.standings(&[user]).await.unwrap(), [told(user, 3, true)]);
        assert!(
            look_up(&store, &session, now).await.unwrap().blocked,
            "round {round}"
        );
    }
}

/// Of many who replace the same note, one succeeds.
pub async fn notes_are_replaced_by_one(store: Store) {
    assert_eq!(store.note().await.unwrap(), None);
    assert!(!store.swap_note(Some("a"), "b").await.unwrap());
    let mut before: Option<String> = None;
    for round in 0..5 {
        let notes: Vec<String> = (0..8).map(|n| format!("{{\"é\": [{round}, {n}]}}")).collect();
        let swaps = join_all(notes.iter().map(|note| store.swap_note(before.as_deref(), note))).await;
        let won: Vec<&String> = swaps
            .into_iter()
            .zip(&notes)
            .filter_map(|(swapped, note)| swapped.unwrap().then_some(note))
            .collect();
        assert_eq!(won.len(), 1);
        assert_eq!(store.note().await.unwrap().as_ref(), Some(won[0]));
        assert!(!store.swap_note(None, "late").await.unwrap());
        before = Some(won[0].clone());
    }
}
