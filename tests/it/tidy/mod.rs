//! The house's walls, held by reading the tree: who may use whom, where SQL and apalis may stand,
//! what no file may hold. What clippy can hold stands in `clippy.toml` and in the workspace's lints.

mod code;
mod crates;
mod files;
mod lists;
mod source;
mod tree;
