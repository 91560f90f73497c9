//! What `doctor` asks the database about itself and about us.

pub(crate) mod fleet;
pub(crate) mod server;
pub(crate) mod sessions;
pub(crate) mod tables;
