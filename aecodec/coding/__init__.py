"""Entropy coding: integer frequency tables, and symbols <-> rANS words."""
