/* Dot product of signed bytes: 16 products a step, added in pairs to four sums of 32 bits. */
#include "kernel.h"

#define COUNT 16384
#define TIMES 32000

static int8_t a[COUNT], b[COUNT];

APART static int32_t vector_dot(const int8_t *x, const int8_t *y, size_t count) {
    v128_t sums = wasm_i32x4_const_splat(0);
    for (size_t i = 0; i < count; i += 16) {
        v128_t u = wasm_v128_load(x + i), v = wasm_v128_load(y + i);
        v128_t low = wasm_i16x8_extmul_low_i8x16(u, v), high = wasm_i16x8_extmul_high_i8x16(u, v);
        sums = wasm_i32x4_add(sums, wasm_i32x4_extadd_pairwise_i16x8(low));
        sums = wasm_i32x4_add(sums, wasm_i32x4_extadd_pairwise_i16x8(high));
    }
    return wasm_i32x4_extract_lane(sums, 0) + wasm_i32x4_extract_lane(sums, 1) + wasm_i32x4_extract_lane(sums, 2) +
           wasm_i32x4_extract_lane(sums, 3);
}

APART static int32_t scalar_dot(const int8_t *x, const int8_t *y, size_t count) {
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += x[i] * y[i];
    return sum;
}

int main(void) {
    for (size_t i = 0; i < COUNT; i++) a[i] = (int8_t)random_u32(), b[i] = (int8_t)random_u32();
    /* The extremes, whose products do not all fit into 15 bits. */
    memset(a, -128, 64), memset(b, -128, 32);
    uint32_t total = 0;
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        total += (uint32_t)vector_dot(a, b, COUNT);
    }
    bench_end();
    return verdict("dot_i8", total, TIMES * (uint32_t)scalar_dot(a, b, COUNT));
}
