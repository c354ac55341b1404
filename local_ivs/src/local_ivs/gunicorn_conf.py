"""The gunicorn configuration of Local IVS. The command `local-ivs` starts gunicorn with it."""

from __future__ import annotations

wsgi_app = "local_ivs.wsgi:app_from_environment()"

# One process: Local IVS counts request rates and the latest requests in memory.
workers = 1
worker_class = "gthread"
threads = 32  # players wait for segments, and injected faults may be slow
# A player sends a request every 2 s. Its connection must not be closed in between.
keepalive = 75  # seconds
graceful_timeout = 2  # seconds; players retry anyway
control_socket_disable = True
