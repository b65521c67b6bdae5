//! What a server does not promise, by what it says of itself.

use emporium_service_kit::redis::{Promise, Promises};

use crate::store::Capability;

/// What carts lack on this server.
pub(super) fn of(promises: &Promises) -> Vec<Capability> {
    let capability = |promise| match promise {
        Promise::SurvivesRestart => Capability::SurvivesRestart,
        Promise::SurvivesPowerLoss => Capability::SurvivesPowerLoss,
        Promise::SurvivesFailover => Capability::SurvivesFailover,
        Promise::KeepsWhenFull => Capability::KeepsUntilExpiry,
    };
    promises.lacking().map(capability).collect()
}

#[cfg(test)]
mod tests {
    use emporium_service_kit::redis::Durability;

    use super::*;

    #[test]
    fn carts_lack_what_the_server_does_not_promise() {
        use Capability::{KeepsUntilExpiry, SurvivesFailover, SurvivesPowerLoss, SurvivesRestart};
        let of = |durability: Durability, replicated: bool, evicts: bool| {
            of(&Promises {
                durability,
                evicts,
                replicated,
            })
        };
        let append = |fsync: &str| Durability::AppendOnly(fsync.to_owned());
        assert_eq!(of(append("always"), false, false), []);
        assert_eq!(of(append("everysec"), false, false), [SurvivesPowerLoss]);
        assert_eq!(of(append("always"), true, false), [SurvivesFailover]);
        assert_eq!(of(append("always"), false, true), [KeepsUntilExpiry]);
        assert_eq!(
            of(Durability::None, true, true),
            [
                SurvivesRestart,
                SurvivesPowerLoss,
                SurvivesFailover,
                KeepsUntilExpiry
            ]
        );
    }
}
