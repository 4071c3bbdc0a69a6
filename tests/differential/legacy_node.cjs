// Runs modules in Node: a line of JSON on the standard input asks for one, a line on the standard output answers.
//
// Asked: {wasm: base64, steps: [[export, [[type, payload], ...], [types of results]], ...], tags: {export: [types]},
// hidden: [exports that JavaScript cannot look at]}. A payload is a number's bits as a decimal string, a host object's
// number, or null. Answered: {results: [[kind, detail], ...], state: null or {memories, globals, tables}}.
"use strict";
const crypto = require("crypto");
const readline = require("readline");

const view = new DataView(new ArrayBuffer(8));
const objects = new Map();

function toValue([type, payload]) {
  if (type === "i32") return Number(BigInt.asIntN(32, BigInt(payload)));
  if (type === "i64") return BigInt.asIntN(64, BigInt(payload));
  if (type === "f32") return view.setUint32(0, Number(payload)), view.getFloat32(0);
  if (type === "f64") return view.setBigUint64(0, BigInt(payload)), view.getFloat64(0);
  if (payload === null) return null;
  if (!objects.has(payload)) objects.set(payload, { number: payload });
  return objects.get(payload);
}

function fromValue(type, value) {
  if (type === "i32") return [type, String(BigInt.asUintN(32, BigInt(value)))];
  if (type === "i64") return [type, String(BigInt.asUintN(64, value))];
  if (type === "f32") return view.setFloat32(0, value), [type, String(view.getUint32(0))];
  if (type === "f64") return view.setFloat64(0, value), [type, String(view.getBigUint64(0))];
  if (value === null || value === undefined) return [type, null];
  return [type, typeof value === "function" ? "a function" : value.number];
}

function failure(error, exports, tags) {
  if (error instanceof WebAssembly.Exception) {
    for (const [name, types] of Object.entries(tags)) {
      const tag = exports && exports[name];
      if (tag && error.is(tag))
        return ["exception", [name, types.map((type, at) => (type === "v128" ? [type, "?"] : fromValue(type, error.getArg(tag, at))))]];
    }
    return ["exception", ["a tag", []]];
  }
  if (error instanceof WebAssembly.RuntimeError) return ["trap", error.message];
  return ["failed", String(error)];
}

function run({ wasm, steps, tags, hidden }) {
  const results = [];
  let exports;
  try {
    const module = new WebAssembly.Module(Buffer.from(wasm, "base64"));
    exports = new WebAssembly.Instance(module, {}).exports;
    results.push(["values", []]);
  } catch (error) {
    return { results: [failure(error, exports, tags)], state: null };
  }
  for (const [name, given, types] of steps) {
    try {
      const got = exports[name](...given.map(toValue));
      const values = types.length === 0 ? [] : types.length === 1 ? [got] : [...got];
      results.push(["values", types.map((type, at) => fromValue(type, values[at]))]);
    } catch (error) {
      results.push(failure(error, exports, tags));
    }
  }
  const memories = {}, globals = {}, tables = {};
  const names = new Map();
  for (const [name, item] of Object.entries(exports))
    if (typeof item === "function" && !names.has(item)) names.set(item, name);
  for (const [name, item] of Object.entries(exports)) {
    if (hidden.includes(name)) continue;
    if (item instanceof WebAssembly.Memory) {
      const bytes = new Uint8Array(item.buffer);
      memories[name] = `${bytes.length} bytes ${crypto.createHash("sha256").update(bytes).digest("hex")}`;
    } else if (item instanceof WebAssembly.Global) {
      const value = item.value;
      // JavaScript does not say which type of number it is.
      const type = typeof value === "bigint" ? "i64" : typeof value === "number" ? "number" : "reference";
      globals[name] = type === "number" ? [type, fromValue("f64", value)[1]] : fromValue(type, value);
    } else if (item instanceof WebAssembly.Table) {
      tables[name] = [];
      for (let at = 0; at < item.length; at++) {
        const element = item.get(at);
        tables[name].push(element === null || element === undefined ? null : typeof element === "function" ? names.get(element) || "a function" : element.number);
      }
    }
  }
  return { results, state: { memories, globals, tables } };
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  let answer;
  try {
    answer = run(JSON.parse(line));
  } catch (error) {
    answer = { results: [["failed", `the script: ${error.stack}`]], state: null };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
