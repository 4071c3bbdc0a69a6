/* Product of square matrices: a block of 4 rows and 8 columns is kept in eight vectors while its rows and columns are
   gone through. Each element adds its products in the same order as in the plain loop. */
#include "kernel.h"

#define SIZE 128
#define TIMES 220

static float a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE], d[SIZE][SIZE];

APART static void vector_product(void) {
    for (size_t row = 0; row < SIZE; row += 4) {
        for (size_t column = 0; column < SIZE; column += 8) {
            v128_t sums[4][2];
            for (size_t i = 0; i < 4; i++) sums[i][0] = sums[i][1] = wasm_f32x4_const_splat(0);
            for (size_t k = 0; k < SIZE; k++) {
                v128_t left = wasm_v128_load(&b[k][column]), right = wasm_v128_load(&b[k][column + 4]);
#pragma clang loop unroll(full)
                for (size_t i = 0; i < 4; i++) {
                    v128_t factor = wasm_v128_load32_splat(&a[row + i][k]);
                    sums[i][0] = wasm_f32x4_add(sums[i][0], wasm_f32x4_mul(factor, left));
                    sums[i][1] = wasm_f32x4_add(sums[i][1], wasm_f32x4_mul(factor, right));
                }
            }
            for (size_t i = 0; i < 4; i++) {
                wasm_v128_store(&c[row + i][column], sums[i][0]);
                wasm_v128_store(&c[row + i][column + 4], sums[i][1]);
            }
        }
    }
}

APART static void scalar_product(void) {
    for (size_t row = 0; row < SIZE; row++) {
        for (size_t column = 0; column < SIZE; column++) {
            float sum = 0;
            for (size_t k = 0; k < SIZE; k++) sum += a[row][k] * b[k][column];
            d[row][column] = sum;
        }
    }
}

int main(void) {
    for (size_t row = 0; row < SIZE; row++)
        for (size_t column = 0; column < SIZE; column++)
            a[row][column] = random_float(), b[row][column] = random_float();
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        vector_product();
    }
    bench_end();
    scalar_product();
    uint64_t vector = checksum(CHECKSUM_START, c, sizeof c);
    return verdict("matrix_f32", vector, checksum(CHECKSUM_START, d, sizeof d));
}
