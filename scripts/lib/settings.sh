# What every script agrees on before it does anything.

# rustup's programs, also in a shell that was opened before it was installed.
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
# The program is looked for here, wherever the caller's other builds may go.
export CARGO_TARGET_DIR=$PWD/target
# Statements are checked against the descriptions in .sqlx, so that no .env can make a build ask a database.
export SQLX_OFFLINE=true
