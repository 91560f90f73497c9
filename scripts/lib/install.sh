# Installs what the machine lacks, and does nothing where nothing is missing. Needs terminal.sh and postgres.sh.

missing_packages=()

# need PROGRAM PACKAGE: has the Debian package installed if the program is not there.
need() {
  command -v "$1" >/dev/null || missing_packages+=("$2")
}

# What a build and `millpond dev` need.
need_to_run() {
  need cc build-essential
  need mold mold # .cargo/config.toml links with it
  need pkg-config pkg-config
  need curl curl
  [[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing_packages+=(ca-certificates)
  postgres_programs >/dev/null || missing_packages+=(postgresql)
}

# Installs all that was found missing: as root, or through sudo where that works or can ask for a password.
install_packages() {
  ((${#missing_packages[@]})) || return 0
  local command=("$PWD/scripts/lib/apt-install" "${missing_packages[@]}")
  command -v apt-get >/dev/null ||
    fail "missing: ${missing_packages[*]} (Debian's names). There is no apt-get here; please install them by other means."

  if ((EUID != 0)); then
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
      command=(sudo "${command[@]}")
    else
      fail "missing: ${missing_packages[*]}. Run this as root, then start again:
  ${command[*]}"
    fi
  fi
  say "Installing with apt: ${missing_packages[*]}"
  "${command[@]}" || fail "apt could not install ${missing_packages[*]} (its reason stands above); is the network there?"
  missing_packages=()
}

# Installs Rust with rustup where there is no cargo, and refuses a Rust that is older than Cargo.toml asks for.
install_rust() {
  local needed have
  needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  if ! command -v cargo >/dev/null; then
    say "Installing Rust (stable, minimal profile) with rustup from sh.rustup.rs into ~/.cargo and ~/.rustup"
    curl --proto '=https' --tlsv1.2 -fsSL --retry 2 --connect-timeout 30 --max-time 120 \
      -o target/rustup-init.sh --create-dirs https://sh.rustup.rs || fail "could not download rustup; is the network there?"
    sh target/rustup-init.sh -y --no-modify-path --profile minimal --component clippy,rustfmt ||
      fail "rustup could not install Rust (its reason stands above)"
  fi
  have=$(cargo --version | cut -d ' ' -f 2)
  [[ $(printf '%s\n' "$needed" "$have" | sort -V | head -n 1) == "$needed" ]] ||
    fail "cargo is $have, Millpond needs $needed: run 'rustup update stable', or remove the older cargo from PATH"
}

# What the checks need beside that.
install_for_checks() {
  need_to_run
  need prometheus prometheus # with promtool
  [[ -x /usr/sbin/pgbouncer ]] || need pgbouncer pgbouncer # in root's PATH alone
  need docker-compose docker-compose
  need chromium chromium
  need chromedriver chromium-driver
  need node nodejs
  need npm npm
  need python3 python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing_packages+=(python3-venv)
  install_packages
  install_rust

  cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt || fail "could not install rustfmt"
  cargo clippy --version >/dev/null 2>&1 || rustup component add clippy || fail "could not install clippy"
  if ! command -v cargo-nextest >/dev/null; then
    say "Installing cargo-nextest"
    cargo install --locked cargo-nextest || fail "could not install cargo-nextest"
  fi
  install_python_packages target/venv tests/python/requirements.txt
  install_node_packages target/node tests/node
}

# install_python_packages VENV REQUIREMENTS: a virtual environment with them, made anew when they change.
install_python_packages() {
  local venv=$1 requirements=$2
  cmp -s "$requirements" "$venv/requirements.txt" && return
  say "Installing into $venv: $(grep -vE '^\s*(#|$)' "$requirements" | paste -sd ' ')"
  rm -rf "$venv"
  python3 -m venv "$venv" || fail "could not make $venv"
  # Uncompiled: of the thousands of modules in them a few are ever imported.
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --requirement "$requirements" ||
    fail "pip could not install $requirements (its reason stands above); is the network there?"
  cp "$requirements" "$venv/requirements.txt"
}

# install_node_packages FOLDER FROM: the packages that the lock file in FROM pins, made anew when it changes.
install_node_packages() {
  local folder=$1 from=$2
  cmp -s "$from/package-lock.json" "$folder/node_modules/installed-lock.json" && return
  say "Installing into $folder: $(sed -n 's/^ *"dependencies": { \(.*\) }.*/\1/p' "$from/package.json")"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$folder"
  # Nothing that a package brings is run by its installation.
  (cd "$folder" && npm ci --silent --no-audit --no-fund --ignore-scripts) ||
    fail "npm could not install $from/package-lock.json (its reason stands above); is the network there?"
  cp "$from/package-lock.json" "$folder/node_modules/installed-lock.json"
}
