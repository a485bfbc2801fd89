"""Tiles of a file <-> pixels of the picture, whatever the kinds of the tiles."""
