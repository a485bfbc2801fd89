"""The bytes of an .aec file <-> its header, index and sections; pure Python."""
