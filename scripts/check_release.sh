#!/usr/bin/env bash
# Builds wheel, sdist and bill of materials into dist/, then installs the wheel where there is no
# index, and colours a sample where there is no network.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-uv}
python=${UV_PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

rm -rf dist
"$uv" build --quiet --out-dir dist
"$uv" export --quiet --locked --all-extras --no-extra dev --no-extra docs \
    --preview-features sbom-export --format cyclonedx1.5 -o dist/retint.cdx.json

"$python" -m venv "$work/tools"
"$work/tools/bin/pip" download --quiet --dest "$work/wheelhouse" dist/*.whl
"$python" -m venv "$work/empty"
"$work/empty/bin/pip" install --quiet --no-index --find-links "$work/wheelhouse" retint

offline=(env http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9)
if unshare --net --map-root-user true 2>/dev/null; then
    offline=(unshare --net --map-root-user)
else
    echo "no network namespace here: proxies that lead nowhere stand in for it" >&2
fi
cp samples/coffee.jpg "$work"
cd "$work"
"${offline[@]}" empty/bin/retint colorize coffee.jpg -o out
empty/bin/retint info out/coffee-color.jpg | tee "$work/info"
grep -q '^colour *coloured' "$work/info"
grep -q '^inferred: model *default' "$work/info"
cd - >/dev/null
ls -l dist
