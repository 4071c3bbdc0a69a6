/* Dot product of 16-bit integers: i32x4.dot_i16x8_s into two independent sums, which wrap as 32-bit sums do. */
#include "kernel.h"

#define COUNT 8192
#define TIMES 90000

static int16_t a[COUNT], b[COUNT];

APART static uint32_t vector_dot(const int16_t *x, const int16_t *y, size_t count) {
    v128_t even = wasm_i32x4_const_splat(0), odd = even;
    for (size_t i = 0; i < count; i += 16) {
        even = wasm_i32x4_add(even, wasm_i32x4_dot_i16x8(wasm_v128_load(x + i), wasm_v128_load(y + i)));
        odd = wasm_i32x4_add(odd, wasm_i32x4_dot_i16x8(wasm_v128_load(x + i + 8), wasm_v128_load(y + i + 8)));
    }
    v128_t sums = wasm_i32x4_add(even, odd);
    sums = wasm_i32x4_add(sums, wasm_i32x4_shuffle(sums, sums, 2, 3, 0, 1));
    sums = wasm_i32x4_add(sums, wasm_i32x4_shuffle(sums, sums, 1, 0, 3, 2));
    return (uint32_t)wasm_i32x4_extract_lane(sums, 0);
}

APART static uint32_t scalar_dot(const int16_t *x, const int16_t *y, size_t count) {
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += (uint32_t)(x[i] * y[i]);
    return sum;
}

int main(void) {
    for (size_t i = 0; i < COUNT; i++) a[i] = (int16_t)random_u32(), b[i] = (int16_t)random_u32();
    /* Two products of the lowest number: the only case in which one pair's sum wraps. */
    for (size_t i = 0; i < 8; i++) a[i] = b[i] = INT16_MIN;
    uint32_t total = 0;
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        total += vector_dot(a, b, COUNT);
    }
    bench_end();
    return verdict("dot_i16", total, TIMES * scalar_dot(a, b, COUNT));
}
