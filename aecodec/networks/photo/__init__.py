"""The photo models: float transforms around an integer hyperprior."""
