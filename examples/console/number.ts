// Does what number.c does, in AssemblyScript:
// asc number.ts -o number.wasm --optimize --runtime stub --use abort=

@external("console", "print") declare function consolePrint(text: usize, size: i32): i32;
@external("console", "error") declare function consoleError(text: usize, size: i32): i32;
@external("console", "read_line") declare function consoleReadLine(line: usize, capacity: i32): i32;
@external("console", "arg") declare function consoleArg(index: i32, argument: usize, capacity: i32): i32;
@external("console", "monotonic") declare function consoleMonotonic(): i64;

const PIECE = memory.data(64);

// Strings are UTF-16 in AssemblyScript.
function print(text: string): void {
  const bytes = String.UTF8.encode(text);
  consolePrint(changetype<usize>(bytes), bytes.byteLength);
}

function error(text: string): void {
  const bytes = String.UTF8.encode(text);
  consoleError(changetype<usize>(bytes), bytes.byteLength);
}

function argument(index: i32): string {
  const size = consoleArg(index, 0, 0);
  if (size < 0) return "";
  const bytes = new ArrayBuffer(size);
  consoleArg(index, changetype<usize>(bytes), size);
  return String.UTF8.decode(bytes);
}

/** Gives the number of lines. */
export function run(): i32 {
  const begin = consoleMonotonic();
  const prefix = argument(0);
  let lines = 0;
  let inside = false;
  let size = consoleReadLine(PIECE, 64);
  while (size > 0) {
    // A line that is longer than the piece comes in several.
    if (!inside) print(prefix + (++lines).toString() + ": ");
    consolePrint(PIECE, size);
    inside = load<u8>(PIECE + size - 1) != 0x0a;
    size = consoleReadLine(PIECE, 64);
  }
  if (inside) print("\n");
  error(((consoleMonotonic() - begin) / 1000000).toString() + " ms\n");
  return lines;
}
