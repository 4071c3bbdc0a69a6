/* Base64, from 12 bytes 16 characters a step: a shuffle brings each three bytes into a lane, shifts part them into four
   times six bits, and what is to be added to these to be a character is looked up.
   The look-up: Muła and Lemire, "Faster Base64 Encoding and Decoding using AVX2 Instructions", 2018. */
#include "base64.h"

#define SIZE 12288
#define TIMES 24000

/* The last step reads four bytes that it does not use. */
static uint8_t data[SIZE + 4], encoded[SIZE / 3 * 4], again[SIZE / 3 * 4];

APART static void vector_encode(const uint8_t *from, size_t size, uint8_t *to) {
    for (size_t i = 0; i < size; i += 12, to += 16) {
        v128_t in = wasm_v128_load(from + i);
        /* The first byte of three is the lane's highest; its lowest byte is of no meaning. */
        in = wasm_i8x16_shuffle(in, in, 0, 2, 1, 0, 3, 5, 4, 3, 6, 8, 7, 6, 9, 11, 10, 9);
        v128_t first = wasm_v128_and(wasm_u32x4_shr(in, 26), wasm_i32x4_const_splat(0x3F));
        v128_t second = wasm_v128_and(wasm_u32x4_shr(in, 12), wasm_i32x4_const_splat(0x3F00));
        v128_t third = wasm_v128_and(wasm_i32x4_shl(in, 2), wasm_i32x4_const_splat(0x3F0000));
        v128_t fourth = wasm_v128_and(wasm_i32x4_shl(in, 16), wasm_i32x4_const_splat(0x3F000000));
        v128_t six = wasm_v128_or(wasm_v128_or(first, second), wasm_v128_or(third, fourth));
        /* 0 for a to z, 1 to 10 for digits, 11 for +, 12 for /, and 13 for A to Z. */
        v128_t kind = wasm_u8x16_sub_sat(six, wasm_u8x16_const_splat(51));
        v128_t upper = wasm_i8x16_lt(six, wasm_i8x16_const_splat(26));
        kind = wasm_v128_or(kind, wasm_v128_and(upper, wasm_i8x16_const_splat(13)));
        const v128_t added =
            wasm_i8x16_const('a' - 26, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, '+' - 62, '/' - 63, 'A', 0, 0);
        wasm_v128_store(to, wasm_i8x16_add(six, wasm_i8x16_swizzle(added, kind)));
    }
}

int main(void) {
    for (size_t i = 0; i < SIZE; i++) data[i] = (uint8_t)random_u32();
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        vector_encode(data, SIZE, encoded);
    }
    bench_end();
    scalar_encode(data, SIZE, again);
    uint64_t vector = checksum(CHECKSUM_START, encoded, sizeof encoded);
    return verdict("base64_encode", vector, checksum(CHECKSUM_START, again, sizeof again));
}
