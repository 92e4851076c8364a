# shellcheck shell=bash
# What every script needs: the project's folder, a cache outside the clone, pinned tools.
# Sourced, never run. Everything in the cache is keyed by version and safe to lose.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
# CARGO_HOME/bin is where rustup puts cargo; a fresh shell may not have it on the PATH.
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$HOME/.cargo/bin:$PATH"
CACHE=${PA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/performance-aggregator}
mkdir -p "$CACHE" "$ROOT/target"

NEXTEST_VERSION=0.9.143

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; [ -n "${2:-}" ] && say "help: $2"; exit 1; }

# install_package PACKAGE: with Debian's installer where that is allowed, one at a time.
install_package() {
  [ "$(id -u)" = 0 ] || return 1
  command -v apt-get >/dev/null 2>&1 || return 1
  say "installing the Debian package $1"
  (
    flock 9
    [ -e "$CACHE/apt-updated" ] || { apt-get update -qq && touch "$CACHE/apt-updated"; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1"
  ) 9>"$CACHE/apt.lock" >>"$CACHE/apt.log" 2>&1
}

# need COMMAND PACKAGE: installs a Debian package when that is allowed, else names it.
need() {
  command -v "$1" >/dev/null 2>&1 && return 0
  install_package "$2" || true
  command -v "$1" >/dev/null 2>&1 || die "$1 is missing" "apt-get install $2"
}

need_rust() {
  need cc gcc
  command -v cargo >/dev/null 2>&1 || die "cargo is missing" "install Rust with rustup (https://rustup.rs)"
}

# The test runner, built once into the cache.
install_nextest() {
  local dir=$CACHE/nextest-$NEXTEST_VERSION
  [ -x "$dir/bin/cargo-nextest" ] || {
    CARGO_TARGET_DIR=$dir/target cargo install --quiet --locked --root "$dir.new" "cargo-nextest@$NEXTEST_VERSION" &&
      rm -rf "$dir" && mv "$dir.new" "$dir"
  }
  export PATH="$dir/bin:$PATH"
}

# venv NAME REQUIREMENTS: a virtual environment with exactly what the file lists. Sets VENV.
venv() {
  need python3 python3
  VENV=$CACHE/$1-$(sha256sum "$2" | cut -c1-16)
  [ -e "$VENV/ready" ] || {
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_package python3-venv ||
      die "the Debian package python3-venv is missing" "apt-get install python3-venv"
    rm -rf "$VENV" && python3 -m venv "$VENV" &&
      "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$2" && touch "$VENV/ready"
  }
}

# install_python: the vector makers' interpreter, and shellcheck. Sets PYTHON.
install_python() {
  venv python "$ROOT/tests/requirements.txt"
  export PATH="$VENV/bin:$PATH" PYTHON=$VENV/bin/python3
}

# install_ccxt: an interpreter with ccxt, the client that nobody here wrote. Sets PA_CCXT_PYTHON.
install_ccxt() {
  venv ccxt "$ROOT/tests/ccxt/requirements.txt"
  export PA_CCXT_PYTHON=$VENV/bin/python3
}

# install_quant: an interpreter with the libraries the metrics are compared with. Sets QUANT_PYTHON.
install_quant() {
  venv quant "$ROOT/tests/quant/requirements.txt"
  export QUANT_PYTHON=$VENV/bin/python3
}

# build_simulator: the programs that run on loopback, with the simulated security module.
build_simulator() {
  cargo build --release --locked \
    -p enclave-app -p parent-proxy -p perfagg-client -p exchange-sim \
    --features enclave-app/simulator,perfagg-client/simulator
  collect sim enclave-app parent-proxy perfagg exchange-sim
}

# build_plain: what a customer and an operator run; each alone, so that no feature leaks in.
build_plain() {
  cargo build --release --locked -p enclave-app --no-default-features
  cargo build --release --locked -p perfagg-client --no-default-features
  cargo build --release --locked -p parent-proxy --no-default-features
  collect plain enclave-app parent-proxy perfagg
}

# build_fuzz: the fuzz targets, with coverage that stable Rust can give, in the cache. Sets FUZZ_BIN.
build_fuzz() {
  need g++ g++
  local host flags dir=$CACHE/fuzz-target
  host=$(rustc -vV | sed -n 's/^host: //p')
  flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
  flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
  flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
  # With a target named, build scripts and macros are built without these flags.
  (cd "$ROOT/fuzz" && CARGO_TARGET_DIR=$dir RUSTFLAGS=$flags cargo build --quiet --release --locked --target "$host")
  export FUZZ_BIN=$dir/$host/release
}

fuzz_targets() {
  sed -n 's/^path = "targets\/\(.*\)\.rs"$/\1/p' "$ROOT/fuzz/Cargo.toml"
}

# collect DIR NAME...: copies programs out of the build folder, so that one build does not replace another's.
collect() {
  local dir=target/$1 name
  shift
  mkdir -p "$dir"
  for name in "$@"; do
    cmp -s "target/release/$name" "$dir/$name" || cp --remove-destination "target/release/$name" "$dir/$name"
  done
}
