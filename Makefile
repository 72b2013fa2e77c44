# Brig's commands for developers. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X github.com/brigdev/brig/internal/cli.buildVersion=$(VERSION)

# gVisor's boot re-executes itself when it finds cgo.
export CGO_ENABLED := 0

FUZZTIME ?= 60s
BENCHFLAGS ?= -o bench/results/latest.json

.PHONY: help build setup demo test check bench fuzz soak clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/brig, the one static binary
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/brig ./cmd/brig

setup: build ## build the python template, installing what that needs
	scripts/setup

demo: setup ## run 200 real and hostile snippets, each in its own sandbox
	scripts/demo

test: setup ## vet and run every test, those in real sandboxes included
	scripts/test

check: ## formatting, vet and the rules of the repository, without sandboxes
	scripts/check

bench: setup ## measure, and write a report to bench/results/
	mkdir -p bench/results
	bin/brig bench $(BENCHFLAGS)

fuzz: ## run every fuzz target for FUZZTIME each: a time (default 60s) or a number of inputs (20000x)
	scripts/fuzz $(FUZZTIME)

soak: setup ## kill and restart a batch over and over; stream 50,000 items
	scripts/soak

clean: ## remove what these targets made in the tree
	rm -rf bin demo-out
