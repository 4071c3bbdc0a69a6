/* Dot product of floats with 16 partial sums. The plain loop keeps the same 16 sums, so that both round alike. */
#include "kernel.h"

#define COUNT 8192
#define TIMES 45000

static float a[COUNT], b[COUNT];

APART static float vector_dot(const float *x, const float *y, size_t count) {
    v128_t s0 = wasm_f32x4_const_splat(0), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < count; i += 16) {
        s0 = wasm_f32x4_add(s0, wasm_f32x4_mul(wasm_v128_load(x + i), wasm_v128_load(y + i)));
        s1 = wasm_f32x4_add(s1, wasm_f32x4_mul(wasm_v128_load(x + i + 4), wasm_v128_load(y + i + 4)));
        s2 = wasm_f32x4_add(s2, wasm_f32x4_mul(wasm_v128_load(x + i + 8), wasm_v128_load(y + i + 8)));
        s3 = wasm_f32x4_add(s3, wasm_f32x4_mul(wasm_v128_load(x + i + 12), wasm_v128_load(y + i + 12)));
    }
    v128_t sums = wasm_f32x4_add(wasm_f32x4_add(s0, s1), wasm_f32x4_add(s2, s3));
    return (wasm_f32x4_extract_lane(sums, 0) + wasm_f32x4_extract_lane(sums, 1)) +
           (wasm_f32x4_extract_lane(sums, 2) + wasm_f32x4_extract_lane(sums, 3));
}

APART static float scalar_dot(const float *x, const float *y, size_t count) {
    float sums[16] = {0};
    for (size_t i = 0; i < count; i += 16)
        for (size_t j = 0; j < 16; j++) sums[j] += x[i + j] * y[i + j];
    float lanes[4];
    for (size_t j = 0; j < 4; j++) lanes[j] = (sums[j] + sums[j + 4]) + (sums[j + 8] + sums[j + 12]);
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

int main(void) {
    for (size_t i = 0; i < COUNT; i++) a[i] = random_float(), b[i] = random_float();
    float last = 0;
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        last = vector_dot(a, b, COUNT);
    }
    bench_end();
    float again = scalar_dot(a, b, COUNT);
    uint64_t vector = checksum(CHECKSUM_START, &last, sizeof last);
    return verdict("dot_f32", vector, checksum(CHECKSUM_START, &again, sizeof again));
}
