#!/usr/bin/env bash
# Builds the examples' modules from their C sources. Needs clang and wasm-ld (Debian and Ubuntu: clang, lld).
# usage: examples/build.sh [FOLDER]     FOLDER: where the modules go; without it, beside the sources
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
out=$(realpath "${1:-.}")
mkdir -p "$out/console"
for name in hello plugin console/number; do
    # -mcpu=mvp: the same instructions whatever a later clang enables by itself. -O1 and noinline keep functions apart,
    # so that a trap shows frames. strip-debug keeps the name section, which gives the frames their names.
    clang --target=wasm32 -mcpu=mvp -O1 -fno-inline -std=c11 -Wall -Wextra -Werror -ffreestanding -nostdlib \
        -Wl,--no-entry -Wl,--strip-debug -Wl,-z,stack-size=16384 -o "$out/$name.wasm" "$name.c"
    chmod a-x "$out/$name.wasm"
done
