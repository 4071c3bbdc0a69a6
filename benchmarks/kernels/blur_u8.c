/* Gaussian blur of a grey image with the 3 by 3 kernel 1 2 1, 2 4 2, 1 2 1: down the columns with 16-bit sums into one
   row, then along that row. Edges repeat. */
#include "kernel.h"

#define WIDTH 512
#define HEIGHT 256
#define TIMES 1250

static uint8_t image[HEIGHT][WIDTH], blurred[HEIGHT][WIDTH], again[HEIGHT][WIDTH];

/* One more on either side of the row. */
static uint16_t sums[WIDTH + 16];

APART static void vector_row(const uint8_t *above, const uint8_t *here, const uint8_t *below, uint8_t *out) {
    uint16_t *row = sums + 8;
    for (size_t x = 0; x < WIDTH; x += 16) {
        v128_t middle = wasm_v128_load(here + x);
        v128_t low = wasm_i16x8_shl(wasm_u16x8_extend_low_u8x16(middle), 1);
        v128_t high = wasm_i16x8_shl(wasm_u16x8_extend_high_u8x16(middle), 1);
        low = wasm_i16x8_add(low, wasm_i16x8_add(wasm_u16x8_load8x8(above + x), wasm_u16x8_load8x8(below + x)));
        v128_t others = wasm_i16x8_add(wasm_u16x8_load8x8(above + x + 8), wasm_u16x8_load8x8(below + x + 8));
        high = wasm_i16x8_add(high, others);
        wasm_v128_store(row + x, low);
        wasm_v128_store(row + x + 8, high);
    }
    row[-1] = row[0];
    row[WIDTH] = row[WIDTH - 1];
    for (size_t x = 0; x < WIDTH; x += 16) {
        v128_t halves[2];
        for (size_t half = 0; half < 2; half++) {
            const uint16_t *at = row + x + 8 * half;
            v128_t sum = wasm_i16x8_add(wasm_v128_load(at - 1), wasm_v128_load(at + 1));
            sum = wasm_i16x8_add(sum, wasm_i16x8_shl(wasm_v128_load(at), 1));
            halves[half] = wasm_u16x8_shr(wasm_i16x8_add(sum, wasm_i16x8_const_splat(8)), 4);
        }
        wasm_v128_store(out + x, wasm_u8x16_narrow_i16x8(halves[0], halves[1]));
    }
}

static size_t clamped(ptrdiff_t at, size_t count) {
    return at < 0 ? 0 : (size_t)at >= count ? count - 1 : (size_t)at;
}

static void vector_blur(void) {
    for (size_t y = 0; y < HEIGHT; y++) {
        const uint8_t *above = image[clamped((ptrdiff_t)y - 1, HEIGHT)];
        const uint8_t *below = image[clamped((ptrdiff_t)y + 1, HEIGHT)];
        vector_row(above, image[y], below, blurred[y]);
    }
}

APART static void scalar_blur(void) {
    for (ptrdiff_t y = 0; y < HEIGHT; y++) {
        for (ptrdiff_t x = 0; x < WIDTH; x++) {
            unsigned sum = 8;
            for (ptrdiff_t dy = -1; dy <= 1; dy++)
                for (ptrdiff_t dx = -1; dx <= 1; dx++)
                    sum += image[clamped(y + dy, HEIGHT)][clamped(x + dx, WIDTH)] * (dx ? 1u : 2u) * (dy ? 1u : 2u);
            again[y][x] = (uint8_t)(sum >> 4);
        }
    }
}

int main(void) {
    for (size_t y = 0; y < HEIGHT; y++)
        for (size_t x = 0; x < WIDTH; x++) image[y][x] = x < 64 ? 255 : (uint8_t)random_u32();
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        vector_blur();
    }
    bench_end();
    scalar_blur();
    uint64_t vector = checksum(CHECKSUM_START, blurred, sizeof blurred);
    return verdict("blur_u8", vector, checksum(CHECKSUM_START, again, sizeof again));
}
