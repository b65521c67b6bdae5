//! What a bus adapter may lack.

use emporium_service_kit::Lack;

/// A part of the bus's contract that an adapter may declare to lack. The contract suite reads the list and tests the
/// declared difference instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// A group gets its events in the order of positions: one that was taken and not acknowledged comes again before any
    /// newer one. Without it, a claimed event may come after newer ones, so consumers have to compare versions (as they must
    /// for replayed dead letters anyway).
    Ordered,
    /// Several members of a group work at the same time. Without it, one does and the others stand by.
    Parallel,
    /// What was appended and acknowledged survives a crash of the server's machine and a failover, and is never thrown away
    /// for want of memory. Without it, publishers notice the loss and have the groups rebuilt from the owners' histories.
    Durable,
}

impl Capability {
    /// For reports.
    pub fn lack(self) -> Lack {
        let (capability, consequence) = match self {
            Self::Ordered => (
                "ordered",
                "events that a member left behind may come after newer ones; consumers compare versions",
            ),
            Self::Parallel => (
                "parallel",
                "one member of a consumer group works at a time; the others stand by",
            ),
            Self::Durable => (
                "durable",
                "a crash or a failover may lose the last events; their publishers notice it, and groups are rebuilt from histories",
            ),
        };
        Lack::new(capability, consequence)
    }
}
