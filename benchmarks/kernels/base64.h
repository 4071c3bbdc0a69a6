/* Base64 (RFC 4648) in plain loops, which both kernels compare with. Sizes are whole groups: no padding. */
#ifndef BASE64_H
#define BASE64_H

#include "kernel.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Three bytes become four characters. */
APART static void scalar_encode(const uint8_t *from, size_t size, uint8_t *to) {
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)from[i] << 16 | (uint32_t)from[i + 1] << 8 | from[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) *to++ = (uint8_t)alphabet[bits >> shift & 63];
    }
}

#endif
