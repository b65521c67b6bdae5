//! What a server does not promise, by what it says of itself.

use emporium_service_kit::redis::Promises;

use crate::store::Capability;

/// What carts lack on this server.
pub(super) fn of(promises: &Promises) -> Vec<Capability> {
    let given = [
        (promises.survive_power_loss(), Capability::SurvivesPowerLoss),
        (promises.survive_restart(), Capability::SurvivesRestart),
        (!promises.replicated, Capability::SurvivesFailover),
        (!promises.evicts, Capability::KeepsUntilExpiry),
    ];
    let lacks = given.into_iter().filter(|(given, _)| !given);
    lacks.map(|(_, capability)| capability).collect()
}

#[cfg(test)]
mod tests {
    use emporium_service_kit::redis::{Durability, Info};

    use super::*;

    #[test]
    fn lacks_follow_from_the_servers_settings() {
        use Capability::{KeepsUntilExpiry, SurvivesFailover, SurvivesPowerLoss, SurvivesRestart};
        let of = |durability: &Durability, info: &Info| of(&Promises::of(durability.clone(), info));
        let append = |fsync: &str| Durability::AppendOnly(fsync.to_owned());
        let (plain, replicated) = (
            Info::parse("connected_slaves:0"),
            Info::parse("connected_slaves:2"),
        );
        let evicting = Info::parse("maxmemory:9\r\nmaxmemory_policy:volatile-ttl");
        assert_eq!(of(&append("always"), &plain), []);
        assert_eq!(of(&append("everysec"), &plain), [SurvivesPowerLoss]);
        assert_eq!(of(&Durability::Hidden, &plain), [SurvivesPowerLoss]);
        assert_eq!(
            of(&Durability::None, &plain),
            [SurvivesPowerLoss, SurvivesRestart]
        );
        assert_eq!(of(&append("always"), &replicated), [SurvivesFailover]);
        assert_eq!(of(&append("always"), &evicting), [KeepsUntilExpiry]);
    }
}
