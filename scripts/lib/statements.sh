# The checked SQL: every `query!` is compiled against a live, migrated PostgreSQL, which leaves its description in a
# folder; `.sqlx` is such a folder, committed so that a build needs no database.
# Needs terminal.sh, processes.sh and postgres.sh.

# apply_migrations URL: in order, each in a transaction of its own unless it says that it cannot be in one.
apply_migrations() {
  local migration whole
  for migration in migrations/*.sql; do
    whole=(--single-transaction)
    [[ $(head -n 1 "$migration") != '-- no-transaction'* ]] || whole=()
    PGOPTIONS='-c client_min_messages=warning' \
      "$postgres_bin/psql" -X -q -v ON_ERROR_STOP=1 -o /dev/null "${whole[@]}" -f "$migration" "$1" ||
      fail "$migration does not apply"
  done
}

# The root file of each crate that has statements.
crates_with_statements() {
  local crate
  for crate in crates/*/src/lib.rs tests/it/main.rs; do
    if grep -rqE 'query(_as|_scalar)?(_unchecked)?!' --include='*.rs' "${crate%/*}"; then
      printf '%s\n' "$crate"
    fi
  done
}

# describe_statements FOLDER: compiles all of them and leaves their descriptions, and nothing else, in FOLDER.
describe_statements() {
  local url crate crates
  start_postgres
  url=$(create_database statements)
  apply_migrations "$url"
  rm -rf "$1"
  mkdir -p "$1"

  # Only what is compiled is checked, so the crates with statements must look new to cargo. Afterwards they get their
  # old time back, else every later step would compile them again.
  mapfile -t crates < <(crates_with_statements)
  for crate in "${crates[@]}"; do
    mkdir -p "$scratch/times/${crate%/*}"
    touch -r "$crate" "$scratch/times/$crate"
    touch "$crate"
  done
  DATABASE_URL=$url SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$(readlink -f "$1") \
    cargo check --workspace --all-targets --locked
  for crate in "${crates[@]}"; do
    touch -r "$scratch/times/$crate" "$crate"
  done
}
