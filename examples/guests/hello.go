// A WASI program: greets whom its first argument names.
package main

import (
	"fmt"
	"os"
)

func main() {
	name := "WebAssembly"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	fmt.Printf("Hello, %s!\n", name)
}
