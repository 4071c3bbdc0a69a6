/* The lines of a text: memchr for the next line feed, again and again, 64 bytes a step. */
#include "kernel.h"

#define SIZE 65536
#define TIMES 18000

static char text[SIZE];

/* The place of the first byte equal to wanted among size bytes, or size. */
APART static size_t vector_find(const char *data, char wanted, size_t size) {
    v128_t all = wasm_i8x16_splat(wanted);
    size_t i = 0;
    for (; i + 64 <= size; i += 64) {
        v128_t e0 = wasm_i8x16_eq(wasm_v128_load(data + i), all);
        v128_t e1 = wasm_i8x16_eq(wasm_v128_load(data + i + 16), all);
        v128_t e2 = wasm_i8x16_eq(wasm_v128_load(data + i + 32), all);
        v128_t e3 = wasm_i8x16_eq(wasm_v128_load(data + i + 48), all);
        if (wasm_v128_any_true(wasm_v128_or(wasm_v128_or(e0, e1), wasm_v128_or(e2, e3)))) {
            uint64_t low = wasm_i8x16_bitmask(e0) | wasm_i8x16_bitmask(e1) << 16;
            uint64_t high = wasm_i8x16_bitmask(e2) | wasm_i8x16_bitmask(e3) << 16;
            return i + (size_t)__builtin_ctzll((low & 0xFFFFFFFFu) | high << 32);
        }
    }
    for (; i + 16 <= size; i += 16) {
        uint32_t equal = (uint32_t)wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(data + i), all));
        if (equal) return i + (size_t)__builtin_ctz(equal);
    }
    for (; i < size; i++)
        if (data[i] == wanted) return i;
    return size;
}

APART static size_t scalar_find(const char *data, char wanted, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (data[i] == wanted) return i;
    return size;
}

/* A number that depends on where all lines end. */
static uint64_t ends(size_t find(const char *, char, size_t)) {
    uint64_t sum = 0;
    for (size_t at = 0; at < SIZE;) {
        at += find(text + at, '\n', SIZE - at) + 1;
        sum = sum * 31 + at;
    }
    return sum;
}

int main(void) {
    for (size_t i = 0; i < SIZE; i++) text[i] = (char)(random_u32() | 16);
    for (size_t i = 0; i < SIZE; i += random_u32() % 1000 + 1) text[i] = '\n';
    uint64_t last = 0;
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        last = ends(vector_find);
    }
    bench_end();
    return verdict("memchr", last, ends(scalar_find));
}
