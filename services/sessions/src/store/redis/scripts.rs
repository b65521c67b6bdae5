//! The scripts, one file each, which says what it does and why it may be sent twice.

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
