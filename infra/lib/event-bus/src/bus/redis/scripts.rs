//! The scripts, each a file of its own. Those about the stream begin with `prelude.lua`.
//!
//! When the server's memory is full, nothing is appended and no letter is put aside. All else adds next to nothing and goes on
//! (`allow-oom`): otherwise a bus that a slow group has let fill up could never be read, and so never be trimmed.

use std::sync::LazyLock;

use emporium_service_kit::redis::NamedScript;

macro_rules! script {
    ($name:ident, $operation:literal, $file:literal) => {
        script!($name, $operation, $file, "#!lua flags=allow-oom\n");
    };
    ($name:ident, $operation:literal, $file:literal, $header:literal) => {
        pub(super) static $name: LazyLock<NamedScript> = LazyLock::new(|| {
            NamedScript::new(
                $operation,
                concat!($header, include_str!("prelude.lua"), include_str!($file)),
            )
        });
    };
}

macro_rules! letter_script {
    ($name:ident, $operation:literal, $file:literal) => {
        pub(super) static $name: LazyLock<NamedScript> =
            LazyLock::new(|| NamedScript::new($operation, include_str!($file)));
    };
}

script!(PUBLISH, "events.publish", "publish.lua", "");
script!(PROGRESS, "events.progress", "progress.lua");
script!(CLAIM, "events.claim", "claim.lua");
script!(ACKNOWLEDGE, "events.acknowledge", "acknowledge.lua");
script!(RENEW, "events.renew", "renew.lua");
script!(RELEASE, "events.release", "release.lua");
script!(BEGIN, "events.begin_rebuild", "begin.lua");
script!(FINISH, "events.finish_rebuild", "finish.lua");
script!(MISSED, "events.missed", "missed.lua");
script!(SET_PAUSED, "events.set_paused", "set_paused.lua");
script!(SET_GROUP, "events.set_group", "set_group.lua");
script!(REMOVE_GROUP, "events.remove_group", "remove_group.lua");
script!(TRIM, "events.trim", "trim.lua");
letter_script!(LETTER, "events.dead_letter", "letter.lua");
letter_script!(LETTERS, "events.dead_letters", "letters.lua");
letter_script!(REPLAYED, "events.mark_replayed", "replayed.lua");
letter_script!(EXPIRE, "events.expire_letters", "expire.lua");
