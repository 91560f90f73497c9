# A private PostgreSQL for a script: in its scratch folder, on a free port of 127.0.0.1, gone at the end.
# Needs terminal.sh; starting also needs processes.sh.

# The folder of the server's programs: of the `initdb` in PATH, or else of Debian's newest version.
postgres_programs() {
  local initdb
  initdb=$(command -v initdb) || initdb=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
  [[ -x $initdb ]] || return 1
  dirname "$(readlink -f "$initdb")"
}

# start_postgres: afterwards `postgres_url` is the address of its server, without a database's name, and
# `postgres_bin` the folder of its programs. It forgets what it holds when the machine stops (no fsync): for tests of
# logic, never for tests of crashes.
start_postgres() {
  local folder=$scratch/postgres run_as='' as_owner=() port tries
  postgres_bin=$(postgres_programs) || fail "found no PostgreSQL server; scripts/up installs it"
  mkdir "$folder"
  if ((EUID == 0)); then # PostgreSQL refuses to run as root
    run_as=$(id -un postgres 2>/dev/null || id -un nobody)
    chown "$run_as" "$folder"
    as_owner=(setpriv "--reuid=$run_as" "--regid=$(id -g "$run_as")" --init-groups --)
  fi
  (cd "$folder" && "${as_owner[@]}" "$postgres_bin/initdb" --pgdata=data --username=postgres --auth=trust \
    --encoding=UTF8 --locale=C --no-sync >"$scratch/initdb.log" 2>&1) ||
    fail_with_logs "initdb failed"

  for ((tries = 0; tries < 5; tries++)); do
    port=$(free_port)
    start postgres INT "$postgres_bin/postgres" -D "$folder/data" -k "$folder" -h 127.0.0.1 -p "$port" \
      -c fsync=off -c full_page_writes=off -c max_connections=300 -c shared_buffers=128MB -c timezone=UTC \
      -c max_prepared_transactions=10 # doctor is to find one that was forgotten
    if postgres_answers "$postgres_bin/pg_isready" "$folder" "$port"; then
      postgres_url=postgres://postgres@127.0.0.1:$port
      return
    fi
    grep -q 'could not bind' "$scratch/postgres.log" || break
    forget_last # somebody took the port meanwhile
  done
  fail_with_logs "PostgreSQL did not start"
}

# Asks by the socket in our own folder: whoever may listen on that port, there it can only be ours.
postgres_answers() {
  local deadline=$((SECONDS + 30))
  until "$1" -q -h "$2" -p "$3" -U postgres; do
    if ! last_is_alive || ((SECONDS >= deadline)); then
      return 1
    fi
    sleep 0.1
  done
}

# create_database NAME: prints its address.
create_database() {
  "$postgres_bin/psql" -X -q -v ON_ERROR_STOP=1 "$postgres_url/postgres" -c "CREATE DATABASE $1"
  printf '%s\n' "$postgres_url/$1"
}
