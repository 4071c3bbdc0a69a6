"""What runs on another processor than this one, in an emulator: see ``tools/arm64.py``."""
