"""How gunicorn serves the example backend: `gunicorn --config python:demo.gunicorn_conf`."""

from __future__ import annotations

wsgi_app = "demo.backend:create_app_from_environment()"
bind = "127.0.0.1:8002"

workers = 1
worker_class = "gthread"
threads = 8  # A request for the expired URL waits until its token expires.
graceful_timeout = 2  # seconds
control_socket_disable = True
