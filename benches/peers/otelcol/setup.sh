#!/bin/sh
# Builds the OpenTelemetry Collector that Hopline is measured against, into `.local/peers/otelcol`.
#
# Needs Go 1.25 or later; where it is missing and apt may install, Debian's is installed. Takes about
# eight minutes the first time, and nothing after that until manifest.yaml changes.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../../.." && pwd)
local="$root/.local/peers/otelcol"
builder_version=v0.158.0

export CGO_ENABLED=0 GOFLAGS="-p=2 -buildvcs=false" GOTOOLCHAIN="${GOTOOLCHAIN:-local}"
export PATH="$PATH:/usr/local/go/bin"

# The stamp is written last, so that a build that was cut short is begun again.
want=$(cat "$here/manifest.yaml" "$here/setup.sh" | cksum)
if [ -f "$local/.stamp" ] && [ "$(cat "$local/.stamp")" = "$want" ]; then
    echo "peers: the Collector is up to date"
    exit 0
fi

if ! command -v go >/dev/null 2>&1; then
    echo "peers: go is missing, trying to install it"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go
fi
go version

mkdir -p "$local"
echo "peers: building the Collector, about eight minutes"
[ -x "$local/builder" ] ||
    GOBIN="$local" nice go install -trimpath "go.opentelemetry.io/collector/cmd/builder@$builder_version"

# The manifest's output path is relative to where the builder runs.
cp "$here/manifest.yaml" "$local/manifest.yaml"
(cd "$local" && nice ./builder --config manifest.yaml --skip-compilation)
(cd "$local/source" && nice go build -trimpath -ldflags "-s -w" -o ../otelcol .)
"$local/otelcol" --version
echo "$want" >"$local/.stamp"
