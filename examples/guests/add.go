// A library in Go: what it exports is for the host to call, after _initialize.
package main

//go:wasmexport add
func add(a, b int32) int32 {
	return a + b
}

func main() {}
