#!/bin/sh
# Fuzzes targets one after the other: run.sh SECONDS TARGET...
#
# All that it makes is in target/fuzz: the build, each target's growing corpus, its output, and the
# inputs that failed. The corpus beside this file is only read. A failing input is made small and
# put there by hand, where every run of the tests tries it.
set -eu
cd "$(dirname "$0")/../.."

version=0.13.2
made="$PWD/target/fuzz"
export PATH="$PWD/target/tools/bin:$PATH"

cargo fuzz --version >/dev/null 2>&1 ||
    cargo install cargo-fuzz --locked --version "$version" --root target/tools

# libFuzzer's hooks are switches of the compiler that stable has too, and hides.
if rustc +nightly --version >/dev/null 2>&1; then
    export RUSTUP_TOOLCHAIN=nightly
else
    export RUSTC_BOOTSTRAP=1
fi

# The log and the settings are files. On a disk, waiting for it takes nearly all of the time.
memory=/dev/shm
[ -d "$memory" ] && [ -w "$memory" ] || memory="${TMPDIR:-/tmp}"
TMPDIR=$(mktemp -d "$memory/hopline-fuzz.XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 1' INT TERM

# stat NAME FILE: one of the figures that libFuzzer ends with.
stat() {
    awk -v name="stat::$1:" '$1 == name { found = $2 } END { print found + 0 }' "$2"
}

seconds="$1"
shift
cargo fuzz build --fuzz-dir integration/fuzz --target-dir "$made"
failed=
for target in "$@"; do
    corpus="$made/corpus/$target" artifacts="$made/artifacts/$target" output="$made/$target.log"
    begin="$PWD/integration/fuzz/corpus/$target"
    mkdir -p "$corpus" "$artifacts"
    echo "fuzz: $target for $seconds s, output in $output"
    if (cd "$TMPDIR" && exec "$made"/*/release/"$target" "$corpus" "$begin" \
        -max_total_time="$seconds" -max_len=65536 -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$artifacts/" -print_final_stats=1 >"$output" 2>&1); then
        result="nothing found"
    else
        failed="$failed $target"
        result="FAILED, see $artifacts and the end of $output"
    fi
    echo "fuzz: $target: $(stat number_of_executed_units "$output") runs," \
        "$(stat average_exec_per_sec "$output") a second," \
        "at most $(stat peak_rss_mb "$output") MiB: $result"
done
if [ -n "$failed" ]; then
    echo "fuzz: failed:$failed" >&2
    exit 1
fi
