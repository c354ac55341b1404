"""Playback tokens: P-384 keys, the claims with their rules, and the signed form (JWS)."""
