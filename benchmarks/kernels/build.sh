#!/usr/bin/env bash
# Builds the kernels from their C sources, with what Debian 12 has: clang, lld, wasi-libc, libclang-rt-14-dev-wasm32.
# usage: benchmarks/kernels/build.sh [FOLDER]     FOLDER: where the modules go; without it, beside the sources
# CLANG: the beginning of the compiler's command, if it is not "clang".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=$(realpath "${1:-.}")
read -ra clang <<<"${CLANG:-clang}"
for source in *.c; do
    # -mcpu=mvp with single features: the same instructions whatever a later clang enables by itself. The compiler makes
    # no vectors of its own, so that the plain loops are plain. strip-debug keeps the functions' names.
    "${clang[@]}" --target=wasm32-wasi -mcpu=mvp -msimd128 -mbulk-memory -mnontrapping-fptoint -msign-ext -O2 \
        -fno-vectorize -fno-slp-vectorize -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror \
        -Wl,--strip-debug -o "$out/${source%.c}.wasm" "$source"
    chmod a-x "$out/${source%.c}.wasm"
done
