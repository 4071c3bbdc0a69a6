/* The imports of vibewasm's console, for guests without WASI or a C library. docs/console.md describes them.

   Texts are UTF-8 and have a size in bytes; no NUL ends them. */
#ifndef VIBEWASM_CONSOLE_H
#define VIBEWASM_CONSOLE_H

#include <stdint.h>

/* What functions give that cannot do what they are asked for. */
#define CONSOLE_OUTSIDE_MEMORY (-1) /* not all of these bytes are in the memory */
#define CONSOLE_NO_SUCH (-2)        /* no such argument; no room for a line */

#define CONSOLE_IMPORT(name) __attribute__((import_module("console"), import_name(name)))

/* Writes a text; gives 0, or CONSOLE_OUTSIDE_MEMORY. */
CONSOLE_IMPORT("print") extern int32_t console_print(const char *text, uint32_t size);

/* The same for messages about errors. */
CONSOLE_IMPORT("error") extern int32_t console_error(const char *text, uint32_t size);

/* Reads a line with its '\n', which the last one may lack; what does not fit comes with the next call. Gives the number
   of bytes, 0 at the end, CONSOLE_OUTSIDE_MEMORY, or CONSOLE_NO_SUCH if `capacity` is 0. */
CONSOLE_IMPORT("read_line") extern int32_t console_read_line(char *line, uint32_t capacity);

/* The number of arguments. */
CONSOLE_IMPORT("args_count") extern int32_t console_args_count(void);

/* Copies an argument, or what fits of it. Gives the size of all of it, CONSOLE_OUTSIDE_MEMORY or CONSOLE_NO_SUCH. */
CONSOLE_IMPORT("arg") extern int32_t console_arg(uint32_t index, char *argument, uint32_t capacity);

/* Nanoseconds since 1970. */
CONSOLE_IMPORT("time") extern int64_t console_time(void);

/* Nanoseconds since some moment; never set back. */
CONSOLE_IMPORT("monotonic") extern int64_t console_monotonic(void);

#undef CONSOLE_IMPORT
#endif
