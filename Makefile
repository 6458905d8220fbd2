# One command runs the main job in miniature (`make demo`), one passes the tests (`make test`); both set up what they need.
PYTHON ?= python3
VENV ?= .venv
OLDEST ?= .venv-oldest
VLLM ?= .venv-vllm
CLIENTS ?= .venv-clients
GRAMMARS ?= .venv-grammars
BIN := $(VENV)/bin
SCALE ?= full
RUNS ?= runs
KILLS ?= 100
PORT ?= 8800
CORES ?= $(shell nproc)
export HF_HUB_OFFLINE ?= 1

# $(call need,NAMES): stop with a reason where one of these variables is empty.
need = $(foreach name,$(1),$(if $(strip $($(name))),,$(error $(name) is empty: give it, as in `make $@ $(name)=...`; `make help` says what it is)))

# None of these may be empty: `make demo RUNS=` would write to /demo.
$(foreach name,PYTHON VENV OLDEST VLLM CLIENTS GRAMMARS SCALE RUNS KILLS PORT CORES,$(if $(strip $($(name))),,$(error $(name) is empty: give it a value, as in `make demo $(name)=...`, or leave it out)))

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-real serve miniature-base study compare build-flr build-qtr train-image-router train-semantic-router train-joint export eval report test test-oldest test-vllm test-clients test-grammars \
	crash-test crash-train wheel bench-loader bench-builders bench-decoding bench-feeding bench-latency bench-training bench-evaluation bench-startup bench-serving bench-gpu lint clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 26

setup: $(VENV)/.installed  ## install everything into .venv (CPU build of torch where the package index has one)

