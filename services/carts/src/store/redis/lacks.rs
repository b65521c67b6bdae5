//! What a server does not promise, by what it says of itself.

use emporium_service_kit::redis::{Durability, Info};

use crate::store::Capability;

/// What carts lack on this server.
pub(super) fn of(durability: &Durability, info: &Info) -> Vec<Capability> {
    let mut lacks = Vec::new();
    match durability {
        Durability::AppendOnly(fsync) if fsync == "always" => {}
        // Who keeps the setting to himself does not promise anything.
        Durability::AppendOnly(_) | Durability::Hidden => lacks.push(Capability::SurvivesPowerLoss),
        Durability::None => {
            lacks.extend([Capability::SurvivesPowerLoss, Capability::SurvivesRestart]);
        }
    }
    if info.number("connected_slaves").unwrap_or(0) > 0 {
        lacks.push(Capability::SurvivesFailover);
    }
    if info.evicts() {
        lacks.push(Capability::KeepsUntilExpiry);
    }
    lacks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lacks_follow_from_the_servers_settings() {
        use Capability::{KeepsUntilExpiry, SurvivesFailover, SurvivesPowerLoss, SurvivesRestart};
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
