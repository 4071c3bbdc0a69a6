package main

import (
	"fmt"
	"os"
)

func main() {
	name := "Go"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	fmt.Printf("Hello, %s!\n", name)
}
