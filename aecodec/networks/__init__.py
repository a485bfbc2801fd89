"""The networks, behind one interface to the codec."""
