#!/bin/sh
# Everything that docs/report.md and docs/models.md measure, anew and at full size, on a GPU:
#
#     scripts/remake.sh PHOTOS TEST_PHOTOS OUT [--set KEY=VALUE ...]
#
# The report's experiments on 5,000 of PHOTOS, the default model on all of them, each part of it
# left out in turn, all models on TEST_PHOTOS, and how fast they learn. `--set` changes every
# recipe, to try it with a few photographs. A stopped call goes on where it was.
set -eu
if [ $# -lt 3 ]; then
  echo "usage: scripts/remake.sh PHOTOS TEST_PHOTOS OUT [--set KEY=VALUE ...]" >&2
  exit 2
fi
photos=$1 tests=$2 out=$3
shift 3
root=$(cd "$(dirname "$0")/.." && pwd)
PATH=$root/.venv/bin:$PATH

retint reproduce "$photos" --test "$tests" --out "$out/report" --set data.limit=5000 "$@"
python "$root/scripts/make_default.py" "$photos" --out "$out/default" "$@"
python "$root/benchmarks/ablation.py" "$photos" "$tests" --out "$out/ablation" --epochs 16 \
  --set data.size=256 --set data.batch_size=64 --set discriminator_width=64 --set ema=0.999 \
  --set 'generator.options.decoder_channels=[192,128,96]' "$@"
retint evaluate "$out/default/default.onnx" "$out"/report/*-gan "$tests" --aged \
  --out "$out/evaluation" --overwrite
python "$root/benchmarks/training.py" "$photos" "$@"
