#!/bin/sh
# Installs what the integration tests call from outside: the OpenTelemetry SDKs for Python and Node.
#
# Needs python3 (3.10 or later) and node (20.6 or later) with npm. Everything goes to `.local`,
# and nothing is installed again until its pins change.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
sdk="$root/integration/sdk"
local="$root/.local"

need() {
    command -v "$1" >/dev/null 2>&1 || { echo "setup: $1 is missing, please install it" >&2; exit 1; }
}

# A stamp is the checksum of the pins and of the program that reads them.
stamp() {
    { "$1" --version; shift; cat "$@"; } | cksum
}

# The stamp is written last, so that an install that was cut short is begun again.
fresh() {
    [ -f "$1/.stamp" ] && [ "$(cat "$1/.stamp")" = "$2" ]
}

python_sdk() {
    need python3
    want=$(stamp python3 "$sdk/requirements.txt")
    if fresh "$local/venv" "$want"; then
        echo "setup: the SDK for Python is up to date"
        return
    fi
    echo "setup: installing the SDK for Python into .local/venv"
    rm -rf "$local/venv"
    python3 -m venv "$local/venv"
    "$local/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --requirement "$sdk/requirements.txt"
    echo "$want" >"$local/venv/.stamp"
}

node_sdk() {
    need node
    need npm
    want=$(stamp node "$sdk/package.json" "$sdk/package-lock.json")
    if fresh "$local/node" "$want"; then
        echo "setup: the SDK for Node is up to date"
        return
    fi
    echo "setup: installing the SDK for Node into .local/node"
    rm -rf "$local/node"
    mkdir -p "$local/node"
    cp "$sdk/package.json" "$sdk/package-lock.json" "$local/node/"
    (cd "$local/node" && npm ci --no-audit --no-fund --loglevel=error)
    echo "$want" >"$local/node/.stamp"
}

mkdir -p "$local"
python_sdk
node_sdk
echo "setup: done"
