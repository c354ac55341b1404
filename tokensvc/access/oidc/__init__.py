"""Callers with a token of an identity provider (OpenID Connect): keys, verification, callers."""
