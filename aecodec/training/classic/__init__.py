"""Training of the classic autoencoders: recipes, losses, optimizers, runs, export."""
