//! The scripts, one file each, which says what it does and why it may be sent twice.
//!
//! When the server's memory is full, nobody can sign in: `admit` is refused as a whole (`#!lua`: not even its clearing up is
//! done), and `begin` at its first write. What ends, marks or prolongs sessions that there are adds next to nothing and goes on
//! (`allow-oom`): who fills the memory must not become safe from a block by it.

use std::sync::LazyLock;

use emporium_service_kit::redis::NamedScript;

macro_rules! script {
    ($constant:ident, $name:literal) => {
        pub static $constant: LazyLock<NamedScript> =
            LazyLock::new(|| NamedScript::new($name, include_str!(concat!($name, ".lua"))));
    };
}

script!(STAMP, "stamp");
script!(ADMIT, "admit");
script!(SETTLE, "settle");
script!(BEGIN, "begin");
script!(SLIDE, "slide");
script!(END_ALL, "end_all");
script!(SET_BLOCKED, "set_blocked");
script!(CORRECT, "correct");
script!(NOTE, "note");
script!(PUT_SESSION, "put_session");
script!(KEEP_SESSIONS, "keep_sessions");
script!(READ_ACCOUNT, "read_account");
script!(PUT_ACCOUNT, "put_account");
script!(READ_TIMES, "read_times");
script!(PUT_TIMES, "put_times");
