# Evenkeel's commands. `make` alone says what there is; STACK=name chooses another stack than dev.
STACK ?= dev
PYTHON := .venv/bin/python
# Tests that need no machine run side by side, a file at a time; those of the running stack one after another.
QUICK := -n auto --maxprocesses 4 --dist loadfile tests/unit tests/program
.DEFAULT_GOAL := help
.PHONY: help bootstrap machine up vms vms-down preview down test test-unit lint clean
export EVENKEEL_STACK = $(STACK)

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

bootstrap: ## Make .venv with the pinned tools (no root needed)
	@scripts/bootstrap

machine:
	@scripts/bootstrap machine

up: machine ## Bring the stack up, or finish what is unfinished (root)
	@exec $(PYTHON) -m scripts.make up --stack $(STACK)

preview: bootstrap ## Show what `make up` would change; touches nothing
	@exec $(PYTHON) -m scripts.make preview --stack $(STACK)

down: bootstrap ## Destroy the stack and remove all of it (root)
	@exec $(PYTHON) -m scripts.make down --stack $(STACK)

vms vms-down: STACK := libvirt
vms: ## Bring the stack `libvirt` up on virtual machines; STACK=libvirt-small is a small one (root where libvirt is here)
	@scripts/bootstrap vms
	@exec $(PYTHON) -m scripts.make vms --stack $(STACK)

vms-down: bootstrap ## Destroy the stack of virtual machines and remove all of it
	@exec $(PYTHON) -m scripts.make down --stack $(STACK)

test: machine ## Run all tests: unit, program, and system with a stack of their own (root)
	@$(PYTHON) -m pytest $(QUICK); quick=$$?; $(PYTHON) -m pytest tests/system && exit $$quick

test-unit: bootstrap ## Run the tests that need no machine
	@exec $(PYTHON) -m pytest $(QUICK)

lint: bootstrap ## Run the style and type checks
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && exec .venv/bin/mypy

clean: ## Remove caches and build products; keeps state, images and .venv
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build
	@[ ! -d .evenkeel/cache ] || find .evenkeel/cache -mindepth 1 -not -path .evenkeel/cache/image -not -name 'disk-*' -delete
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
