"""Coverage-guided fuzzing: inputs that reach new lines of the package are kept, and changed further."""
