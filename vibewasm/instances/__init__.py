"""What an instance is made of: the layout of its context, its segments, and the instructions that Python does."""
