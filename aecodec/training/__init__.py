"""Training: data, objective, trainer, recipes, export. Nothing here is needed to use the codec."""
