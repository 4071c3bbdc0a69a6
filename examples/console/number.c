/* Numbers the lines that it reads, and says at the end how long that took. An argument comes before each number. */

#include "console.h"

static char prefix[32];

static void print_number(uint64_t number, int32_t (*print)(const char *text, uint32_t size))
{
    char digits[20];
    uint32_t at = sizeof digits;

    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    print(digits + at, sizeof digits - at);
}

/* Gives the number of lines. */
__attribute__((export_name("run"))) int32_t run(void)
{
    char piece[64];
    int64_t begin = console_monotonic();
    int32_t lines = 0, inside = 0, size;
    int32_t prefix_size = console_arg(0, prefix, sizeof prefix);

    if (prefix_size > (int32_t)sizeof prefix)
        prefix_size = sizeof prefix;
    while ((size = console_read_line(piece, sizeof piece)) > 0) {
        /* A line that is longer than `piece` comes in several. */
        if (!inside) {
            lines++;
            if (prefix_size > 0)
                console_print(prefix, (uint32_t)prefix_size);
            print_number((uint64_t)lines, console_print);
            console_print(": ", 2);
        }
        console_print(piece, (uint32_t)size);
        inside = piece[size - 1] != '\n';
    }
    if (inside)
        console_print("\n", 1);
    print_number((uint64_t)(console_monotonic() - begin) / 1000000, console_error);
    console_error(" ms\n", 4);
    return lines;
}
