//! How large the world is, and which of all possible worlds it is.

/// Which world a sandbox shows. What is beyond a bound is cut to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldConfig {
    /// The same seed makes the same world, name for name and figure for figure.
    pub seed: u64,
    /// Ad accounts of each platform: 1 to 200.
    pub accounts_per_platform: u32,
    /// Campaigns of each account, the paused, archived and deleted ones among them: 1 to 5,000.
    pub campaigns_per_account: u32,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            accounts_per_platform: 2,
            campaigns_per_account: 40,
        }
    }
}

impl WorldConfig {
    /// Most ad accounts that a platform can have.
    pub const MOST_ACCOUNTS: u32 = 200;
    /// Most campaigns that an account can have.
    pub const MOST_CAMPAIGNS: u32 = 5_000;

    /// The same within its bounds.
    pub(super) fn bounded(&self) -> Self {
        Self {
            seed: self.seed,
            accounts_per_platform: self.accounts_per_platform.clamp(1, Self::MOST_ACCOUNTS),
            campaigns_per_account: self.campaigns_per_account.clamp(1, Self::MOST_CAMPAIGNS),
        }
    }
}
