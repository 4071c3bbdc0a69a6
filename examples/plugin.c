/* A plug-in: functions for a host to call, and one that it gets from the host. plugin.py loads it; limits.py shows what
   happens to the ones that misbehave. */

typedef unsigned int u32;
typedef unsigned char u8;

__attribute__((import_module("env"), import_name("log"))) extern void host_log(const char *text, u32 length);

static char input[4096];

/* Where the host may write text, and how much of it. */
__attribute__((export_name("input"))) char *input_address(void)
{
    return input;
}

__attribute__((export_name("input_size"))) u32 input_size(void)
{
    return sizeof input;
}

/* Counts the words in the first `length` bytes of the input. */
__attribute__((export_name("count_words"))) u32 count_words(u32 length)
{
    static const char message[] = "counting";
    u32 words = 0, inside = 0;

    host_log(message, sizeof message - 1);
    for (u32 i = 0; i < length; i++) {
        u8 c = input[i];
        u32 blank = c == ' ' || (c >= '\t' && c <= '\r');
        words += !blank & !inside;
        inside = !blank;
    }
    return words;
}

/* Never returns. */
__attribute__((export_name("spin"))) void spin(void)
{
    for (volatile u32 i = 0;; i++)
        continue;
}

static int divide_by(int divisor)
{
    return 1000 / divisor;
}

/* Traps when `divisor` is 0. */
__attribute__((export_name("divide"))) int divide(int divisor)
{
    return divide_by(divisor);
}
