"""Local IVS: a stand-in for the Amazon IVS API, its limits and its playback edge, on loopback.

It is for development and tests. Any program that calls IVS can use it: set
`AWS_ENDPOINT_URL_IVS=http://127.0.0.1:8001`. Requests and responses follow AWS's own service
model, as botocore ships it. The command `local-ivs` starts it; `local_ivs.testing` starts it inside
a test.
"""

from __future__ import annotations
