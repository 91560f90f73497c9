//! What customers are told at endpoints of their own: signed, again until it is taken, and nowhere inside our network. The
//! sandbox's receivers verify signatures by themselves.

mod events;
mod failing;
mod guard;
mod messages;
mod scene;
