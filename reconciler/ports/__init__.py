"""What the engine needs from the outside, as protocols and the words that they speak."""
