"""What was emitted: listings of machine code for people to read."""
