# `make help` lists what there is to say.

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

.PHONY: help build demo test check advisories bench soak fuzz doc clean tools

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## the release binary, in target/release
	$(CARGO) build --release --locked

demo: build ## declares three registries on a scratch node and takes them back
	@tests/demo.sh

test: tools ## all tests
	$(CARGO) test --locked --doc
	$(CARGO) test --locked --all-targets

check: ## formatting, lints, licences, bans, sources, documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked
	$(CARGO) deny --config .deny.toml check licenses bans sources
	@$(MAKE) --no-print-directory advisories
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

# The database of advisories is a git repository on the network. Where it cannot be reached that is
# said aloud; an advisory that is found fails the check.
advisories:
	@if $(CARGO) deny --config .deny.toml fetch db >/dev/null 2>&1; then \
		$(CARGO) deny --config .deny.toml check --disable-fetch advisories; \
	else \
		echo "ADVISORIES NOT CHECKED: the advisory database cannot be reached from here"; \
	fi

bench: ## how fast it is, as ratios to bare system calls on this machine
	$(CARGO) bench --locked --bench apply

soak: ## the long runs: every fault at every call, with their seeds
	REGTRUST_SOAK=1 $(CARGO) test --locked --release --test faults -- --nocapture

fuzz: ## one minute for each fuzz target
	@tests/fuzz/run.sh

tools: # what the tests need beside Rust: installed when missing and root, else explained
	@missing=""; \
	need() { command -v "$$1" >/dev/null 2>&1 || missing="$$missing $$2"; }; \
	need strace strace; \
	if [ "$$(id -u)" = 0 ]; then \
		need mmdebstrap mmdebstrap; need systemd-nspawn systemd-container; \
		[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$$missing debian-archive-keyring"; \
	fi; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; \
	else \
		echo "the tests need$$missing: install it" >&2; exit 1; \
	fi
