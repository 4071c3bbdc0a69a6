"""The AArch64 backend: registers, encodings, frames, and the code chosen for each WebAssembly instruction."""
