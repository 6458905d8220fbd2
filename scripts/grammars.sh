#!/usr/bin/env bash
# The engines of constrained decoding in an environment of their own: `scripts/grammars.sh [FOLDER]` (.venv-grammars). For tests alone.
#
# xgrammar, llguidance and outlines-core are what vLLM and SGLang hold replies to a JSON schema with. xgrammar asks for triton, which
# is needed on a GPU only: it is left out.
set -euo pipefail

folder=${1:-.venv-grammars}
python=${PYTHON:-python3}

[ -f "$folder/.installed" ] && { echo "$folder is there"; exit 0; }
test -x "$folder/bin/python" || "$python" -m venv "$folder"
"$folder/bin/pip" install --quiet torch==2.13.0 numpy pydantic transformers apache-tvm-ffi typing-extensions
"$folder/bin/pip" install --quiet --no-deps xgrammar==0.2.8 llguidance==1.9.1 outlines-core==0.2.14
"$folder/bin/python" -c "import llguidance, outlines_core, xgrammar; print('xgrammar, llguidance and outlines-core')"
touch "$folder/.installed"
