# The program that the checks run.

program=$PWD/target/debug/millpond

# All targets at once, as the test runner asks for them, so that cargo compiles nothing twice.
build_program() {
  cargo build --workspace --all-targets --locked
}
