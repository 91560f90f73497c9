//! Schedules: which ticks are due (`ticks`), what becomes of each (`decide`), and the transactions that store ticks and
//! their jobs (`scheduler`, `jobs`). The leader's loop around them stands in `leader/schedules.rs`, what people do with
//! schedules in `admin/schedules.rs`.

mod decide;
pub(crate) mod jobs;
pub(crate) mod scheduler;
pub(crate) mod stamp;
mod ticks;
