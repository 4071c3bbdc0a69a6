"""How calls cross between Python and wasm: values, the ways in, and the callbacks out."""