$(VENV)/.installed: pyproject.toml constraints.txt
	@test -d videorouter/routers || { echo "this checkout has no symbolic links: run 'git config core.symlinks true && git checkout -- videorouter'" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	DS_BUILD_OPS=0 $(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup  ## the main job in miniature: labels, both routers, export, evaluation, an answer (SCALE=tiny: seconds)
	$(BIN)/videorouter miniature demo --out $(RUNS)/demo --scale $(SCALE)

demo-real: setup  ## builders and answers on the real clips of VIDEOROUTER_REAL_DATA
	$(BIN)/videorouter miniature demo-real --out $(RUNS)/demo-real

serve: $(RUNS)/serve/world  ## the endpoint and its page with the shipped router, on videos of the demo's world (PORT, SERVE: more options)
	$(BIN)/videorouter serve --model miniature/shipped/robust-router --media_root $(RUNS)/serve/world --port $(PORT) $(SERVE)

$(RUNS)/serve/world: setup
	test -d $@ || $(BIN)/videorouter miniature world --out $@ --videos 6 --seconds 64

miniature-base: setup  ## train both miniature bases and their routers, in place of the shipped ones (2 hours on 2 cores)
	$(BIN)/videorouter miniature train-base --out $(RUNS)/miniature-base
	$(BIN)/videorouter miniature ship --trained $(RUNS)/miniature-base --work $(RUNS)/miniature-routers

study: setup  ## accuracy against tokens of every system on 1,008 held-out questions of the miniature
	$(BIN)/videorouter miniature report --out $(RUNS)/study

compare: setup  ## every system of the papers at five budgets, 1,008 questions; CORES processes share the work
	$(BIN)/torchrun --standalone --nproc_per_node $(CORES) -m videorouter.miniature compare --out $(RUNS)/compare $(COMPARE)

build-flr: setup  ## frame relevance labels: QUESTIONS, VIDEOS, TEACHER (an OpenAI-compatible URL), MODEL, BUILD (more options)
	$(call need,QUESTIONS VIDEOS TEACHER MODEL)
	$(BIN)/videorouter data_builders flr annotate --config configs/build/flr_annotate.yaml \
	  --questions $(QUESTIONS) --videos $(VIDEOS) --teacher.base_url $(TEACHER) --teacher.model $(MODEL) --out $(RUNS)/video-flr $(BUILD)

build-qtr: setup  ## policy labels: QUESTIONS, VIDEOS, TEACHER, MODEL, BUILD
	$(call need,QUESTIONS VIDEOS TEACHER MODEL)
	$(BIN)/videorouter data_builders qtr --config configs/build/qtr.yaml \
	  --questions $(QUESTIONS) --videos $(VIDEOS) --teacher.base_url $(TEACHER) --teacher.model $(MODEL) --out $(RUNS)/video-qtr $(BUILD)

train-image-router: setup  ## stage 1 on $(RUNS)/video-flr: BASE, TRAIN (more options)
	$(call need,BASE)
	$(BIN)/videorouter train fit --config configs/train/image_router.yaml --model.init_args.base $(BASE) --data.init_args.shards $(RUNS)/video-flr --out $(RUNS)/image-router $(TRAIN)

train-semantic-router: setup  ## stage 2 on $(RUNS)/video-qtr: BASE, TRAIN
	$(call need,BASE)
	$(BIN)/videorouter train fit --config configs/train/semantic_router.yaml --model.init_args.base $(BASE) --data.init_args.shards $(RUNS)/video-qtr --out $(RUNS)/semantic-router $(TRAIN)

train-joint: setup  ## stage 3: language model and routers together, from $(RUNS)/router: TRAIN
	$(BIN)/videorouter train fit --config configs/train/joint.yaml --model.init_args.routers $(RUNS)/router --data.init_args.shards $(RUNS)/video-flr \
	  --data.init_args.more_labels $(RUNS)/video-qtr --out $(RUNS)/joint $(TRAIN)

export: setup  ## both trained heads in one folder, $(RUNS)/router
	$(BIN)/videorouter routers export --checkpoint $(RUNS)/image-router/checkpoints/best.ckpt $(RUNS)/semantic-router/checkpoints/best.ckpt --out $(RUNS)/router

eval: setup  ## compare systems at equal tokens on the demo's world
	$(BIN)/videorouter eval run --config configs/eval/miniature.yaml --out $(RUNS)/eval

report: setup  ## one page and tables of what `make eval` ran
	$(BIN)/videorouter eval report $(RUNS)/eval --out $(RUNS)/report

test: setup  ## all tests that need neither a GPU nor minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not gpu and not vllm and not clients and not grammars"

test-vllm: setup  ## tests with a real vLLM on this machine's CPUs (VLLM: its environment)
	scripts/vllm_cpu.sh $(VLLM)
	OMP_NUM_THREADS=1 VIDEOROUTER_VLLM=$(abspath $(VLLM)) $(BIN)/python -m pytest -m "vllm and not slow"

test-clients: setup  ## tests of the server with LangChain and lmms-eval as clients (CLIENTS: their environments)
	$(BIN)/python -m tests.serve.client_environments $(CLIENTS)
	OMP_NUM_THREADS=1 VIDEOROUTER_CLIENTS=$(abspath $(CLIENTS)) $(BIN)/python -m pytest -m "clients and not slow"

test-grammars: setup  ## reply schemas in xgrammar, llguidance and outlines-core (GRAMMARS: their environment)
	scripts/grammars.sh $(GRAMMARS)
	OMP_NUM_THREADS=1 VIDEOROUTER_GRAMMARS=$(abspath $(GRAMMARS)) $(BIN)/python -m pytest -m grammars

test-oldest: $(OLDEST)/.installed  ## tests of loading, decoding and training with the oldest torch, transformers, Lightning and av (OLDEST: where)
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -m "not slow and not gpu" $(OLDEST_TESTS)

OLDEST_TESTS := $(wildcard tests/routers/test_backbone*.py) tests/routers/test_early_loading.py tests/routers/test_published_layouts.py \
	tests/video/test_decode.py tests/train/test_training.py

$(OLDEST)/.installed: pyproject.toml constraints.txt tests/project/oldest_constraints.py
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(PYTHON) tests/project/oldest_constraints.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/pip install --quiet --constraint $(OLDEST)/constraints.txt torch setuptools wheel
	DS_BUILD_OPS=0 $(OLDEST)/bin/pip install --quiet --constraint $(OLDEST)/constraints.txt --editable . \
	  pytest pytest-timeout hypothesis imageio-ffmpeg aiohttp
	touch $@

bench-loader: setup  ## samples/s of the loader against webdataset and datasets (5 minutes)
	$(BIN)/python -m benchmarks.loader

bench-builders: setup  ## requests a second of a build against what teacher and decoder allow (3 minutes)
	$(BIN)/python benchmarks/builders.py

bench-decoding: setup  ## seconds to decode frames, against bare decord and PyAV (10 minutes)
	$(BIN)/python benchmarks/decoding.py

bench-feeding: setup  ## videos a second that loader workers feed, against decoding in the training process (5 minutes; FEEDING: more options)
	$(BIN)/python -m benchmarks.feeding $(FEEDING)

bench-latency: setup  ## seconds to the first token at true geometries, random weights (an hour on 2 cores; LAYERS for less)
	$(BIN)/python -m benchmarks.latency $(if $(LAYERS),--layers $(LAYERS))

bench-training: setup  ## questions a second of training against a loop written by hand (10 minutes, after `make demo`)
	$(BIN)/python -m benchmarks.training

bench-evaluation: setup  ## seconds an answer of `eval run` against the systems called directly, and of answers in batches (20 minutes)
	$(BIN)/python -m benchmarks.evaluation

bench-startup: setup  ## seconds of imports and of every command's help (a minute)
	$(BIN)/python -m benchmarks.startup

bench-serving: setup  ## requests a second through a real vLLM against dense, and repeated questions (an hour on 2 cores; VLLM, SERVING)
	scripts/vllm_cpu.sh $(VLLM)
	$(BIN)/python -m benchmarks.serving --vllm $(VLLM) $(SERVING)

bench-gpu:  ## every GPU figure: first token and memory at 8B geometry, pictures, AdaptToken (10 minutes; torch and transformers alone)
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m benchmarks.gpu

crash-test: setup  ## kill builds 100 times at random moments; what was lost, paid twice, left behind (45 minutes; KILLS)
	$(BIN)/videorouter miniature crash-test --out $(RUNS)/crash-test --kills $(KILLS)
	$(BIN)/videorouter miniature crash-test --out $(RUNS)/crash-test-generate --kills $(KILLS) --builder generate
	$(BIN)/videorouter miniature crash-test --out $(RUNS)/crash-test-qtr --kills $(KILLS) --builder qtr

crash-train: setup  ## kill a training with all its ranks 8 times, go on under other strategies, compare (10 minutes, after `make demo`)
	$(BIN)/videorouter miniature crash-train --out $(RUNS)/crash-train --flr $(RUNS)/demo/video-flr --base miniature/shipped/robust --epochs 1

lint: setup  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

wheel: setup  ## the source distribution and the wheel in dist/, held to contain every file once under one name
	rm -rf build dist *.egg-info
	$(BIN)/python -m build --no-isolation --quiet .
	$(BIN)/python tests/project/wheel_content.py dist/*.whl

clean:  ## remove what the commands above made, except .venv
	rm -rf $(RUNS) build dist .pytest_cache .ruff_cache .mypy_cache
