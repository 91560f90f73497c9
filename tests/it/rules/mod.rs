//! Rules, alerts and changes of campaigns: real processes, figures that are read from the sandbox, and campaigns there that are
//! changed.

mod acting;
mod alerts;
mod changes;
mod recommending;
pub(crate) mod scene;
