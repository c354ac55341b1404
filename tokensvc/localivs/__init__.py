"""Amazon IVS on loopback: its API, its limits and its playback edge, for development and tests.

Any program that speaks to IVS can use it (`AWS_ENDPOINT_URL_IVS=http://127.0.0.1:8001`). Requests
are routed, checked and answered from AWS's own service model as botocore ships it. This package
imports nothing else of tokensvc, so that it can't share tokensvc's mistakes.
"""

from __future__ import annotations
