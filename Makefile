# make help lists the targets.
.DEFAULT_GOAL := help
GO ?= go
BIN := bin/pipe
TOOL := $(GO) tool -modfile=internal/tools/go.mod

.PHONY: help build demo test race lint cross fuzz mutate soak release bench fmt clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-8s %s\n", $$1, $$2}' Makefile

build: ## build bin/pipe
	$(GO) build -trimpath -buildvcs=auto -ldflags="-s -w" -o $(BIN) ./cmd/pipe

demo: build ## build pipe and run examples/lambda: build, no-op, fresh clone, find
	@sh examples/lambda/demo.sh "$(CURDIR)/$(BIN)"

TIMEOUT := 30m
test: ## run all tests
	$(GO) test -timeout $(TIMEOUT) ./...

race: ## run all tests under the race detector
	$(GO) test -race -timeout $(TIMEOUT) ./...

lint: ## vet, gofumpt, staticcheck, go mod tidy, actionlint
	$(GO) vet ./...
	$(GO) vet -C internal/tools ./...
	out=$$($(TOOL) gofumpt -l cmd internal pkg examples) && test -z "$$out" || { echo "$$out"; exit 1; }
	$(TOOL) staticcheck ./...
	cd internal/tools && $(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) mod tidy -C internal/tools -diff
	$(GO) mod tidy -C internal/tools/act -diff
	$(GO) mod tidy -C internal/tools/registry -diff
	$(TOOL) actionlint

cross: ## compile for every platform, without cgo
	for os in linux darwin windows; do for arch in amd64 arm64; do \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build -o /dev/null ./cmd/pipe || exit 1; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) vet ./cmd/... ./internal/... ./pkg/... || exit 1; done; done

FUZZTIME ?= 20s
fuzz: ## run every fuzz target for FUZZTIME (20s)
	for p in $$($(GO) list ./...); do for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		$(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done

bench: build ## print the costs of no-op, first run, start, memory beside git, make and lstat
	$(GO) run ./internal/bench -pipe $(CURDIR)/$(BIN)

# Code that must not be wrong: where a fault loses bytes, or believes in wrong ones.
MUTATE ?= ./internal/action ./internal/engine ./internal/local ./internal/worktree ./internal/statindex ./internal/inputs ./internal/aside \
	./internal/release ./internal/approval ./internal/transfer ./pkg/lockfile ./internal/store/...
# A mutant may loop and allocate for ever: ulimit ends it before the machine does.
MUTATEFLAGS ?=
mutate: ## break the code in one place at a time; print the breaks that no test notices (MUTATEFLAGS: -sample 40, -changed REV, -also ./pkg/pipe)
	$(GO) build -C internal/tools -o $(CURDIR)/bin/mutate ./mutate
	ulimit -v 8000000 || true; bin/mutate $(MUTATEFLAGS) $$($(GO) list $(MUTATE) | grep -v /storetest)

SOAK ?= 60s
soak: export PIPE_SOAK = 5
soak: TIMEOUT := 4h
soak: race ## what takes long: race with five times the kills, graphs and merges, every point of the fault sweeps, every fuzz target for SOAK (60s), every mutant
	$(MAKE) fuzz FUZZTIME=$(SOAK)
	$(MAKE) mutate

RELEASE := internal/tools/release/go.mod
release: ## build archives, checksums and bills of materials for six platforms into bin/release; nothing is published
	RELEASE_MOD=$(CURDIR)/$(RELEASE) $(GO) tool -modfile=$(RELEASE) goreleaser release --snapshot --clean

fmt: ## format the code
	$(TOOL) gofumpt -w cmd internal pkg examples

clean: ## remove what the targets above made
	rm -rf bin demo
