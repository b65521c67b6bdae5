//! The scripts. Those that write to a cart share their beginning.

use std::sync::LazyLock;

use emporium_service_kit::redis::NamedScript;

macro_rules! script {
    ($static:ident, $name:literal, $($file:literal),+) => {
        pub(super) static $static: LazyLock<NamedScript> =
            LazyLock::new(|| NamedScript::new($name, concat!($(include_str!($file)),+)));
    };
}

script!(SET_LINE, "set_line", "begin.lua", "set_line.lua");
script!(REMOVE_LINE, "remove_line", "begin.lua", "remove_line.lua");
script!(CLEAR, "clear", "begin.lua", "clear.lua");
script!(TAKE_PURCHASE, "take_purchase", "begin.lua", "take_purchase.lua");
script!(FREEZE, "freeze", "begin.lua", "freeze.lua");
script!(APPLY, "apply", "begin.lua", "apply.lua");
script!(PUT, "put", "put.lua");
script!(FINISH, "finish", "finish.lua");
