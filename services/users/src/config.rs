//! The service's own settings.

use clap::Parser;

/// Settings of the users service.
#[derive(Debug, Clone, Parser)]
pub struct Config {
    /// How many passwords are hashed at once. Each one under way takes 19 MiB of memory and one core; the memory is kept
    /// for the next one.
    #[arg(long, env = "EMPORIUM_USERS_HASHES_MAX", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub hashes_max: u32,
}
