# Where byte code is not kept, each of the many processes of a test compiles 1,500 modules first: nine seconds.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Python compiles what it imports. Compiling all of torch beforehand would take as long as the rest.
PIP := pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt

.PHONY: test long lint demo bench bench-quick bench-steps bench-road faults cluster frameworks calibration bench-agents bench-edges browser

# Each stamp is as new as the files that decide what is installed, so nothing is installed twice.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m $(PIP) -e .
	touch $@

# In a new environment one run of pip: the second would look at every package again.
$(VENV)/.installed-dev: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m $(PIP) -e '.[dev]'
	touch $(VENV)/.installed $@

demo: $(VENV)/.installed  ## install, and run the shipped study `quickstart` until its claims are decided
	$(BIN)/study launch quickstart --until-decided

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint  ## install, lint, types and tests, two at a time: they wait for many processes
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

long: $(VENV)/.installed-dev  ## the tests that the gate has no time for
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -m long

bench: $(VENV)/.installed-dev  ## the same cells by Ray Tune, Optuna, joblib, JAX and this project: twenty minutes
	$(BIN)/python -m $(PIP) -e '.[bench]'
	$(BIN)/python -m tests.tools.benchmarks.peers --json bench.json

bench-quick: $(VENV)/.installed-dev  ## the full grid alone, few cells and one run of each: three minutes
	$(BIN)/python -m $(PIP) -e '.[bench]'
	$(BIN)/python -m tests.tools.benchmarks.peers --seeds 4 --repeats 1 --sample 0.3 --grid --json bench-quick.json

bench-steps: $(VENV)/.installed-dev  ## fused training beside plain loops, and steps beside JAX
	$(BIN)/python -m $(PIP) -e '.[bench]'
	$(BIN)/python -m trainers.bench --models mlp convnet small-vit vit
	$(BIN)/python -m tests.tools.benchmarks.steps

bench-road: $(VENV)/.installed-dev  ## where the time of a launch goes; ten thousand cells of next to no training
	$(BIN)/python -m tests.tools.benchmarks.phases
	$(BIN)/python -m tests.tools.benchmarks.scale

faults: $(VENV)/.installed-dev  ## processes, servers and disks that die while studies run: about fifty minutes
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/tools/faults/check_drills.py
	$(BIN)/python -m tests.tools.faults

cluster: $(VENV)/.installed-dev  ## the containers of docker/ for real; skipped where no Docker engine answers
	$(BIN)/python -m tests.tools.cluster

frameworks: $(VENV)/.installed-dev  ## `attach` inside of Lightning, Accelerate and transformers: a minute or two
	$(BIN)/python -m $(PIP) -e '.[frameworks]'
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/pytest tests/tools/frameworks/check_*.py

browser: $(VENV)/.installed-dev  ## `report.html` in a real browser; skipped where no Chromium is installed
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs tests/tools/browser/check_*.py

calibration: $(VENV)/.installed-dev  ## how often intervals cover planted truths, and verdicts err
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/tools/check_plants.py
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.tools.calibration --draws 1000 --jobs 2
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.tools.verdicts --studies 1000 --jobs 2
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.tools.sequential --studies 2000 --jobs 2
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.tools.edge_sets 128 100
	mkdir -p out
	sed -e 's/^seeds: .*/seeds: 12/' -e '/^verdicts:/d' study/specs/quickstart.yaml > out/twins.yaml
	$(BIN)/study launch out/twins.yaml --home out/twins
	$(BIN)/study twins out/twins.yaml --home out/twins

bench-agents: $(VENV)/.installed-dev  ## agents in one run beside a plain PPO loop on gymnasium
	$(BIN)/python -m tests.tools.benchmarks.agents

bench-edges: $(VENV)/.installed  ## edge-seeking designs beside full grids, which stay in bench-edges/
	$(BIN)/python -m tests.tools.benchmarks.edges --folder bench-edges
