//! Ports that stay ours while whoever listens there is down: below those that the kernel gives to outgoing connections.

use std::net::TcpListener;

use anyhow::Context;

use super::dice::Dice;

/// Where to look.
const FIRST: u16 = 20_000;
const HOW_MANY: u64 = 12_000;

/// A port of loopback where nobody listened a moment ago.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Port(u16);

impl Port {
    pub(crate) fn free() -> anyhow::Result<Self> {
        // By chance and not by the seed: two runs with one seed may share a machine.
        let (chance, _) = uuid::Uuid::new_v4().as_u64_pair();
        let mut dice = Dice::new(chance);
        let mut tries = (0..100).map(|_| dice.below(HOW_MANY));
        let found = tries.find_map(|offset| {
            let port = FIRST + u16::try_from(offset).ok()?;
            TcpListener::bind(("127.0.0.1", port)).ok()?;
            Some(Self(port))
        });
        found.context("a free port between 20000 and 31999")
    }

    pub(crate) fn number(self) -> u16 {
        self.0
    }
}
