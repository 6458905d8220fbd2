# ruff: noqa: E501 (a case a line)
"""Every error a user is known to make ends as one line that names what was wrong: the documented ones and many more.

The list stands in `CASES`: a command line in a folder of sound and damaged things (`place`), its exit code, and what the line says.
"""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from videorouter.__main__ import main

ROOT = Path(__file__).parents[2]
SAVED = ROOT / "tests" / "saved" / "0.1.0"
MISTAKE, USAGE, GONE = 1, 2, 4

ANSWER = "answer --question Which? --video world/videos/miniature-0000.mp4"
ASK = f"{ANSWER} --model router"
LABEL = "data_builders flr annotate --videos world --teacher.base_url http://127.0.0.1:9/v1 --frames 4"
EVAL = "eval run --config eval/miniature --data world --frames 4"
SERVE = "serve --model router --port 0"
FIT = "train fit --config miniature/image_router --model.init_args.base base --trainer.max_epochs 1"
TRAIN = f"{FIT} --data.init_args.shards video-flr"

CASES: list[tuple[str, str, int, str]] = [
    # videos and questions
    ("video that is not there", "answer --model router --question Which? --video nowhere.mp4", MISTAKE, "nowhere.mp4: no such file"),
    ("video without a byte", "answer --model router --question Which? --video videos/empty.mp4", MISTAKE, "videos/empty.mp4"),
    ("text called .mp4", "answer --model router --question Which? --video videos/text.mp4", MISTAKE, "videos/text.mp4"),
    ("video cut short", "answer --model router --question Which? --video videos/cut.mp4", MISTAKE, "videos/cut.mp4"),
    ("folder for a video", "answer --model router --question Which? --video videos", MISTAKE, "videos"),
    ("video under a file", "answer --model router --question Which? --video README/video.mp4", MISTAKE, "README/video.mp4"),
    ("empty question", "answer --model router --question '' --video world/videos/miniature-0000.mp4", MISTAKE, "question"),
    ("question left out", "answer --model router --video world/videos/miniature-0000.mp4", USAGE, "question"),
    ("too many options", f"{ASK} --options {' '.join('o' + str(n) for n in range(30))}", MISTAKE, "options"),
    ("frames of no video", "video nowhere.mp4", MISTAKE, "nowhere.mp4"),
    ("frames of a folder", "video videos", MISTAKE, "videos"),
    ("no frames", "video world/videos/miniature-0000.mp4 --count 0", MISTAKE, "0"),
    ("unknown sampler", "video world/videos/miniature-0000.mp4 --sampler middle", MISTAKE, "middle"),
    # models
    ("neither model nor base", ANSWER, MISTAKE, "--model"),
    ("model that is not there", f"{ANSWER} --model nowhere/router", MISTAKE, "nowhere/router"),
    ("router of the Hub without a network", f"{ANSWER} --model lab/router", MISTAKE, "lab/router"),
    ("base of the Hub without a network", f"{ANSWER} --base lab/base --system dense", MISTAKE, "lab/base"),
    ("name that the Hub refuses", f"{ANSWER} --model a/b/c/d", MISTAKE, "a/b/c/d"),
    ("router folder that is a file", f"{ANSWER} --model README", MISTAKE, "README"),
    ("router folder without config", f"{ANSWER} --model empty", MISTAKE, "empty"),
    ("base folder without config", f"{ANSWER} --base empty --system dense", MISTAKE, "empty"),
    ("base in place of a router", f"{ANSWER} --model base", MISTAKE, "base"),
    ("router in place of a base", f"{ANSWER} --base router --system dense", MISTAKE, "router"),
    ("base without routers asked to route", f"{ANSWER} --base base", MISTAKE, "router"),
    ("router over another base", f"{ASK} --base {ROOT}/miniature/shipped/dense", MISTAKE, "shipped/dense"),
    ("router over another base, told what differs", f"{ASK} --base {ROOT}/miniature/shipped/dense", MISTAKE, "differs in config.json: text_config.hidden_size"),
    ("router over a fine-tuned base", f"{ASK} --base bases/tuned", MISTAKE, "in 1 of"),
    ("router over a fine-tuned base, told the option", f"{ASK} --base bases/tuned", MISTAKE, "--accept-base"),
    ("router over a base with damaged weights", f"{ASK} --base bases/damaged-weights", MISTAKE, "bases/damaged-weights"),
    ("router over a base with a damaged index", f"{ASK} --base bases/damaged-index", MISTAKE, "bases/damaged-index"),
    ("router that lists another's base", f"{ANSWER} --model routers/damaged-base-list --base bases/tuned", MISTAKE, "routers/damaged-base-list/base.json"),
    ("evaluation over a fine-tuned base", f"{EVAL} --model router --base bases/tuned --out out/e", MISTAKE, "--accept-base"),
    ("router whose base is gone", f"{ANSWER} --model routers/no-base", MISTAKE, "gone/base"),
    ("router with damaged config", f"{ANSWER} --model routers/damaged-config", MISTAKE, "routers/damaged-config"),
    ("router with another config", f"{ANSWER} --model routers/other-config", MISTAKE, "routers/other-config"),
    ("router with a list for config", f"{ANSWER} --model routers/list-config", MISTAKE, "routers/list-config"),
    ("router of a later version", f"{ANSWER} --model routers/later", MISTAKE, "routers/later"),
    ("router with damaged weights", f"{ANSWER} --model routers/damaged-weights", MISTAKE, "routers/damaged-weights"),
    ("router with other weights", f"{ANSWER} --model routers/other-weights", MISTAKE, "routers/other-weights"),
    ("router without weights", f"{ANSWER} --model routers/no-weights", MISTAKE, "routers/no-weights"),
    ("router with damaged adapter", f"{ANSWER} --model routers/damaged-adapter", MISTAKE, "routers/damaged-adapter"),
    ("base with damaged config", f"{ANSWER} --base bases/damaged-config --system dense", MISTAKE, "bases/damaged-config"),
    ("base with a list for config", f"{ANSWER} --base bases/list-config --system dense", MISTAKE, "bases/list-config"),
    ("base of an unknown kind", f"{ANSWER} --base bases/unknown --system dense", MISTAKE, "bases/unknown"),
    ("base that is a language model", f"{ANSWER} --base bases/language --system dense", MISTAKE, "bases/language"),
    ("base with damaged weights", f"{ANSWER} --base bases/damaged-weights --system dense", MISTAKE, "bases/damaged-weights"),
    ("base cut short", f"{ANSWER} --base bases/cut-weights --system dense", MISTAKE, "bases/cut-weights"),
    ("base without weights", f"{ANSWER} --base bases/no-weights --system dense", MISTAKE, "bases/no-weights"),
    ("base without tokenizer", f"{ANSWER} --base bases/no-tokenizer --system dense", MISTAKE, "bases/no-tokenizer"),
    ("base with damaged tokenizer", f"{ANSWER} --base bases/damaged-tokenizer --system dense", MISTAKE, "bases/damaged-tokenizer"),
    # systems and numbers
    ("unknown system", f"{ASK} --system best", MISTAKE, "best"),
    ("system without that option", f"{ASK} --system 'vidcom2(size=3)'", MISTAKE, "size"),
    ("system without its bracket", f"{ASK} --system 'uniform_pooling(scale=8'", MISTAKE, "uniform_pooling(scale=8"),
    ("option of a system without value", f"{ASK} --system 'uniform_pooling(scale)'", MISTAKE, "uniform_pooling(scale)"),
    ("option of a system of another type", f"{ASK} --system 'uniform_pooling(scale=big)'", MISTAKE, "big"),
    ("empty system", f"{ASK} --system ''", MISTAKE, "system"),
    ("system without its encoder", f"{ASK} --system relevance_pooling", MISTAKE, "encoder"),
    ("encoder that is not there", f"{ASK} --system relevance_pooling --encoder nowhere/clip", MISTAKE, "nowhere/clip"),
    ("oracle asked to answer", f"{ASK} --system oracle", MISTAKE, "oracle"),
    ("smoothing below nothing", f"{ASK} --system 'videorouter(smoothing=-1)'", MISTAKE, "smoothing"),
    ("layer that is not there", f"{ASK} --system 'attention_topk(layer=99)'", MISTAKE, "99"),
    ("no budget", f"{ASK} --budget 0", MISTAKE, "budget"),
    ("budget below nothing", f"{ASK} --budget -5", MISTAKE, "budget"),
    ("budget that is too small", f"{ASK} --budget 1", MISTAKE, "budget"),
    ("budget in words", f"{ASK} --budget many", USAGE, "budget"),
    ("no frames to answer from", f"{ASK} --frames 0", MISTAKE, "frames"),
    ("a square's side for a model that has its own", f"{ASK} --frame-size 448", MISTAKE, "frame_size"),
    ("pixels for a model that sees squares", f"{ASK} --max-pixels 90000", MISTAKE, "max_pixels"),
    ("pixels in words", f"{ASK} --min-pixels few", USAGE, "min_pixels"),
    ("no new tokens", f"{ASK} --max-new-tokens 0", MISTAKE, "max_new_tokens"),
    ("unknown policy", f"{ASK} --policy some", USAGE, "policy"),
    ("CUDA without a GPU", f"{ASK} --device cuda", MISTAKE, "cuda"),
    ("unknown device", f"{ASK} --device abacus", MISTAKE, "abacus"),
    ("unknown dtype", f"{ASK} --dtype float8", USAGE, "dtype"),
    ("unknown attention", f"{ASK} --attn_implementation quick", MISTAKE, "quick"),
    ("attention that is not installed", f"{ASK} --attn_implementation flash_attention_2", MISTAKE, "FlashAttention2"),
    ("plan under a file", f"{ASK} --plan-out README/plan.jsonl", MISTAKE, "README"),
    ("plan that is a folder", f"{ASK} --plan-out empty", MISTAKE, "empty"),
    # estimate, export, push, probe-layer
    ("estimate of nothing", "estimate --model nowhere", MISTAKE, "nowhere"),
    ("estimate of a folder without config", "estimate --model empty", MISTAKE, "empty"),
    ("estimate of a damaged config", "estimate --model bases/damaged-config", MISTAKE, "bases/damaged-config"),
    ("estimate of another kind", "estimate --model bases/unknown", MISTAKE, "bases/unknown"),
    ("estimate at no frames", "estimate --model base --frames 0", MISTAKE, "frames"),
    ("estimate at no scale", "estimate --model base --scales [0,0,0]", MISTAKE, "scale"),
    ("estimate without a model", "estimate", USAGE, "model"),
    ("estimate at a side that cannot be encoded", "estimate --model base --screen_side 5", MISTAKE, "frames of 5 pixels"),
    ("estimate of a square for a model that has its own", "estimate --model base --frame_size 448", MISTAKE, "no option frame_size"),
    ("estimate at a square's two sides", "estimate --model base --frame_size [336,616]", USAGE, "frame_size"),
    ("estimate at pixels for a model that sees squares", "estimate --model base --max_pixels 90000", MISTAKE, "no option max_pixels"),
    ("estimate of a video without pixels", "estimate --model base --video_size [0,1280]", MISTAKE, "video_size is [0, 1280]"),
    ("estimate of a video's size in words", "estimate --model base --video_size large", USAGE, "video_size"),
    ("estimate of a video without length", "estimate --model base --video_seconds -1", MISTAKE, "video_seconds"),
    ("estimate on GPUs without memory", "estimate --model base --gpus 2", MISTAKE, "--gpu_memory"),
    ("estimate on no GPU", "estimate --model base --gpus 0 --gpu_memory 80", MISTAKE, "0 GPUs of 80"),
    ("estimate on GPUs of nothing", "estimate --model base --gpus 2 --gpu_memory 0", MISTAKE, "more than 0 GiB"),
    ("estimate on a CPU of less than nothing", "estimate --model base --gpu_memory 8 --cpu_memory -1", MISTAKE, "cpu_memory"),
    ("answer's estimate of nothing", f"{ANSWER} --model nowhere --estimate", MISTAKE, "nowhere"),
    ("export whose base has changed", "export --checkpoint checkpoints/tuned-image.ckpt checkpoints/tuned-semantic.ckpt --threshold 0.5 --out out/export", MISTAKE, "--accept-base"),
    ("export of no checkpoint", "export --out out/export", USAGE, "checkpoint"),
    ("export of a checkpoint that is not there", "export --checkpoint nowhere/best.ckpt --out out/export", MISTAKE, "nowhere/best.ckpt"),
    ("export of a folder", "export --checkpoint image-router --out out/export", MISTAKE, "image-router"),
    ("export of text", "export --checkpoint README --out out/export", MISTAKE, "README"),
    ("export of a base's weights", "export --checkpoint base/model.safetensors --out out/export", MISTAKE, "base/model.safetensors"),
    ("export of a checkpoint cut short", "export --checkpoint cut.ckpt --out out/export", MISTAKE, "cut.ckpt"),
    ("export of one head twice", f"export --checkpoint {' '.join(['image-router/checkpoints/last.ckpt'] * 2)} --out out/export", MISTAKE, "image"),
    ("export of one head alone", "export --checkpoint semantic-router/checkpoints/last.ckpt --out out/export", MISTAKE, "image"),
    ("export under a file", "export --checkpoint image-router/checkpoints/last.ckpt semantic-router/checkpoints/last.ckpt --threshold 0.5 --out README/x", MISTAKE, "README"),
    ("export into a full folder", "export --checkpoint image-router/checkpoints/last.ckpt semantic-router/checkpoints/last.ckpt --threshold 0.5 --out world", MISTAKE, "world"),
    ("export with a threshold of 2", "export --checkpoint image-router/checkpoints/last.ckpt semantic-router/checkpoints/last.ckpt --threshold 2 --out out/export2", MISTAKE, "threshold"),
    ("export with unknown routing", "export --checkpoint image-router/checkpoints/last.ckpt --out out/export --routing speed=1", MISTAKE, "speed"),
    ("scales in words", "export --checkpoint image-router/checkpoints/last.ckpt --out out/export --scales big", USAGE, "scales"),
    ("export with no scales", "export --checkpoint image-router/checkpoints/last.ckpt semantic-router/checkpoints/last.ckpt --threshold 0.5 --scales [0,1,4] --out out/export3", MISTAKE, "scale"),
    ("push of nothing", "push nowhere lab/router", MISTAKE, "nowhere"),
    ("push of no router folder", "push base lab/router", MISTAKE, "base"),
    ("push of an empty router folder", "push empty lab/router", MISTAKE, "empty"),
    ("push to no name", "push router router", MISTAKE, "router"),
    ("push of a router without an id for its base", "push router lab/router", MISTAKE, "base"),
    ("push without a network", "push router lab/router --base lab/base", MISTAKE, "lab/base"),
    ("merge of nothing to be found", "merge nowhere --out out/m", MISTAKE, "nowhere"),
    ("merge of a router without a language model", "merge router --out out/m", MISTAKE, "is the checkpoint to take"),
    ("merge of a base", "merge base --out out/m", MISTAKE, "base"),
    ("merge without a place", "merge joint-router", USAGE, "out"),
    ("merge into a full folder of models", "merge joint-router --out world", MISTAKE, "world exists and is no empty folder"),
    ("merge of a router under a file", "merge joint-router --out README/m", MISTAKE, "README"),
    ("merge with another base", f"merge joint-router --base {ROOT}/miniature/shipped/dense --out out/m", MISTAKE, "shipped/dense"),
    ("merge with a base that is not there", "merge joint-router --base nowhere --out out/m", MISTAKE, "nowhere"),
    ("merge with a quantised base", "merge joint-router --base bases/quantised --out out/m", MISTAKE, "bases/quantised is quantised (awq)"),
    ("merge of a damaged adapter", "merge routers/damaged-adapter --out out/m", MISTAKE, "routers/damaged-adapter"),
    ("merge into shards of no size", "merge joint-router --out out/m --max-shard-size large", MISTAKE, "large"),
    ("merge as an unknown dtype", "merge joint-router --out out/m --dtype int4", USAGE, "dtype"),
    ("layers of no base", "routers probe-layer --model nowhere --data video-flr", MISTAKE, "nowhere"),
    ("layers on no shards", "routers probe-layer --model base --data nowhere", MISTAKE, "nowhere"),
    ("layers that are not there", "routers probe-layer --model base --data video-flr --layers [99]", MISTAKE, "99"),
    ("layers on policies", "routers probe-layer --model base --data video-qtr", MISTAKE, "video-qtr"),
    # shards
    *(
        (f"{verb} of {what}", f"shards {verb} {folder}{rest}", MISTAKE, folder)
        for verb, rest in (("stats", ""), ("show", " miniature-0000"), ("split", " out/split '{train: 1}'"), ("push", " lab/shards"))
        for what, folder in (("no shards", "nowhere"), ("an empty folder", "empty"), ("a file", "README"), ("shards with a damaged manifest", "shards/manifest"))
    ),
    ("merge of no shards", "shards merge '[nowhere]' out/merged", MISTAKE, "nowhere"),
    ("merge of what is no list", "shards merge nowhere out/merged", USAGE, "nowhere"),
    ("verify of a file", "shards verify README", MISTAKE, "README"),
    ("stats of a damaged sidecar", "shards stats shards/sidecar", MISTAKE, "train-00000.json"),
    ("merge of a damaged tar", "shards merge '[shards/tar]' out/merged", MISTAKE, "train-00000"),
    ("merge of unfinished shards", "shards merge '[shards/unfinished]' out/merged", MISTAKE, "shards/unfinished"),
    ("merge into a folder that is there", "shards merge '[video-flr]' world", MISTAKE, "world"),
    ("merge under a file", "shards merge '[video-flr]' README/merged", MISTAKE, "README"),
    ("merge of one set twice", "shards merge '[video-flr,video-flr]' out/twice", MISTAKE, "video-flr"),
    ("merge of different sets", "shards merge '[video-flr,video-qtr]' out/different", MISTAKE, "video-qtr"),
    ("merge of nothing", "shards merge '[]' out/nothing", MISTAKE, "folder"),
    ("merge into shards of nothing", "shards merge '[video-flr]' out/m --videos_per_shard 0", MISTAKE, "videos_per_shard"),
    ("split by no share", "shards split video-flr out/split '{}'", MISTAKE, "share"),
    ("split by a share of nothing", "shards split video-flr out/split '{train: 0, val: 0}'", MISTAKE, "0"),
    ("split by a share below nothing", "shards split video-flr out/split '{train: -1, val: 2}'", MISTAKE, "-1"),
    ("split by words", "shards split video-flr out/split '{train: most}'", USAGE, "most"),
    ("split into a strange name", "shards split video-flr out/split '{a/b: 1}'", MISTAKE, "a/b"),
    ("split into a folder that is there", "shards split video-flr world '{train: 1}'", MISTAKE, "world"),
    ("show of no sample", "shards show video-flr nobody", MISTAKE, "nobody"),
    ("show under a file", "shards show video-flr miniature-0000 --out README/page.html", MISTAKE, "README"),
    ("push of unfinished shards", "shards push shards/unfinished lab/shards", MISTAKE, "shards/unfinished"),
    ("push of shards without a network", "shards push video-flr lab/shards", MISTAKE, "lab/shards"),
    ("shards of an unknown protocol", "shards stats ftq://host/shards", MISTAKE, "ftq"),
    # configs
    *(
        (f"{command} {what}", f"{command} --config {file}", code, phrase)
        for command in ("train fit", "train check", "eval run", "data_builders flr annotate")
        for what, file, code, phrase in (
            ("config that is not there", "nowhere.yaml", MISTAKE, "nowhere.yaml"),
            ("config that is a folder", "empty", MISTAKE, "empty"),
            ("empty config", "configs/empty.yaml", MISTAKE, "configs/empty.yaml holds nothing"),
            ("config of wrong syntax", "configs/syntax.yaml", MISTAKE, "configs/syntax.yaml"),
            ("config that is a list", "configs/list.yaml", MISTAKE, "configs/list.yaml"),
            ("config that is no text", "configs/bytes.yaml", MISTAKE, "configs/bytes.yaml"),
            ("config with an unknown key", "configs/unknown.yaml", USAGE, "speed"),
        )
    ),
    ("config shown that is not there", "config nope", MISTAKE, "nope"),
    ("training a model that sees squares on other frames", f"{TRAIN} --out out/t --model.init_args.aspect own", MISTAKE, "aspect"),
    ("training at limits of pixels and a square", f"{TRAIN} --out out/t --model.init_args.max_pixels 9000", MISTAKE, "not for a square"),
    ("training frames in words", f"{TRAIN} --out out/t --model.init_args.frames many", USAGE, "frames"),
    ("evaluation with pixels for a model that sees squares", f"{EVAL} --model router --max_pixels 90000 --out out/e", MISTAKE, "max_pixels"),
    ("eval frames in words", f"{EVAL} --model router --out out/e --budget many", USAGE, "budget"),
    # training
    ("training without a config", "train fit", USAGE, ""),
    ("training without `checkpoint:`", "train fit --config configs/no-checkpoint.yaml --out out/nc", MISTAKE, "checkpoint"),
    ("training of a base that is not there", f"{TRAIN} --model.init_args.base nowhere --out out/t", MISTAKE, "nowhere"),
    ("training of a base without config", f"{TRAIN} --model.init_args.base empty --out out/t", MISTAKE, "empty"),
    ("training resumed with a fine-tuned base", f"{FIT} --data.init_args.shards video-flr --model.init_args.base bases/tuned --resume image-router/checkpoints/last.ckpt --out out/t", MISTAKE, "in 1 of"),
    ("joint training over a fine-tuned base", "train fit --config miniature/joint --model.init_args.routers router --model.init_args.base bases/tuned --data.init_args.shards video-flr --data.init_args.more_labels video-qtr --out out/t", MISTAKE, "--accept-base"),
    ("training on no shards", f"{FIT} --data.init_args.shards nowhere --out out/t", MISTAKE, "nowhere"),
    ("training on an empty folder", f"{FIT} --data.init_args.shards empty --out out/t", MISTAKE, "empty"),
    ("training on shards without samples", f"{FIT} --data.init_args.shards shards/nothing --out out/t", MISTAKE, "shards/nothing"),
    ("training on a damaged tar", f"{FIT} --data.init_args.shards shards/tar --out out/t", MISTAKE, "train-00000"),
    ("training on labels of another stage", f"{FIT} --data.init_args.shards video-qtr --out out/t", MISTAKE, "video-qtr"),
    ("training from a checkpoint that is not there", f"{TRAIN} --resume nowhere.ckpt --out out/t", MISTAKE, "nowhere.ckpt"),
    ("training from text", f"{TRAIN} --resume README --out out/t", MISTAKE, "README"),
    ("training from another stage", f"{TRAIN} --resume semantic-router/checkpoints/last.ckpt --out out/t", MISTAKE, "saved with other shards"),
    ("training from a checkpoint Lightning's way", f"{TRAIN} --ckpt_path nowhere.ckpt --out out/t", MISTAKE, "nowhere.ckpt"),
    ("training under a file", f"{TRAIN} --out README/t", MISTAKE, "README"),
    ("training of an unknown class", f"{TRAIN} --model.class_path no.Such --out out/t", USAGE, "no.Such"),
    ("training by an unknown strategy", f"{TRAIN} --trainer.strategy fastest --out out/t", MISTAKE, "fastest"),
    ("training on no GPU", f"{TRAIN} --trainer.accelerator gpu --out out/t", MISTAKE, "gpu"),
    ("training of no layers", f"{TRAIN} --model.init_args.shadow_layers 0 --out out/t", MISTAKE, "0 early layers"),
    ("training of too many layers", f"{TRAIN} --model.init_args.shadow_layers 99 --out out/t", MISTAKE, "99"),
    ("training in batches of nothing", f"{TRAIN} --data.init_args.batch_size 0 --out out/t", MISTAKE, "at least 1"),
    ("training with an unknown monitor", f"{TRAIN} --checkpoint.monitor val/luck --trainer.check_val_every_n_epoch 1 --out out/t", MISTAKE, "val/luck"),
    ("joint training without routers", "train fit --config miniature/joint --model.init_args.routers nowhere --data.init_args.shards video-flr --data.init_args.more_labels video-qtr --out out/t", MISTAKE, "nowhere"),
    ("ranks in words", "train check --ranks many --config miniature/image_router", MISTAKE, "--ranks"),
    ("ranks left out", "train check --config miniature/image_router --ranks", MISTAKE, "--ranks"),
    ("unknown verb of train", "train fly", USAGE, "fly"),
    ("floor of no shards", "train floor nowhere", MISTAKE, "nowhere"),
    ("floor of other labels", "train floor video-flr", MISTAKE, "video-flr"),
    ("floor of an unknown split", "train floor video-qtr --test holdout", MISTAKE, "holdout"),
    # builders
    ("annotations that are not there", f"{LABEL} --questions nowhere.jsonl --out out/b", MISTAKE, "nowhere.jsonl"),
    ("annotations that are a folder", f"{LABEL} --questions empty --out out/b", MISTAKE, "empty"),
    ("annotations that are not JSON", f"{LABEL} --questions README --out out/b", MISTAKE, "README"),
    ("annotations without a row", f"{LABEL} --questions annotations/empty.jsonl --out out/b", MISTAKE, "annotations/empty.jsonl"),
    ("annotations that are no text", f"{LABEL} --questions configs/bytes.yaml --out out/b", MISTAKE, "configs/bytes.yaml"),
    ("unknown source", f"{LABEL} --questions world/questions.jsonl --source cinema --out out/b", MISTAKE, "cinema"),
    ("annotations of another source", f"{LABEL} --questions world/questions.jsonl --source nextqa --out out/b", MISTAKE, "world/questions.jsonl"),
    ("videos that are not there", f"{LABEL} --videos nowhere --questions world/questions.jsonl --out out/b", MISTAKE, "nowhere"),
    ("list of videos to leave out that is not there", f"{LABEL} --questions world/questions.jsonl --exclude nowhere.txt --out out/b", MISTAKE, "nowhere.txt"),
    ("map of videos that is damaged", f"{LABEL} --questions world/questions.jsonl --video_map README --out out/b", MISTAKE, "README"),
    ("questions alike by more than all", f"{LABEL} --questions world/questions.jsonl --near_duplicates 5 --out out/b", MISTAKE, "near duplicates is 5"),
    ("no frames to label", f"{LABEL} --frames 0 --questions world/questions.jsonl --out out/b", MISTAKE, "frames"),
    ("no workers", f"{LABEL} --workers 0 --questions world/questions.jsonl --out out/b", MISTAKE, "workers"),
    ("unknown executor", f"{LABEL} --executor cloud --questions world/questions.jsonl --out out/b", MISTAKE, "cloud"),
    ("shard range in words", f"{LABEL} --shard-range some --questions world/questions.jsonl --out out/b", MISTAKE, "some"),
    ("build under a file", f"{LABEL} --questions world/questions.jsonl --out README/b", MISTAKE, "README"),
    ("build with other options", f"{LABEL} --questions world/questions.jsonl --out video-flr", MISTAKE, "video-flr"),
    ("teacher that nobody serves", f"{LABEL} --questions world/questions.jsonl --teacher.wait 0.1 --teacher.attempts 1 --out out/gone", GONE, "127.0.0.1:9"),
    ("teacher without an address", f"{LABEL} --questions world/questions.jsonl --teacher.base_url teacher --out out/b2 --teacher.patience 0.1", MISTAKE, "teacher"),
    ("prices that are not there", f"{LABEL} --questions world/questions.jsonl --teacher.prices nowhere.yaml --out out/b", MISTAKE, "nowhere.yaml"),
    ("prices of wrong syntax", f"{LABEL} --questions world/questions.jsonl --teacher.prices configs/syntax.yaml --max-usd 1 --out out/b", MISTAKE, "configs/syntax.yaml"),
    ("prices without the model", f"{LABEL} --questions world/questions.jsonl --teacher.prices configs/prices.yaml --max-usd 1 --out out/b", MISTAKE, "teacher"),
    ("dollars without prices", f"{LABEL} --questions world/questions.jsonl --max-usd 1 --out out/b", MISTAKE, "prices"),
    ("generated from no videos", "data_builders flr generate --videos empty --out out/g --teacher.base_url http://127.0.0.1:9/v1", MISTAKE, "empty"),
    ("generated from a list that is not there", "data_builders flr generate --videos world --video_list nowhere.txt --out out/g", MISTAKE, "nowhere.txt"),
    ("splice at the clips' own aspect ratios", "data_builders flr splice --videos world --aspect own --out out/own", MISTAKE, "--aspect square"),
    ("frames of an unknown aspect", f"{LABEL} --aspect wide --questions README --out out/b", USAGE, "aspect"),
    ("sides that no frame has", f"{LABEL} --aspect own --frame_multiple 0 --questions world/questions.jsonl --out out/b", MISTAKE, "frame_multiple"),
    ("splice of no clips", "data_builders flr splice --videos empty --out out/p", MISTAKE, "at least two are joined"),
    ("policies from shards that are not there", "data_builders qtr --videos world --questions world/questions.jsonl --relevance nowhere --out out/q --teacher.base_url http://127.0.0.1:9/v1", MISTAKE, "nowhere"),
    ("policies probed by a base that is not there", "data_builders qtr --videos world --questions world/questions.jsonl --relevance video-flr --local_base nowhere --out out/q --teacher.base_url http://127.0.0.1:9/v1", MISTAKE, "nowhere"),
    ("conversion of nothing", "data_builders convert --source nextqa --questions nowhere.csv --out out/c.jsonl", MISTAKE, "nowhere.csv"),
    ("conversion of an unknown source", "data_builders convert --source cinema --questions world/questions.jsonl --out out/c.jsonl", MISTAKE, "cinema"),
    ("conversion under a file", "data_builders convert --source questions_jsonl --questions world/questions.jsonl --out README/c.jsonl", MISTAKE, "README"),
    ("audit of nothing", "data_builders audit nowhere", MISTAKE, "nowhere"),
    ("audit of an empty folder", "data_builders audit empty --out out/a.html", MISTAKE, "empty"),
    ("verdicts that are not there", "data_builders audit video-flr --verdicts nowhere.json", MISTAKE, "nowhere.json"),
    ("verdicts that are damaged", "data_builders audit video-flr --verdicts README", MISTAKE, "README"),
    ("audit of no label", "data_builders audit video-flr --sample 0 --out out/a.html", MISTAKE, "sample"),
    ("unknown builder", "data_builders flr dream", USAGE, "dream"),
    # evaluation
    ("unknown benchmark", f"{EVAL} --model router --benchmark cinema --out out/e", MISTAKE, "cinema"),
    ("benchmark folder that is not there", f"{EVAL} --model router --data nowhere --out out/e", MISTAKE, "nowhere"),
    ("benchmark folder that is empty", f"{EVAL} --model router --data empty --out out/e", MISTAKE, "empty"),
    ("benchmark with damaged questions", f"{EVAL} --model router --data worlds/damaged --out out/e", MISTAKE, "worlds/damaged"),
    ("unknown split", f"{EVAL} --model router --split holdout --out out/e", MISTAKE, "holdout"),
    ("run of no model", f"{EVAL} --model nowhere --out out/e", MISTAKE, "nowhere"),
    ("run of an unknown system", f"{EVAL} --model router --systems '[videorouter, best]' --out out/e", MISTAKE, "best"),
    ("run of a system with an unknown option", f"{EVAL} --model router --systems '[videorouter, \"vidcom2(size=3)\"]' --out out/e", MISTAKE, "size"),
    ("run of no system", f"{EVAL} --model router --systems '[]' --out out/e", MISTAKE, "systems"),
    ("run of one system twice", f"{EVAL} --model router --systems '[videorouter, dense, dense]' --out out/e", MISTAKE, "dense"),
    ("run of a system that always fails", f"{EVAL} --model router --systems '[videorouter, \"adapttoken(layer=99)\"]' --limit 2 --router-quality false --out out/e", MISTAKE, "adapttoken(layer=99) answered no question"),
    ("run of an odd system that always fails", f"{EVAL} --model router --systems '[videorouter, \" adapttoken( layer = 99 )\"]' --limit 2 --router-quality false --out out/e", MISTAKE, "adapttoken(layer=99) answered no question"),
    ("run of a system without its bracket", f"{EVAL} --model router --systems '[videorouter, \"vidcom2(\"]' --out out/e", MISTAKE, "vidcom2("),
    ("run at no budget", f"{EVAL} --model router --budget 0 --out out/e", MISTAKE, "budget"),
    ("run at a budget that is too small", f"{EVAL} --model router --budget 1 --out out/e1", MISTAKE, "budget"),
    ("run on an unknown device", f"{EVAL} --model router --device abacus --out out/e", MISTAKE, "abacus"),
    ("run under a file", f"{EVAL} --model router --out README/e", MISTAKE, "README"),
    # serving
    ("server of no model", "serve --port 0", MISTAKE, "--model"),
    ("server of a model that is not there", "serve --port 0 --model nowhere/router", MISTAKE, "nowhere/router"),
    ("server of a base that must route", "serve --port 0 --base base --system videorouter", MISTAKE, "needs a trained router"),
    ("server with an unknown engine", f"{SERVE} --engine steam", USAGE, "engine"),
    ("server with an unknown system", f"{SERVE} --system best", MISTAKE, "best"),
    ("server in front of nothing", f"{SERVE} --engine vllm", MISTAKE, "--upstream"),
    ("server in front of no address", f"{SERVE} --engine vllm --upstream localhost", MISTAKE, "no address"),
    ("server in front of a server that is not there", f"{SERVE} --engine frames --upstream http://127.0.0.1:9/v1", MISTAKE, "127.0.0.1:9"),
    ("server with an upstream and no engine for it", f"{SERVE} --upstream http://127.0.0.1:9/v1", MISTAKE, "--engine"),
    ("server that pays for pictures and sends none", f"{SERVE} --upstream_pictures gpt-4o", MISTAKE, "upstream_pictures"),
    ("server of a system that is told the truth", f"{SERVE} --system oracle", MISTAKE, "oracle"),
    ("server with a budget below one frame", f"{SERVE} --budget 3", MISTAKE, "--budget"),
    ("server with a budget below one frame in full", f"{SERVE} --budget 15", MISTAKE, "--budget 16"),
    ("server with a budget below one frame of a system", f"{SERVE} --system adapttoken --budget 3", MISTAKE, "--budget 16"),
    ("server of pages in no list", f"{SERVE} --allowed_origins https://lab.example", USAGE, "\"['https://lab.example']\""),
    ("server of hosts with commas", f"{SERVE} --allowed_hosts a.example,b.example", USAGE, "\"['a.example', 'b.example']\""),
    ("server of more frames than it takes", f"{SERVE} --frames 1000", MISTAKE, "most_frames"),
    ("server that answers itself, of an upstream's model", f"{SERVE} --upstream_model x", MISTAKE, "upstream_model"),
    ("server that answers itself, of an upstream's precision", f"{SERVE} --upstream_dtype bfloat16", MISTAKE, "upstream_dtype"),
    ("server that answers itself, patient with an upstream", f"{SERVE} --upstream_patience 5", MISTAKE, "upstream_patience"),
    ("server that answers itself, with the whole base", f"{SERVE} --whole_base", MISTAKE, "whole_base"),
    ("server that sends pictures, in a precision", f"{SERVE} --engine frames --upstream http://127.0.0.1:9/v1 --upstream_dtype float16", MISTAKE, "upstream_dtype"),
    ("server that pays for pictures of an unknown kind", f"{SERVE} --engine frames --upstream http://127.0.0.1:9/v1 --upstream_pictures gpt4o", MISTAKE, "gpt-4o-mini"),
    ("server for others without keys", f"{SERVE} --host 0.0.0.0", MISTAKE, "VIDEOROUTER_API_KEYS"),
    ("server at a host that is not this machine", f"{SERVE} --host host.invalid", MISTAKE, "VIDEOROUTER_API_KEYS"),
    ("server at an impossible port", "serve --model router --port 70000", MISTAKE, "70000"),
    ("server of videos in a folder that is not there", f"{SERVE} --media_root nowhere", MISTAKE, "nowhere"),
    ("server of videos in a file", f"{SERVE} --media_root README", MISTAKE, "README"),
    ("server that fetches from no host", f"{SERVE} --video_hosts ['http://host/path']", MISTAKE, "host"),
    ("server for nobody", f"{SERVE} --most_waiting 0", MISTAKE, "most_waiting"),
    ("server without patience", f"{SERVE} --patience 0", MISTAKE, "patience"),
    ("server at no budget", f"{SERVE} --budget 0", MISTAKE, "budget"),
    ("server on an unknown device", f"{SERVE} --device abacus", MISTAKE, "abacus"),
    ("engine without an address", f"{EVAL} --model router --out out/e --engine vllm", MISTAKE, "upstream"),
    ("engine that is not there", f"{EVAL} --model router --out out/e --engine vllm --scoring generate --upstream http://127.0.0.1:9/v1", MISTAKE, "not reached"),
    ("engine for likelihoods", f"{EVAL} --model router --out out/e --engine vllm --upstream http://127.0.0.1:9/v1 --scoring likelihood", MISTAKE, "likelihood"),
    ("run into another run", f"{EVAL} --model router --out eval", MISTAKE, "eval"),
    ("run that continues another", f"{EVAL} --model router --out eval --retry-failed true", MISTAKE, "eval"),
    ("run of points without budget", f"{EVAL} --model router --points '[{{frames: 4}}]' --out out/e", USAGE, "budget"),
    ("run of a base that must route", f"{EVAL} --model null --base base --out out/e", MISTAKE, "videorouter"),
    ("report of nothing", "eval report nowhere --out out/r", MISTAKE, "nowhere"),
    ("report of an empty folder", "eval report empty --out out/r", MISTAKE, "empty"),
    ("report of no run", "eval report world --out out/r", MISTAKE, "world"),
    ("report of a damaged manifest", "eval report evals/manifest --out out/r", MISTAKE, "evals/manifest"),
    ("report of damaged predictions", "eval report evals/predictions --out out/r", MISTAKE, "evals/predictions"),
    ("report of a run without predictions", "eval report evals/none --out out/r", MISTAKE, "evals/none"),
    ("report to an unknown reference", "eval report eval --reference best --out out/r", MISTAKE, "best"),
    ("report of one run twice", "eval report eval eval --out out/r", MISTAKE, "eval"),
    ("report of two runs with the same rows", "eval report eval evals/copy --out out/r", MISTAKE, "evals/copy"),
    ("report under a file", "eval report eval --out README/r", MISTAKE, "README"),
    ("report with fewer than no questions", "eval report eval --questions -1 --out out/r", MISTAKE, "questions"),
    ("report with an unknown system apart", "eval report eval --apart best --out out/r", MISTAKE, "best"),
    ("unknown benchmark to prepare", "eval prepare --benchmark cinema --data empty", MISTAKE, "cinema"),
    ("nothing to prepare", "eval prepare --benchmark video_mme --data nowhere", MISTAKE, "nowhere"),
    ("empty folder to prepare", "eval prepare --benchmark mlvu --data empty", MISTAKE, "empty"),
    *((f"empty folder to prepare of {name}", f"eval prepare --benchmark {name} --data empty", MISTAKE, "empty") for name in ("video_mme", "longvideobench", "lvbench", "egoschema")),
    ("unknown split to prepare", "eval prepare --benchmark mlvu --data empty --split some", MISTAKE, "some"),
    ("results that are not there", "eval convert nowhere.jsonl --from lmms_eval --benchmark b --model m --frames 4 --cap 10 --out out/v", MISTAKE, "nowhere.jsonl"),
    ("results that are damaged", "eval convert README --from lmms_eval --benchmark b --model m --frames 4 --cap 10 --out out/v", MISTAKE, "README"),
    ("table that is damaged", "eval convert README --from vlmevalkit --benchmark b --model m --frames 4 --cap 10 --out out/v", MISTAKE, "README"),
    ("xlsx that is damaged", "eval convert annotations/text.xlsx --from vlmevalkit --benchmark b --model m --frames 4 --cap 10 --out out/v", MISTAKE, "annotations/text.xlsx"),
    ("results of an unknown toolkit", "eval convert README --from helm --benchmark b --model m --frames 4 --cap 10 --out out/v", USAGE, "helm"),
    # the miniature
    ("unknown command of the miniature", "miniature dream", USAGE, "usage"),
    ("world under a file", "miniature world --out README/world --videos 1", MISTAKE, "README"),
    ("world of no videos", "miniature world --out out/w --videos 0", MISTAKE, "one video"),
    ("world of videos in words", "miniature world --out out/w --videos many", USAGE, "videos"),
    ("world of no seconds", "miniature world --out out/w --seconds 0", MISTAKE, "seconds"),
    ("world of wrong shares", "miniature world --out out/w --splits [50,50,50]", MISTAKE, "splits"),
    ("base in place of a base", "miniature base --out base", MISTAKE, "base"),
    ("base under a file", "miniature base --out README/base", MISTAKE, "README"),
    ("labels held against no world", "miniature check-labels --world nowhere --shards [video-flr]", MISTAKE, "nowhere"),
    ("labels that are not there", "miniature check-labels --world world --shards [nowhere]", MISTAKE, "nowhere"),
    ("generated questions without a world", "miniature check-generated --world nowhere --shards video-flr", MISTAKE, "nowhere"),
    ("study of no router", "miniature report --out out/study --robust nowhere --dense nowhere", MISTAKE, "nowhere"),
    ("comparison of no router", "miniature compare --out out/compare --robust nowhere", MISTAKE, "nowhere"),
    ("shipping of nothing", "miniature ship --trained nowhere --work out/ship --out out/shipped", MISTAKE, "nowhere"),
    ("demo into other things", "miniature demo --out world --scale tiny", MISTAKE, "world"),
    ("demo at an unknown scale", "miniature demo --out out/demo --scale huge", USAGE, "scale"),
    ("real clips that are not named", "miniature demo-real --out out/real", MISTAKE, "VIDEOROUTER_REAL_DATA"),
    ("teacher at a port that is none", "miniature teacher --port 99999", MISTAKE, "99999"),
    ("teacher of wrong shares", "miniature teacher --port 0 --malformed 2", MISTAKE, "malformed"),
    ("crash test of no shards", "miniature crash-train --out out/ct --flr nowhere --base base --kills 1", MISTAKE, "nowhere"),
    # any command line
    ("unknown command", "dream", USAGE, "dream"),
    ("no command", "", USAGE, ""),
    *(
        (f"unknown option of {command}", f"{command} --no-such-option 3", USAGE, "no_such_option")
        for command in ("answer", "estimate", "export", "merge", "push", "eval run", "eval report", "data_builders qtr", "miniature world")
    ),
    *((f"unknown verb of {command}", f"{command} dream", USAGE, "dream") for command in ("routers", "eval", "shards", "data_builders")),
    *((f"no verb of {command}", command, USAGE, "") for command in ("routers", "eval", "shards", "data_builders", "miniature", "train")),
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what version 0.1.0 saved, and beside it what is damaged, empty or of another kind."""
    folder = tmp_path_factory.mktemp("mistakes") / "place"
    shutil.copytree(SAVED, folder)
    (folder / "README").write_text("Nothing to see here.\n")
    (folder / "empty").mkdir()
    _videos(folder)
    _models(folder)
    _shards(folder)
    _configs(folder)
    _runs(folder)
    return folder


def _videos(folder: Path) -> None:
    (folder / "videos").mkdir()
    (folder / "videos" / "empty.mp4").touch()
    (folder / "videos" / "text.mp4").write_text("a video\n" * 100)
    whole = (folder / "world" / "videos" / "miniature-0000.mp4").read_bytes()
    (folder / "videos" / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    checkpoint = (folder / "image-router" / "checkpoints" / "last.ckpt").read_bytes()
    (folder / "cut.ckpt").write_bytes(checkpoint[: len(checkpoint) // 2])


def _models(folder: Path) -> None:
    def copy(kind: str, name: str) -> Path:
        made = folder / f"{kind}s" / name
        shutil.copytree(folder / kind, made)
        if kind == "router":
            change(made, base=json.loads((made / "config.json").read_text())["base"] | {"path": "../../base"})
        return made

    def change(made: Path, **values: object) -> None:
        read = json.loads((made / "config.json").read_text())
        (made / "config.json").write_text(json.dumps(read | values))

    base = json.loads((folder / "router" / "config.json").read_text())["base"]
    change(copy("router", "no-base"), base=base | {"path": "gone/base"})
    change(copy("router", "later"), format_version=99)
    change(copy("router", "other-config"), shadow_layers="four", base=None)
    change(copy("router", "other-weights"), hidden=24)
    change(copy("base", "quantised"), quantization_config={"quant_method": "awq", "bits": 4})
    change(copy("base", "unknown"), model_type="dream", architectures=["Dream"])
    (copy("base", "language") / "config.json").write_text(
        '{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}'
    )
    for kind in ("router", "base"):
        (copy(kind, "damaged-config") / "config.json").write_text('{"base": ')
        (copy(kind, "list-config") / "config.json").write_text("[1, 2]")
        (copy(kind, "damaged-weights") / "model.safetensors").write_bytes(b"no tensors at all, but text instead")
        (copy(kind, "no-weights") / "model.safetensors").unlink()
    whole = (folder / "base" / "model.safetensors").read_bytes()
    (copy("base", "cut-weights") / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    (copy("base", "no-tokenizer") / "tokenizer.json").unlink()
    (copy("base", "damaged-tokenizer") / "tokenizer.json").write_text("{")
    _tuned(folder, copy("base", "tuned"))
    (copy("base", "damaged-index") / "model.safetensors").rename(
        folder / "bases" / "damaged-index" / "part.safetensors"
    )
    (folder / "bases" / "damaged-index" / "model.safetensors.index.json").write_text("{")
    listed = copy("router", "damaged-base-list")
    change(listed, base=base | {"path": "../../base", "tensors": "0" * 64})
    (listed / "base.json").write_text('{"tensors": 3}')
    adapted = folder / "routers" / "damaged-adapter"
    shutil.copytree(folder / "joint-router", adapted)
    change(adapted, base=json.loads((adapted / "config.json").read_text())["base"] | {"path": "../../base"})
    (adapted / "adapter" / "adapter_model.safetensors").write_bytes(b"no tensors")


def _tuned(folder: Path, base: Path) -> None:
    """One byte of one tensor is another; and checkpoints that were trained with it before."""
    whole = bytearray((base / "model.safetensors").read_bytes())
    whole[-1] ^= 1
    (base / "model.safetensors").write_bytes(whole)
    (folder / "checkpoints").mkdir()
    for name in ("image", "semantic"):
        content = (folder / f"{name}-router" / "checkpoints" / "last.ckpt").read_bytes()
        length = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:length])
        record = json.loads(header["__metadata__"]["videorouter"])
        record["videorouter"]["base"]["path"] = "bases/tuned"
        header["__metadata__"]["videorouter"] = json.dumps(record)
        written = json.dumps(header).encode()
        (folder / "checkpoints" / f"tuned-{name}.ckpt").write_bytes(
            len(written).to_bytes(8, "little") + written + content[length:]
        )


def _shards(folder: Path) -> None:
    for name in ("manifest", "tar", "sidecar", "unfinished", "nothing"):
        shutil.copytree(folder / "video-flr", folder / "shards" / name)
    (folder / "shards" / "manifest" / "manifest.json").write_text("{")
    tar = folder / "shards" / "tar" / "train-00000.tar"
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    (folder / "shards" / "sidecar" / "train-00000.json").write_text("{")
    (folder / "shards" / "unfinished" / "manifest.json").unlink()
    for path in (folder / "shards" / "nothing").glob("*-0*"):
        path.unlink()


def _configs(folder: Path) -> None:
    (folder / "configs").mkdir()
    for name, text in (
        ("empty", ""),
        ("syntax", "out: [1, 2\nmodel: }"),
        ("list", "- 1\n- 2\n"),
        ("unknown", "speed: 3\n"),
        ("prices", "other: {input: 1, output: 1}\n"),
    ):
        (folder / "configs" / f"{name}.yaml").write_text(text)
    (folder / "configs" / "bytes.yaml").write_bytes(b"\xff\xfe\x00\x80" * 10)
    shipped = (ROOT / "configs" / "miniature" / "image_router.yaml").read_text(encoding="utf-8")
    bare = shipped.replace("miniature/shipped/robust", "base").replace("runs/demo/video-flr", "video-flr")
    (folder / "configs" / "no-checkpoint.yaml").write_text(
        bare.partition("checkpoint:")[0].replace("max_epochs: 30", "max_epochs: 1")
    )
    (folder / "annotations").mkdir()
    (folder / "annotations" / "empty.jsonl").touch()
    (folder / "annotations" / "text.xlsx").write_text("no sheet")


def _runs(folder: Path) -> None:
    for name in ("manifest", "predictions", "none", "copy", "other"):
        shutil.copytree(folder / "eval", folder / "evals" / name)
    (folder / "evals" / "manifest" / "manifest.json").write_text("{")
    (folder / "evals" / "predictions" / "predictions.jsonl").write_text('{"item": \n')
    (folder / "evals" / "none" / "predictions.jsonl").unlink()
    shutil.copytree(folder / "world", folder / "worlds" / "damaged")
    (folder / "worlds" / "damaged" / "questions.jsonl").write_text("{")


def ended() -> int:
    """The exit code of the command line in `sys.argv`, run in this process."""
    try:
        main()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


def own_out(line: str, number: int) -> str:
    """The command line with an `out/` of its own: no case sees what another one wrote."""
    return line.replace("out/", f"out/{number}/")


@pytest.mark.parametrize(
    ("line", "code", "phrase"),
    [pytest.param(own_out(line, number), *ends, id=name) for number, (name, line, *ends) in enumerate(CASES)],
)
def test_a_mistake_ends_as_one_line(
    line: str,
    code: int,
    phrase: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.delenv("VIDEOROUTER_REAL_DATA", raising=False)
    monkeypatch.setattr(sys, "argv", ["videorouter", *shlex.split(line)])
    left = ended()
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert left == code, err
    assert phrase in err
    lines = [each for each in err.splitlines() if each.strip()]
    if not any(each.startswith("error: ") for each in lines):
        assert code == USAGE  # asked for nothing: the usage is the answer
        assert lines[0].startswith("usage: ")
    else:
        assert sum(each.startswith("error: ") for each in lines) == 1
        assert lines[-1].startswith("error: ")
        assert len(lines) == 1 or line.startswith("train "), err  # Lightning says first what it sees of the machine


def test_a_file_that_may_not_be_read_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the operating system refuses, whoever runs the tests: root may read everything."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "world/questions.jsonl")

    monkeypatch.chdir(place)
    monkeypatch.setattr("videorouter.data_builders.commands.convert_file", refuse)
    convert = "data_builders convert --source questions_jsonl --questions world/questions.jsonl --out out/refused.jsonl"
    monkeypatch.setattr(sys, "argv", ["videorouter", *shlex.split(convert)])
    assert ended() == MISTAKE
    assert capfd.readouterr().err == (
        "error: world/questions.jsonl: not permitted: change the permissions, or choose another path\n"
    )


def test_a_report_of_a_base_alone_needs_no_reference(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Differences are taken to the first compared system where `videorouter` was not asked."""
    monkeypatch.chdir(place)
    run = "eval run --data world --base base --frames 4 --budget 64 --limit 2 --out out/base --systems '[frame_budget, dense]'"
    for line in (run, "eval report out/base --out out/base-report"):
        monkeypatch.setattr(sys, "argv", ["videorouter", *shlex.split(line)])
        assert ended() == 0, capfd.readouterr().err
    assert "minus frame_budget" in Path("out/base-report/tables.md").read_text(encoding="utf-8")


def test_a_reader_that_is_gone_is_no_error() -> None:
    """`videorouter config | head -1`, with a reader that closes before anything is written."""
    names = " ".join(["build/flr_annotate"] * 200)
    line = f"{shlex.quote(sys.executable)} -m videorouter config {names} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("line", ["export RUNS=", "demo SCALE=", "build-flr QUESTIONS=q VIDEOS=v TEACHER=t MODEL="])
def test_an_empty_variable_of_make_is_named(line: str) -> None:
    name = line.split()[-1].rstrip("=")
    done = subprocess.run(["make", "-n", *line.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{name} is empty: give it" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_list_holds_what_it_promises() -> None:
    assert len(CASES) > 200
    assert len({name for name, *_ in CASES}) == len(CASES)
