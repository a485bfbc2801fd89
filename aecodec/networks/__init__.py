"""The networks: float transforms, and the integer entropy model."""
