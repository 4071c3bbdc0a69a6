/* A WASI program with no C library: it writes to standard output through the WASI function fd_write and returns from
   _start, which means success. `vibewasm run examples/hello.wasm Ada` greets Ada. */

typedef unsigned int u32;

struct buffer {
    const char *start;
    u32 length;
};

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) extern u32 wasi_##name

WASI(args_sizes_get)(u32 *count, u32 *bytes);
WASI(args_get)(char **list, char *bytes);
WASI(fd_write)(u32 file, const struct buffer *buffers, u32 count, u32 *written);

static char *arguments[16];
static char bytes[1024];

static void print(const char *text)
{
    struct buffer buffer = {text, 0};
    u32 written;

    while (text[buffer.length])
        buffer.length++;
    wasi_fd_write(1, &buffer, 1, &written);
}

__attribute__((export_name("_start"))) void start(void)
{
    u32 count = 0, size = 0;

    wasi_args_sizes_get(&count, &size);
    if (count > 16 || size > sizeof bytes)
        __builtin_trap();
    wasi_args_get(arguments, bytes);
    print("Hello, ");
    print(count > 1 ? arguments[1] : "WebAssembly");
    print("!\n");
}
