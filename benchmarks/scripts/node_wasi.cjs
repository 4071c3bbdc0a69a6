// What a user of Node writes to run a WASI program: node_wasi.cjs [--sightglass] FILE [ARGUMENT...]
"use strict";

const { readFileSync } = require("node:fs");
const { WASI } = require("node:wasi");

let words = process.argv.slice(2);
const imports = {};
const preopens = {};
if (words[0] === "--sightglass") {
  // These programs read their input from their own folder, and mark what is timed.
  words = words.slice(1);
  preopens["."] = ".";
  imports.bench = { start() {}, end() {} };
}
const wasi = new WASI({ version: "preview1", args: words, env: {}, preopens, returnOnExit: true });
imports.wasi_snapshot_preview1 = wasi.wasiImport;
const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(words[0])), imports);
process.exitCode = wasi.start(instance);
