"""A public key, and the fingerprint that IVS computes for it."""

from __future__ import annotations

# Made with `openssl ecparam -name secp384r1 -genkey`. The fingerprint is the output of
# `openssl pkey -pubin -outform DER | md5sum`.
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEelzDCjd/rC01DKnF9rU27p5/nAY3r0be
pO8XSJUKRGBYR1ALIBzUJHIKfcRoUK4qWRpZChMjSgLIOdhPIYx+COsY3LMM3Cw3
ldOgersyF1RMge1yAkeYLQKsyER87DPV
-----END PUBLIC KEY-----
"""
FINGERPRINT = "ad:f9:92:89:b4:aa:d9:8a:92:83:9e:73:4a:3c:e0:3b"
