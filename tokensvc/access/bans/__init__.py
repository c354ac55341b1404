"""Bans and kicks of viewers, and closed channels: the values, their storage, and the mint check."""
