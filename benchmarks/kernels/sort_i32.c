/* Blocks of 16 integers, sorted without a branch: a network sorts the four columns, a transposition makes them rows,
   and bitonic merges make of four sorted rows two of eight, and one of sixteen. */
#include "kernel.h"

#define BLOCKS 1024
#define TIMES 5000

static int32_t numbers[BLOCKS][16], sorted[BLOCKS][16], again[BLOCKS][16];

static inline void exchange(v128_t *low, v128_t *high) {
    v128_t least = wasm_i32x4_min(*low, *high);
    *high = wasm_i32x4_max(*low, *high);
    *low = least;
}

static inline v128_t backwards(v128_t v) { return wasm_i32x4_shuffle(v, v, 3, 2, 1, 0); }

/* Sort two bitonic rows side by side: compare lanes at distance two, then neighbours. */
static inline void finish(v128_t *a, v128_t *b) {
    for (int distance = 2; distance; distance--) {
        v128_t low = wasm_i32x4_shuffle(*a, *b, 0, 1, 4, 5), high = wasm_i32x4_shuffle(*a, *b, 2, 3, 6, 7);
        if (distance == 1) low = wasm_i32x4_shuffle(*a, *b, 0, 2, 4, 6), high = wasm_i32x4_shuffle(*a, *b, 1, 3, 5, 7);
        exchange(&low, &high);
        if (distance == 2) {
            *a = wasm_i32x4_shuffle(low, high, 0, 1, 4, 5);
            *b = wasm_i32x4_shuffle(low, high, 2, 3, 6, 7);
        } else {
            *a = wasm_i32x4_shuffle(low, high, 0, 4, 1, 5);
            *b = wasm_i32x4_shuffle(low, high, 2, 6, 3, 7);
        }
    }
}

APART static void vector_sort(const int32_t *from, int32_t *to) {
    v128_t a = wasm_v128_load(from), b = wasm_v128_load(from + 4);
    v128_t c = wasm_v128_load(from + 8), d = wasm_v128_load(from + 12);
    exchange(&a, &b), exchange(&c, &d), exchange(&a, &c), exchange(&b, &d), exchange(&b, &c);
    v128_t ab_low = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), ab_high = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7);
    v128_t cd_low = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), cd_high = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
    a = wasm_i64x2_shuffle(ab_low, cd_low, 0, 2), b = wasm_i64x2_shuffle(ab_low, cd_low, 1, 3);
    c = wasm_i64x2_shuffle(ab_high, cd_high, 0, 2), d = wasm_i64x2_shuffle(ab_high, cd_high, 1, 3);
    /* a with b, and c with d. */
    b = backwards(b), d = backwards(d);
    exchange(&a, &b), exchange(&c, &d);
    finish(&a, &b), finish(&c, &d);
    /* Both pairs; afterwards a and b are the lower half. */
    v128_t first = backwards(d), second = backwards(c);
    exchange(&a, &first), exchange(&b, &second);
    exchange(&a, &b), exchange(&first, &second);
    finish(&a, &b), finish(&first, &second);
    wasm_v128_store(to, a), wasm_v128_store(to + 4, b);
    wasm_v128_store(to + 8, first), wasm_v128_store(to + 12, second);
}

APART static void scalar_sort(const int32_t *from, int32_t *to) {
    for (size_t i = 0; i < 16; i++) {
        size_t at = i;
        for (; at && to[at - 1] > from[i]; at--) to[at] = to[at - 1];
        to[at] = from[i];
    }
}

int main(void) {
    for (size_t block = 0; block < BLOCKS; block++)
        for (size_t i = 0; i < 16; i++) numbers[block][i] = (int32_t)(block % 4 ? random_u32() : random_u32() % 8);
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        for (size_t block = 0; block < BLOCKS; block++) vector_sort(numbers[block], sorted[block]);
    }
    bench_end();
    for (size_t block = 0; block < BLOCKS; block++) scalar_sort(numbers[block], again[block]);
    uint64_t vector = checksum(CHECKSUM_START, sorted, sizeof sorted);
    return verdict("sort_i32", vector, checksum(CHECKSUM_START, again, sizeof again));
}
