"""What running is: executable memory, the context that code reads, linear memory, traps and signals, host calls."""
