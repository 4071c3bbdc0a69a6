//! Does what number.c does:
//! zig build-exe number.zig -target wasm32-freestanding -O ReleaseSmall -fno-entry --export=run

const std = @import("std");

const console = struct {
    extern "console" fn print(text: [*]const u8, size: usize) i32;
    extern "console" fn @"error"(text: [*]const u8, size: usize) i32;
    extern "console" fn read_line(line: [*]u8, capacity: usize) i32;
    extern "console" fn arg(index: usize, argument: [*]u8, capacity: usize) i32;
    extern "console" fn monotonic() i64;
};

fn print(text: []const u8) void {
    _ = console.print(text.ptr, text.len);
}

/// Gives the number of lines.
export fn run() i32 {
    var prefix: [32]u8 = undefined;
    var piece: [64]u8 = undefined;
    var number: [32]u8 = undefined;
    const begin = console.monotonic();
    const size = @max(console.arg(0, &prefix, prefix.len), 0);
    const shown = prefix[0..@min(@as(usize, @intCast(size)), prefix.len)];
    var lines: i32 = 0;
    var inside = false;

    while (true) {
        const found = console.read_line(&piece, piece.len);
        if (found <= 0) break;
        const part = piece[0..@intCast(found)];
        // A line that is longer than `piece` comes in several.
        if (!inside) {
            lines += 1;
            print(shown);
            print(std.fmt.bufPrint(&number, "{d}: ", .{lines}) catch unreachable);
        }
        print(part);
        inside = part[part.len - 1] != '\n';
    }
    if (inside) print("\n");
    const milliseconds = @divTrunc(console.monotonic() - begin, 1_000_000);
    const message = std.fmt.bufPrint(&number, "{d} ms\n", .{milliseconds}) catch unreachable;
    _ = console.@"error"(message.ptr, message.len);
    return lines;
}
