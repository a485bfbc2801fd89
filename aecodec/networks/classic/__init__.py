"""The classic autoencoders."""
