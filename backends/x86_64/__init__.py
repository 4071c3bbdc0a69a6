"""The x86-64 backend: registers, encodings, frames, and the code chosen for each WebAssembly instruction."""
