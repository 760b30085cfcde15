# The few things that one does with Hopline. `make help` lists them.

HOPLINE := target/release/hopline

.DEFAULT_GOAL := help
.PHONY: help build run demo test bench bench-peers bench-peers-all bench-peers-table fuzz check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build target/release/hopline
	cargo build --release --locked

run: build ## Run the gateway with the defaults, on this machine only
	$(HOPLINE) run

demo: build ## Run the gateway and play a small shop into it, until ^C
	@$(HOPLINE) run --set data_dir=.local/demo & gateway=$$!; \
	trap 'kill $$gateway 2>/dev/null; wait $$gateway' EXIT; trap 'exit 0' INT TERM; \
	$(HOPLINE) demo

test: ## Run all tests, after installing what they call from outside
	if [ -x integration/setup.sh ]; then integration/setup.sh; fi
	cargo test --locked

bench: ## Run all benchmarks
	cargo bench --locked

fuzz: ## Fuzz each TARGET (all of them) for SECONDS (60); what fails goes to target/fuzz/artifacts
	integration/fuzz/run.sh $(or $(SECONDS),60) $(or $(TARGET),otlp json flows log settings query)

# docs/benchmarking.md lists the variables; each may be a list such as BATCH=10,1000. Hopline is built in
# one with the bench, so that nothing is left to be built once a run has begun.
PEERS := cargo build --release --locked --quiet --bins --example peers && target/release/examples/peers
PEERS_ALIKE = minutes=$(MINUTES) flight=$(FLIGHT) connections=$(CONNECTIONS) port=$(PORT) \
	gateway_cores=$(GATEWAY_CORES) bench_cores=$(BENCH_CORES) results=$(RESULTS)

bench-peers: ## Measure against the Collector, turn by turn
	$(PEERS) run peer=$(PEER) case=$(CASE) signal=$(SIGNAL) protocol=$(PROTOCOL) out=$(OUT) \
		compression=$(COMPRESSION) limiter=$(LIMITER) batch=$(BATCH) rate=$(RATE) \
		rounds=$(ROUNDS) seconds=$(SECONDS) warm=$(WARM) $(PEERS_ALIKE)

bench-peers-all: ## Measure every row of the tables that is older than Hopline's binary
	$(PEERS) all rounds=$(or $(ROUNDS),2) seconds=$(or $(SECONDS),5) warm=$(or $(WARM),3) $(PEERS_ALIKE)

bench-peers-table: ## Write what was measured into docs/measured.md and docs/peers.svg
	$(PEERS) table results=$(RESULTS)

check: ## Run every gate that a change must pass
	.ci/run

clean: ## Delete what was built and what tests installed
	cargo clean
	rm -rf .local
