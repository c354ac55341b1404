# The service alone: `docker build -t tokensvc .`, then
#   docker run -p 8000:8000 -v /etc/tokensvc:/etc/tokensvc:ro -v tokensvc-keys:/srv/tokensvc/keys tokensvc
# Commands run in the same image: `docker run … tokensvc keys list`.
# The settings name the volume, as relative paths would lead beside them, into what can't be written:
#   state.url = "sqlite:/srv/tokensvc/keys/state.sqlite3", custody.url = "file:/srv/tokensvc/keys"
# The user 10001 has to be able to read the settings and the key-encryption secret.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS dependencies
COPY requirements/run.txt /tmp/run.txt
RUN python3 -m venv /opt/tokensvc \
    && /opt/tokensvc/bin/pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes -r /tmp/run.txt

FROM ${PYTHON_IMAGE}
# No shell, no home, no name that a host could share by accident.
RUN groupadd --gid 10001 tokensvc \
    && useradd --uid 10001 --gid tokensvc --no-create-home --no-log-init --shell /usr/sbin/nologin tokensvc \
    && install -d -o tokensvc -g tokensvc -m 0700 /srv/tokensvc/keys
COPY --from=dependencies /opt/tokensvc /opt/tokensvc
WORKDIR /srv/tokensvc
COPY LICENSE wsgi.py gunicorn.conf.py ./
COPY tokensvc ./tokensvc
ENV PATH=/opt/tokensvc/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TOKENSVC_CONFIG=/etc/tokensvc/tokensvc.toml \
    TOKENSVC_SERVICE__HOST=0.0.0.0 \
    TOKENSVC_SERVICE__PORT=8000
USER 10001:10001
VOLUME /srv/tokensvc/keys
EXPOSE 8000
# The process answers; whether it is ready to sign is /readyz, for what routes requests to it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"TOKENSVC_SERVICE__PORT\"]}/healthz', timeout=2)"]
ENTRYPOINT ["python3", "-m", "tokensvc"]
CMD ["serve"]
