# Processes that a script starts beside itself. None outlives it: each is stopped when the script ends, on Ctrl-C
# too, and is told by the kernel to stop should the script be killed. Each has a session of its own, so that Ctrl-C
# reaches the script alone and the script decides the order.

scratch=$(mktemp -d "/tmp/millpond-${0##*/}.XXXXXX")
chmod 755 "$scratch" # root's PostgreSQL runs as another user and must get through

process_ids=()
process_names=()
process_signals=()

# start NAME SIGNAL COMMAND…: runs COMMAND in $scratch, its output in $scratch/NAME.log; SIGNAL ends it politely.
# With `run_as=USER` before it, as that user. Call it from the script's own shell, never from a subshell: the kernel
# watches the parent.
start() {
  local name=$1 signal=$2
  shift 2
  local identity=()
  [[ -z ${run_as:-} ]] || identity=("--reuid=$run_as" "--regid=$(id -g "$run_as")" --init-groups)
  (
    cd "$scratch" || exit
    exec setsid setpriv "${identity[@]}" --pdeathsig "$signal" -- "$@" >"$name.log" 2>&1 </dev/null
  ) &
  process_ids+=("$!")
  process_names+=("$name")
  process_signals+=("$signal")
}

is_alive() {
  kill -0 "$1" 2>/dev/null
}

# The process started last, for whoever wants to know whether it is still there.
last_is_alive() {
  is_alive "${process_ids[-1]}"
}

# forget_last: drops a process that has ended by itself, so that another can be tried in its place.
forget_last() {
  wait "${process_ids[-1]}" || true
  unset 'process_ids[-1]' 'process_names[-1]' 'process_signals[-1]'
}

# stop_last: ends the process started last, by its signal, or after 60 s (Millpond drains for 30) without asking.
stop_last() {
  local pid=${process_ids[-1]} tries=0
  kill -s "${process_signals[-1]}" "$pid" 2>/dev/null || true
  while is_alive "$pid"; do
    ((++tries < 600)) || kill -s KILL "$pid" 2>/dev/null || true
    sleep 0.1
  done
  kill -s KILL -- "-$pid" 2>/dev/null || true # its children, should it have left any
  forget_last
}

# wait_until SECONDS WHAT COMMAND…: until COMMAND succeeds; fails when the time is over or a process has ended.
wait_until() {
  local limit=$1 what=$2 deadline=$((SECONDS + $1)) at
  shift 2
  until "$@" >"$scratch/last-try" 2>&1; do
    for at in "${!process_ids[@]}"; do
      is_alive "${process_ids[at]}" || fail_with_logs "${process_names[at]} ended while waiting for: $what"
    done
    if ((SECONDS >= deadline)); then
      cat "$scratch/last-try"
      fail_with_logs "not within $limit s: $what"
    fi
    sleep 0.2
  done
}

# A port of 127.0.0.1 where nobody listens, below those that the kernel gives to outgoing connections.
free_port() {
  local port tries
  for ((tries = 0; tries < 100; tries++)); do
    port=$((20000 + RANDOM % 12000))
    if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '%s\n' "$port"
      return
    fi
  done
  fail "found no free port between 20000 and 31999"
}

# As fail, after the last words of every process.
fail_with_logs() {
  local log
  for log in "$scratch"/*.log; do
    [[ -s $log ]] || continue
    say "--- the end of ${log##*/}:"
    tail -n 40 "$log"
  done
  fail "$@"
}

# Runs at the script's end, however it ends.
leave() {
  set +e
  trap '' HUP INT TERM PIPE
  while ((${#process_ids[@]})); do
    stop_last
  done
  rm -rf "$scratch"
}
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
