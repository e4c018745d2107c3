# SPDX-License-Identifier: GPL-3.0-or-later
# Thin verbs; what they do is in scripts/ and testlab/. Everything is made inside of the checkout, but for the test
# nodes' images and packages, which are kept in the user's cache directory (TESTLAB_CACHE).
.PHONY: help setup demo report check lint docs test test-all test-versions test-cluster nodes nodes-down cluster cluster-down stop clean
.DEFAULT_GOAL := help
nodes := build/testlab/nodes/inventory.yml
simulated := build/testlab/simulated

# A venv holds its own path: the stamps of one that was moved with the checkout do not count.
ifeq ($(shell grep -sF "$(CURDIR)/.venv" .venv/bin/activate),)
$(shell rm -f .venv/*.stamp)
endif

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' Makefile

setup: .venv/demo.stamp .lab/data/iris.csv ## Make .venv with what the demo needs, and the first data sets

.venv/demo.stamp: requirements/demo.txt requirements/modules.txt requirements/constraints.txt
	@scripts/setup.sh demo

.venv/test.stamp: $(filter-out requirements/gates%,$(wildcard requirements/*.txt))
	@scripts/setup.sh test

.venv/gates.stamp: requirements/gates.txt requirements/gates-constraints.txt | .venv/test.stamp
	@scripts/setup.sh gates

.lab/data/iris.csv: | .venv/demo.stamp
	@.venv/bin/python examples/datasets/export.py .lab/data breast_cancer digits iris wine

demo: .venv/demo.stamp ## A whole lab: real data, GPU pipeline, results; deletes .lab first (KEEP=1: leave it running)
	@scripts/demo.sh

report: .venv/demo.stamp ## What the running lab holds (that of LAB, or at ADDRESS)
	@scripts/report.sh

check: .venv/test.stamp .venv/gates.stamp ## Fast checks: linters, types, unit tests
	@scripts/test.sh style unit

lint: .venv/test.stamp .venv/gates.stamp ## All gates of a published collection, also on what is built of it
	@scripts/test.sh lint

docs: .venv/test.stamp .venv/gates.stamp ## The documents and the reference as a site: build/docs/index.html
	@scripts/gates.sh site

test: .venv/test.stamp .venv/gates.stamp ## All stages of tests, without the tests that are marked slow
	@scripts/test.sh

test-all: .venv/test.stamp .venv/gates.stamp ## With these: an hour
	@scripts/test.sh --all

test-versions: .venv/test.stamp ## Unit and contract tests on Debian's newest Python with the newest ansible-core (needs root)
	@scripts/test.sh versions

test-cluster: .venv/test.stamp ## Tests on a real Kubernetes with simulated GPUs; the first time it is built (needs root)
	@scripts/test.sh cluster

nodes: .venv/demo.stamp ## Two nodes with systemd and simulated GPUs, to try roles on (needs root)
	@.venv/bin/python -m testlab up --lab nodes gpu1=trixie:2 gpu2=bookworm:1
	@echo 'nodes: installing Docker and containerd on them (a minute)'
	@.venv/bin/ansible gpu_nodes -i $(nodes) -m ansible.builtin.script -a tests/nodes/prepare.sh >/dev/null
	@echo 'To run the roles on them (add --check --diff to look first; make nodes-down ends it):'
	@echo '    .venv/bin/ansible-playbook -i $(nodes) -e @tests/nodes/lab.yml playbooks/nodes.yml'
	@echo '    .venv/bin/ansible-playbook -i $(nodes) -e @tests/nodes/lab.yml playbooks/verify.yml'

nodes-down: ## Take them away
	@.venv/bin/python -m testlab down --lab nodes

cluster: .venv/test.stamp ## A real Kubernetes on two nodes with simulated GPUs (needs root; the first time ten minutes)
	@.venv/bin/python -m testlab cluster up --lab simulated
	@echo 'To make it a GPU lab (make cluster-down ends it):'
	@echo '    .venv/bin/ansible-playbook -i inventories/simulated site.yml'
	@echo 'To look at it:'
	@echo '    export KUBECONFIG=$(simulated)/kubeconfig; $(simulated)/kubectl get nodes'

cluster-down: ## Take it away
	@.venv/bin/python -m testlab cluster down --lab simulated

stop: ## Stop the lab's pachd (that of LAB); what it holds stays
	@scripts/stop.sh

clean: ## Stop the lab and all nodes, and delete all that was made here (.lab, .venv, caches)
	@test ! -x .venv/bin/ansible-playbook || LAB= ADDRESS= scripts/stop.sh
	@! .venv/bin/python -m testlab usable >/dev/null 2>&1 || .venv/bin/python -m testlab down --all
	rm -rf .lab .venv .ansible .mypy_cache .ruff_cache .pytest_cache build
