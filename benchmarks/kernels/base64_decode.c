/* Base64, from 16 characters 12 bytes a step, refusing what is no character of it. Two look-ups by a character's halves
   say whether it is one, a third what to add to get its six bits; multiplications bring these together.
   The look-ups: Muła and Lemire, "Faster Base64 Encoding and Decoding using AVX2 Instructions", 2018. */
#include "base64.h"

#define SIZE 12288
#define TIMES 20000

static uint8_t data[SIZE], encoded[SIZE / 3 * 4], decoded[SIZE], again[SIZE];

/* Bits of the rows of ASCII: 2, 3, 4 and 6, 5 and 7, all others. A lower half's entry has those where it is wrong. */
enum { SIGNS = 1, DIGITS = 2, FIRST_LETTERS = 4, LAST_LETTERS = 8, OTHERS = 16 };

/* How many characters there are before the first wrong one's step; size if none is wrong. */
APART static size_t vector_decode(const uint8_t *from, size_t size, uint8_t *to) {
    const v128_t wrong_low = wasm_u8x16_const(
        OTHERS | SIGNS | FIRST_LETTERS, OTHERS | SIGNS, OTHERS | SIGNS, OTHERS | SIGNS, OTHERS | SIGNS, OTHERS | SIGNS,
        OTHERS | SIGNS, OTHERS | SIGNS, OTHERS | SIGNS, OTHERS | SIGNS, OTHERS | SIGNS | DIGITS,
        OTHERS | DIGITS | LAST_LETTERS, OTHERS | SIGNS | DIGITS | LAST_LETTERS, OTHERS | SIGNS | DIGITS | LAST_LETTERS,
        OTHERS | SIGNS | DIGITS | LAST_LETTERS, OTHERS | DIGITS | LAST_LETTERS);
    const v128_t row = wasm_u8x16_const(
        OTHERS, OTHERS, SIGNS, DIGITS, FIRST_LETTERS, LAST_LETTERS, FIRST_LETTERS, LAST_LETTERS,
        OTHERS, OTHERS, OTHERS, OTHERS, OTHERS, OTHERS, OTHERS, OTHERS);
    /* By the row, or for a slash by the row before its own. */
    const v128_t added =
        wasm_i8x16_const(0, 63 - '/', 62 - '+', 52 - '0', -'A', -'A', 26 - 'a', 26 - 'a', 0, 0, 0, 0, 0, 0, 0, 0);
    for (size_t i = 0; i < size; i += 16, to += 12) {
        v128_t in = wasm_v128_load(from + i);
        v128_t high = wasm_u8x16_shr(in, 4), low = wasm_v128_and(in, wasm_i8x16_const_splat(15));
        v128_t wrong = wasm_v128_and(wasm_i8x16_swizzle(wrong_low, low), wasm_i8x16_swizzle(row, high));
        if (wasm_v128_any_true(wrong)) return i;
        v128_t slash = wasm_i8x16_eq(in, wasm_i8x16_const_splat('/'));
        v128_t six = wasm_i8x16_add(in, wasm_i8x16_swizzle(added, wasm_i8x16_add(high, slash)));
        /* Twelve bits in 16, then 24 in 32. */
        v128_t left = wasm_i16x8_shl(wasm_v128_and(six, wasm_i16x8_const_splat(0xFF)), 6);
        v128_t twelve = wasm_v128_or(left, wasm_u16x8_shr(six, 8));
        v128_t bits = wasm_i32x4_dot_i16x8(twelve, wasm_i16x8_const(4096, 1, 4096, 1, 4096, 1, 4096, 1));
        v128_t out = wasm_i8x16_shuffle(bits, bits, 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 3, 3, 3, 3);
        wasm_v128_store64_lane(to, out, 0);
        wasm_v128_store32_lane(to + 8, out, 2);
    }
    return size;
}

static int value_of(uint8_t character) {
    const char *found = character ? memchr(alphabet, character, 64) : NULL;
    return found ? (int)(found - alphabet) : -1;
}

APART static size_t scalar_decode(const uint8_t *from, size_t size, uint8_t *to) {
    for (size_t i = 0; i < size; i += 16) {
        for (size_t j = 0; j < 16; j++)
            if (value_of(from[i + j]) < 0) return i;
        for (size_t j = 0; j < 16; j += 4) {
            uint32_t bits = 0;
            for (size_t k = 0; k < 4; k++) bits = bits << 6 | (uint32_t)value_of(from[i + j + k]);
            for (int shift = 16; shift >= 0; shift -= 8) *to++ = (uint8_t)(bits >> shift);
        }
    }
    return size;
}

typedef size_t decoder(const uint8_t *, size_t, uint8_t *);

/* Each of 256 bytes in each of 16 places: where the decoder stops. */
static uint64_t all_bytes(decoder decode) {
    uint64_t sum = CHECKSUM_START;
    uint8_t text[32], out[24];
    for (unsigned at = 0; at < 16; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memset(text, 'Z', sizeof text);
            memset(out, 0, sizeof out);
            text[16 + at] = (uint8_t)byte;
            size_t end = decode(text, sizeof text, out);
            sum = checksum(checksum(sum, &end, sizeof end), out, sizeof out);
        }
    }
    return sum;
}

int main(void) {
    for (size_t i = 0; i < SIZE; i++) data[i] = (uint8_t)random_u32();
    scalar_encode(data, SIZE, encoded);
    size_t end = 0;
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        end = vector_decode(encoded, sizeof encoded, decoded);
    }
    bench_end();
    size_t scalar_end = scalar_decode(encoded, sizeof encoded, again);
    if (end != sizeof encoded || scalar_end != end || memcmp(decoded, data, SIZE)) return 1;
    uint64_t vector = checksum(all_bytes(vector_decode), decoded, SIZE);
    return verdict("base64_decode", vector, checksum(all_bytes(scalar_decode), again, SIZE));
}
