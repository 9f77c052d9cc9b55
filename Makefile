# The two commands of this project are `make run` and `make test`.

GO      ?= go
FUZZFOR ?= 30s

.DEFAULT_GOAL := help
.PHONY: help run build test test-long vet fuzz bench clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: build ## build and start Postern with a trial account and sample mail, and say how to connect
	./build/postern trial

build: ## build ./build/postern
	$(GO) build -o build/postern ./cmd/postern

test: ## check and test everything, in the short form where a test has one
	$(GO) run ./test/runner test

test-long: ## the same in the long form
	$(GO) run ./test/runner test -long

vet: ## gofmt, go vet and staticcheck
	$(GO) run ./test/runner check

fuzz: ## run every fuzz target for FUZZFOR (30s)
	$(GO) run ./test/runner fuzz -for $(FUZZFOR)

bench: ## run every benchmark
	$(GO) test -run '^$$' -bench . -benchmem ./...

clean: ## remove what was built and fetched (not ./postern-data)
	rm -rf build
