"""What a processor is: one folder each, with the same contract. Backends know registers and bytes only."""
