/* Validation of UTF-8 by three look-ups of four bits each, and a check where the third and fourth bytes are.
   The method: Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte", 2021. */
#include "kernel.h"

#define TEXTS 16
#define SIZE 8192
#define SHORT_TEXTS 20000
#define TIMES 2200

/* What a pair of bytes next to each other can have wrong. Each look-up gives the mistakes that its four bits leave
   possible; a mistake that all three leave possible has been made. */
enum {
    MISSING = 1,         /* a leading byte without the next byte that it announces */
    UNEXPECTED = 2,      /* a continuation after ASCII */
    OVERLONG_3 = 4,      /* E0 80..9F */
    OVER_10FFFF = 8,     /* F4 90..BF, and F5..FF with anything above 8F */
    SURROGATE = 16,      /* ED A0..BF */
    OVERLONG_2 = 32,     /* C0 and C1 */
    OVER_OR_UNDER = 64,  /* F0 80..8F, and F5..FF 80..8F */
    CONTINUATIONS = 128, /* two in succession: a mistake unless they are a third or fourth byte */
    /* What does not depend on the first byte's lower half. */
    ANY_LOW = MISSING | UNEXPECTED | CONTINUATIONS,
    /* What a second byte that is a continuation can be wrong with, whatever its value. */
    ANY_SECOND = UNEXPECTED | OVERLONG_2 | CONTINUATIONS,
};

typedef struct {
    v128_t wrong, last, unfinished;
} state;

static inline v128_t high_half(v128_t bytes) { return wasm_u8x16_shr(bytes, 4); }

