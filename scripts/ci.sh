#!/usr/bin/env bash
# The steps of continuous integration; each runs here as it does on a public host: bash scripts/ci.sh STEP
set -euo pipefail
cd "$(dirname "$0")/.."

install() {  # what the tests need, at the versions that pip finds newest; --pre also before they are released
    python -m pip install --upgrade pip
    python -m pip install "$@" -e ".[dev]"
}

case "${1:-}" in
    install) install ;;
    install-newest) install --upgrade --upgrade-strategy eager --pre ;;
    tests) python -m pytest -n auto ;;
    lint)
        ruff check .
        ruff format --check .
        mypy
        lint-imports --no-cache
        ;;
    docs) NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict ;;
    install-release) python -m pip install --upgrade "pip>=25.1" && python -m pip install --group release typer . ;;
    build) python scripts/release.py build -o dist ;;
    sbom) python scripts/release.py sbom -o sbom/lsm-sr.cdx.json ;;
    fuzz)  # fuzz TARGET SECONDS
        python -m pip install atheris
        python tests/fuzz/harness.py "$2" --seconds "$3" --corpus "fuzz-corpus/$2"
        ;;
    *)
        echo "usage: bash scripts/ci.sh install|install-newest|tests|lint|docs|install-release|build|sbom|fuzz" >&2
        exit 2
        ;;
esac
