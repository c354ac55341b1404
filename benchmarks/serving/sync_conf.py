"""gunicorn's configuration of the other Flask applications: its defaults, with sync workers."""

worker_class = "sync"
control_socket_disable = True