static inline void step(state *s, v128_t input) {
    if (!wasm_i8x16_bitmask(input)) {
        s->wrong = wasm_v128_or(s->wrong, s->unfinished);
        s->unfinished = wasm_i8x16_const_splat(0);
        s->last = input;
        return;
    }
    /* The bytes one, two and three before each. */
    v128_t before = wasm_i8x16_shuffle(s->last, input, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
    v128_t second = wasm_i8x16_shuffle(s->last, input, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
    v128_t third = wasm_i8x16_shuffle(s->last, input, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28);
    const v128_t of_first_high = wasm_u8x16_const(
        UNEXPECTED, UNEXPECTED, UNEXPECTED, UNEXPECTED, UNEXPECTED, UNEXPECTED, UNEXPECTED, UNEXPECTED,
        CONTINUATIONS, CONTINUATIONS, CONTINUATIONS, CONTINUATIONS,
        MISSING | OVERLONG_2, MISSING, MISSING | OVERLONG_3 | SURROGATE, MISSING | OVER_10FFFF | OVER_OR_UNDER);
    const v128_t of_first_low = wasm_u8x16_const(
        ANY_LOW | OVERLONG_2 | OVERLONG_3 | OVER_OR_UNDER, ANY_LOW | OVERLONG_2, ANY_LOW, ANY_LOW,
        ANY_LOW | OVER_10FFFF, ANY_LOW | OVER_10FFFF | OVER_OR_UNDER, ANY_LOW | OVER_10FFFF | OVER_OR_UNDER,
        ANY_LOW | OVER_10FFFF | OVER_OR_UNDER, ANY_LOW | OVER_10FFFF | OVER_OR_UNDER,
        ANY_LOW | OVER_10FFFF | OVER_OR_UNDER, ANY_LOW | OVER_10FFFF | OVER_OR_UNDER,
        ANY_LOW | OVER_10FFFF | OVER_OR_UNDER, ANY_LOW | OVER_10FFFF | OVER_OR_UNDER,
        ANY_LOW | OVER_10FFFF | OVER_OR_UNDER | SURROGATE, ANY_LOW | OVER_10FFFF | OVER_OR_UNDER,
        ANY_LOW | OVER_10FFFF | OVER_OR_UNDER);
    const v128_t of_second_high = wasm_u8x16_const(
        MISSING, MISSING, MISSING, MISSING, MISSING, MISSING, MISSING, MISSING,
        ANY_SECOND | OVERLONG_3 | OVER_OR_UNDER, ANY_SECOND | OVERLONG_3 | OVER_10FFFF,
        ANY_SECOND | SURROGATE | OVER_10FFFF, ANY_SECOND | SURROGATE | OVER_10FFFF,
        MISSING, MISSING, MISSING, MISSING);
    v128_t mistakes = wasm_v128_and(
        wasm_v128_and(wasm_i8x16_swizzle(of_first_high, high_half(before)),
                      wasm_i8x16_swizzle(of_first_low, wasm_v128_and(before, wasm_i8x16_const_splat(15)))),
        wasm_i8x16_swizzle(of_second_high, high_half(input)));
    /* The highest bit is set where two bytes ago an E0 or above was, or three bytes ago an F0 or above. */
    v128_t of_three = wasm_u8x16_sub_sat(second, wasm_u8x16_const_splat(0xE0 - 0x80));
    v128_t of_four = wasm_u8x16_sub_sat(third, wasm_u8x16_const_splat(0xF0 - 0x80));
    v128_t announced = wasm_v128_and(wasm_v128_or(of_three, of_four), wasm_u8x16_const_splat(CONTINUATIONS));
    s->wrong = wasm_v128_or(s->wrong, wasm_v128_xor(mistakes, announced));
    /* Not zero where the block ends before a sequence does. */
    s->unfinished = wasm_u8x16_sub_sat(
        input, wasm_u8x16_const(255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0xEF, 0xDF, 0xBF));
    s->last = input;
}

APART static int vector_valid(const uint8_t *data, size_t size) {
    v128_t zero = wasm_i8x16_const_splat(0);
    state s = {zero, zero, zero};
    size_t i = 0;
    for (; i + 16 <= size; i += 16) step(&s, wasm_v128_load(data + i));
    uint8_t rest[16] = {0};
    memcpy(rest, data + i, size - i);
    step(&s, wasm_v128_load(rest));
    return !wasm_v128_any_true(wasm_v128_or(s.wrong, s.unfinished));
}

APART static int scalar_valid(const uint8_t *data, size_t size) {
    for (size_t i = 0; i < size;) {
        uint32_t first = data[i++];
        if (first < 0x80) continue;
        size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
        if (first < 0xC2 || first > 0xF4 || size - i < more) return 0;
        uint32_t point = first & (0x3Fu >> more);
        for (size_t j = 0; j < more; j++) {
            if ((data[i] & 0xC0) != 0x80) return 0;
            point = point << 6 | (data[i++] & 0x3Fu);
        }
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (point < least[more] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return 0;
    }
    return 1;
}

/* The bytes of a character; among its callers' are surrogates and numbers that are too high or encoded too long. */
static size_t put(uint8_t *out, uint32_t point, size_t length) {
    if (length == 1) {
        out[0] = (uint8_t)point;
        return 1;
    }
    static const uint8_t marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = length; --i; point >>= 6) out[i] = (uint8_t)(0x80 | (point & 0x3F));
    out[0] = (uint8_t)(marks[length] | point);
    return length;
}

/* Text of valid characters, a quarter of each length, after as much ASCII as asked for. */
static void write_text(uint8_t *out, size_t size, size_t ascii) {
    size_t at = 0;
    while (at < ascii) out[at++] = (uint8_t)(random_u32() & 0x7F);
    while (size - at >= 4) {
        uint32_t random = random_u32();
        switch (random & 3) {
        case 0: at += put(out + at, random >> 8 & 0x7F, 1); break;
        case 1: at += put(out + at, 0x80 + (random >> 8) % 0x780, 2); break;
        case 2: at += put(out + at, (random & 4 ? 0xE000 : 0x800) + (random >> 8) % 0x2000, 3); break;
        default: at += put(out + at, 0x10000 + (random >> 8) % 0x100000, 4);
        }
    }
    while (at < size) out[at++] = ' ';
}

static uint8_t texts[TEXTS][SIZE];

static uint64_t verdicts(int valid(const uint8_t *, size_t)) {
    uint64_t bits = 0;
    for (size_t i = 0; i < TEXTS; i++) bits = bits << 1 | (uint64_t)valid(texts[i], SIZE);
    return bits;
}

/* Short texts with a mistake somewhere, or none: the checksum of what a validator says to all of them. */
static uint64_t short_verdicts(int valid(const uint8_t *, size_t)) {
    uint64_t sum = CHECKSUM_START;
    random_state = 14;
    for (int i = 0; i < SHORT_TEXTS; i++) {
        uint8_t text[80];
        size_t size = random_u32() % sizeof text;
        write_text(text, size, size ? random_u32() % size / 2 : 0);
        if (size > 4) {
            uint32_t kind = random_u32() % 6, where = random_u32() % (uint32_t)(size - 4), random = random_u32();
            if (kind == 0) text[where] = (uint8_t)random;
            if (kind == 1) text[where] ^= (uint8_t)(1u << random % 8);
            if (kind == 2) put(text + where, 0xD000 + random % 0x1800, 3);
            if (kind == 3) put(text + where, 0x10F000 + random % 0x2000, 4);
            if (kind == 4) put(text + where, random % 0x1000, 2 + random % 3);
            /* Cut in the middle of a character, perhaps. */
            size -= random_u32() % 4;
        }
        uint8_t said = (uint8_t)valid(text, size);
        sum = checksum(sum, &said, 1);
    }
    return sum;
}

int main(void) {
    for (size_t i = 0; i < TEXTS; i++) write_text(texts[i], SIZE, SIZE / 2);
    texts[5][4000] = 0xFF, texts[9][SIZE - 1] = 0xC3, texts[12][SIZE - 2] = 0x80;
    uint64_t last = 0;
    bench_start();
    for (int i = 0; i < TIMES; i++) {
        REPEATED();
        last = verdicts(vector_valid);
    }
    bench_end();
    uint64_t again = verdicts(scalar_valid);
    return verdict("utf8", last << 32 ^ short_verdicts(vector_valid), again << 32 ^ short_verdicts(scalar_valid));
}
