# `make help` lists what there is to say.

CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

.PHONY: help build package release image demo test check advisories bench soak fuzz doc clean tools

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

build: ## the release binary, in target/release
	$(CARGO) build --release --locked

package: ## .deb, .rpm, tarball, SBOM and checksums, in target/package; PROFILE=dev is quicker
	@packaging/build.sh

release: ## what a release has to pass, and its files; uploads nothing
	@packaging/release.sh

image: ## the container image with static programs, in target/image; PROFILE=dev is quicker
	@packaging/image/build.sh

# Not by `cargo test`, which dies of Ctrl-C at once: the demo has something to tidy up first.
demo: ## boots a node, shows a pull that fails, one apply and the pull that works, and tidies up
	@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory tools
	@program=$$($(CARGO) test --locked --no-run --test system --message-format=json-render-diagnostics \
		| sed -n 's/.*"executable":"\([^"]*\/system-[^"]*\)".*/\1/p') && \
		[ -n "$$program" ] && exec "$$program" show-demo

# The container image's programs first: built while nodes are tested, they would be in each other's way.
test: tools ## all tests
	$(CARGO) test --locked --doc
	@[ "$$(id -u)" != 0 ] || PROFILE=dev packaging/static.sh
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

# One that misses a bar must not hide what the others say.
bench: tools ## size, speed and memory against their bars, mostly as ratios measured in the same run
	@missed=""; \
	for bench in daemon api apply; do \
		$(CARGO) bench --locked --bench $$bench || missed="$$missed $$bench"; \
	done; \
	[ -z "$$missed" ] || { echo "bars were missed by:$$missed" >&2; exit 1; }

soak: tools ## the long runs: every fault at every call, 200 kills and 200 races on real nodes, changes under pulls, breaks
	REGTRUST_SOAK=1 $(CARGO) test --locked --release --test faults -- --nocapture
	REGTRUST_SOAK=1 $(CARGO) test --locked --release --test windows --test simulation -- --nocapture
	REGTRUST_SOAK=1 $(CARGO) test --locked --test system no_pull_fails_while_trust_changes
	REGTRUST_SOAK=1 $(CARGO) test --locked --test system a_kill_at_any_call -- --nocapture
	REGTRUST_SOAK=1 $(CARGO) test --locked --test system a_job_that_begins_in_the_last_moment -- --nocapture
	tests/breaks/run.sh

fuzz: ## one minute for each fuzz target
	@tests/fuzz/run.sh

tools: # what the tests need beside Rust: installed when missing and root, else explained
	@missing=""; \
	need() { command -v "$$1" >/dev/null 2>&1 || missing="$$missing $$2"; }; \
	need strace strace; need rpmbuild rpm; need rpm2archive rpm2cpio; need strip binutils; need etcd etcd-server; need kubectl kubernetes-client; \
	if [ "$$(id -u)" = 0 ]; then \
		need mmdebstrap mmdebstrap; need systemd-nspawn systemd-container; need ip iproute2; \
		[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$$missing debian-archive-keyring"; \
		python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	fi; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; \
	else \
		echo "the tests need$$missing: install it" >&2; exit 1; \
	fi
