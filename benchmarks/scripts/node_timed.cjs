// Run a program that marks what is timed: node_timed.cjs FILE DESCRIPTOR. The milliseconds go to that descriptor.
"use strict";

const { readFileSync, writeSync } = require("node:fs");
const { WASI } = require("node:wasi");

const [file, descriptor] = process.argv.slice(2);
let begun = 0;
let total = 0;
const bench = {
  start() {
    begun = performance.now();
  },
  end() {
    total += performance.now() - begun;
  },
};
const wasi = new WASI({ version: "preview1", args: [file], env: {}, preopens: { ".": "." }, returnOnExit: true });
const imports = { bench, wasi_snapshot_preview1: wasi.wasiImport };
const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), imports);
process.exitCode = wasi.start(instance);
writeSync(Number(descriptor), String(total));
