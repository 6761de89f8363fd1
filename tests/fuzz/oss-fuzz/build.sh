#!/bin/bash -eu
# Builds a fuzzer of each target, with its seeds and the crashers on record.
pip3 install ".[audio]" typer scikit-image
for target in image checkpoint options audio; do
    sed "s/TARGET/$target/" tests/fuzz/oss-fuzz/fuzzer.py > "tests/fuzz/fuzz_$target.py"
    compile_python_fuzzer "tests/fuzz/fuzz_$target.py" --paths tests --add-data "options:options"
    python3 tests/fuzz/seeds.py "$target" "$WORK/$target"
    zip -jq "$OUT/fuzz_${target}_seed_corpus.zip" "$WORK/$target"/*
done
