"""How gunicorn serves Local IVS: the counterpart of the service's `gunicorn.conf.py`."""

from __future__ import annotations

wsgi_app = "tokensvc.localivs.wsgi:app_from_environment()"

# One process: Local IVS counts request rates and the latest requests in memory.
workers = 1
worker_class = "gthread"
threads = 32  # players wait for segments, and faults on request are slow on purpose
# A player asks every 2 s, and must not find the connection being closed at that very moment.
keepalive = 75  # seconds
graceful_timeout = 2  # seconds; a player asks again anyway
control_socket_disable = True
