//! Ports that stay ours: also while a killed server does not hold its own.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};

use rand::Rng;

/// Below the range from which systems take the ports of outgoing connections and of `bind(0)` (from 32768 on Linux, 49152
/// elsewhere), so that nobody gets one by chance.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port on loopback that this process alone uses, as far as test processes of this user go.
pub(crate) struct Port {
    pub(crate) number: u16,
    /// Its lock, which ends with this value or with the process.
    _lock: File,
}

impl Port {
    /// A port on which nobody listens.
    pub(crate) fn free() -> Self {
        let user = rustix::process::getuid().as_raw();
        let folder = std::env::temp_dir().join(format!("emporium-test-ports-{user}"));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        for _ in 0..1000 {
            let number = rand::rng().random_range(RANGE);
            let lock =
                File::create(folder.join(number.to_string())).expect("the temporary folder can be written");
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no free port between {} and {}", RANGE.start, RANGE.end);
    }
}
