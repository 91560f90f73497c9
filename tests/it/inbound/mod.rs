//! What Meta tells of its own accord: its stand-in sends signed events to a real process, in bursts and copies, and what is
//! stored of them is compared with what it says that it has sent.

mod burst;
mod doors;
mod late;
pub(crate) mod scene;
