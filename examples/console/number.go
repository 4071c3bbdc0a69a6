// Does what number.c does; Go's own runtime imports WASI besides:
// GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o number.wasm number.go

package main

import (
	"strconv"
	"unsafe"
)

//go:wasmimport console print
func consolePrint(text unsafe.Pointer, size uint32) int32

//go:wasmimport console error
func consoleError(text unsafe.Pointer, size uint32) int32

//go:wasmimport console read_line
func consoleReadLine(line unsafe.Pointer, capacity uint32) int32

//go:wasmimport console arg
func consoleArg(index uint32, argument unsafe.Pointer, capacity uint32) int32

//go:wasmimport console monotonic
func consoleMonotonic() int64

func print(text string) {
	consolePrint(unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

func printError(text string) {
	consoleError(unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

// Gives the number of lines.
//
//go:wasmexport run
func run() int32 {
	var prefix [32]byte
	var piece [64]byte
	begin := consoleMonotonic()
	shown := max(consoleArg(0, unsafe.Pointer(&prefix), uint32(len(prefix))), 0)
	shown = min(shown, int32(len(prefix)))
	lines, inside := int32(0), false

	for {
		size := consoleReadLine(unsafe.Pointer(&piece), uint32(len(piece)))
		if size <= 0 {
			break
		}
		// A line that is longer than piece comes in several.
		if !inside {
			lines++
			print(string(prefix[:shown]) + strconv.Itoa(int(lines)) + ": ")
		}
		print(string(piece[:size]))
		inside = piece[size-1] != '\n'
	}
	if inside {
		print("\n")
	}
	printError(strconv.FormatInt((consoleMonotonic()-begin)/1000000, 10) + " ms\n")
	return lines
}

// A library needs it, and nothing calls it.
func main() {}
