"""The ring: one region's key pairs, their states, and the rules by which they are rotated."""
