/* The Mandelbrot set, two points at a time: the loop ends when both have left the circle. */
#include "kernel.h"

#define WIDTH 200
#define HEIGHT 150
#define LIMIT 200
#define TIMES 24

static int64_t steps[HEIGHT][WIDTH], again[HEIGHT][WIDTH];

static double real(size_t column) { return -2.25 + 3 * (double)column / WIDTH; }

static double imaginary(size_t row) { return -1.25 + 2.5 * (double)row / HEIGHT; }

APART static v128_t vector_steps(v128_t cx, v128_t cy) {
    v128_t x = wasm_f64x2_const_splat(0), y = x, count = wasm_i64x2_const_splat(0);
    const v128_t four = wasm_f64x2_const_splat(4);
    for (int i = 0; i < LIMIT; i++) {
        v128_t xx = wasm_f64x2_mul(x, x), yy = wasm_f64x2_mul(y, y), xy = wasm_f64x2_mul(x, y);
        v128_t inside = wasm_f64x2_le(wasm_f64x2_add(xx, yy), four);
        if (!wasm_v128_any_true(inside)) break;
        /* Each lane of the mask is 0 or -1. */
        count = wasm_i64x2_sub(count, inside);
        x = wasm_f64x2_add(wasm_f64x2_sub(xx, yy), cx);
        y = wasm_f64x2_add(wasm_f64x2_add(xy, xy), cy);
    }
    return count;
}

APART static int64_t scalar_steps(double cx, double cy) {
    double x = 0, y = 0;
    int64_t count = 0;
    for (; count < LIMIT; count++) {
        double xx = x * x, yy = y * y, xy = x * y;
        if (!(xx + yy <= 4)) break;
        x = (xx - yy) + cx;
        y = (xy + xy) + cy;
    }
    return count;
}

static void vector_image(void) {
    for (size_t row = 0; row < HEIGHT; row++) {
        v128_t cy = wasm_f64x2_splat(imaginary(row));
        for (size_t column = 0; column < WIDTH; column += 2) {
            v128_t cx = wasm_f64x2_make(real(column), real(column + 1));
            wasm_v128_store(&steps[row][column], vector_steps(cx, cy));
        }
    }
}

int main(void) {
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        vector_image();
    }
    bench_end();
    for (size_t row = 0; row < HEIGHT; row++)
        for (size_t column = 0; column < WIDTH; column++)
            again[row][column] = scalar_steps(real(column), imaginary(row));
    uint64_t vector = checksum(CHECKSUM_START, steps, sizeof steps);
    return verdict("mandelbrot_f64", vector, checksum(CHECKSUM_START, again, sizeof again));
}
