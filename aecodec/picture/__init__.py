"""Picture files <-> pictures in memory, with their metadata."""
