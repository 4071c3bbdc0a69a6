/* What the kernels share: the clock's imports, numbers to work on, checksums, and the verdict.

   Each kernel is a command: it computes something with vector instructions between bench_start and bench_end, then the
   same with a plain loop, prints a checksum of each, and exits with 1 where they differ. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wasm_simd128.h>

__attribute__((import_module("bench"), import_name("start"))) void bench_start(void);
__attribute__((import_module("bench"), import_name("end"))) void bench_end(void);

/* A function that is measured or compared with stands for itself in a listing. */
#define APART __attribute__((noinline))

/* The compiler must neither hoist a repeated call out of its loop nor drop it. */
#define REPEATED() __asm__ volatile("" ::: "memory")

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* xorshift64*: Marsaglia's generator, multiplied at the end. */
static uint64_t random_state = 0x9E3779B97F4A7C15u;

static inline uint32_t random_u32(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)(random_state * 0x2545F4914F6CDD1Du >> 32);
}

/* A number between -1 and 1. */
static inline float random_float(void) { return (float)(int32_t)random_u32() * 0x1p-31f; }

/* FNV-1a, which sees the order of the bytes. */
#define CHECKSUM_START 0xCBF29CE484222325u

static inline uint64_t checksum(uint64_t sum, const void *data, size_t size) {
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) sum = (sum ^ bytes[i]) * 0x100000001B3u;
    return sum;
}

static inline char *hexadecimal(char *out, uint64_t value) {
    for (int shift = 60; shift >= 0; shift -= 4) *out++ = "0123456789abcdef"[value >> shift & 15];
    return out;
}

/* Print "NAME vector SUM scalar SUM"; the command's exit code. */
static inline int verdict(const char *name, uint64_t vector, uint64_t scalar) {
    char line[128];
    char *end = stpcpy(stpcpy(line, name), " vector ");
    end = hexadecimal(end, vector);
    end = hexadecimal(stpcpy(end, " scalar "), scalar);
    *end++ = '\n';
    if (write(STDOUT_FILENO, line, (size_t)(end - line)) != end - line) return 2;
    return vector != scalar;
}

#endif
