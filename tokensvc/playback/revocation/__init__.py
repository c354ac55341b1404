"""Kicks, bans and due ends: carried out at Amazon IVS, which ends the sessions of viewers."""
