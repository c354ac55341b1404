"""Signed playback URLs: decide a request, sign the token, inspect tokens."""
