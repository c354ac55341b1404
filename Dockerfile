# Build the image with `docker build -t tokensvc .`, then start the service:
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 90 -p 8000:8000 \
#       -v /etc/tokensvc:/etc/tokensvc:ro -v tokensvc-keys:/srv/tokensvc/keys tokensvc
# Other commands run in the same image: `docker run … tokensvc keys list`.
# Use absolute paths in the settings: a relative path would lead to a folder that can't be written.
#   state.url = "sqlite:/srv/tokensvc/keys/state.sqlite3", custody.url = "file:/srv/tokensvc/keys"
# User 10001 needs read access to the settings and to the key-encryption secret, which no other user may read:
#   chown 10001 FILE && chmod 400 FILE
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim

FROM ${PYTHON_IMAGE} AS dependencies
COPY requirements/service.txt /tmp/service.txt
RUN python3 -m venv /opt/tokensvc \
    && /opt/tokensvc/bin/pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes -r /tmp/service.txt \
    && /opt/tokensvc/bin/pip uninstall --yes pip

FROM ${PYTHON_IMAGE}
# A service installs nothing, and a scanner reports what is wrong with pip.
RUN rm -rf /usr/local/lib/python3.*/ensurepip /usr/local/lib/python3.*/site-packages/pip* /usr/local/bin/pip*
# A user without a shell and a home folder, with an ID that no host user is likely to have.
RUN groupadd --gid 10001 tokensvc \
    && useradd --uid 10001 --gid tokensvc --no-create-home --no-log-init --shell /usr/sbin/nologin tokensvc \
    && install -d -o tokensvc -g tokensvc -m 0700 /srv/tokensvc/keys
COPY --from=dependencies /opt/tokensvc /opt/tokensvc
WORKDIR /srv/tokensvc
COPY LICENSE wsgi.py gunicorn.conf.py ./
COPY tokensvc ./tokensvc
# DL3064 takes the word "token" in a name for a secret.
# hadolint ignore=DL3064
ENV PATH=/opt/tokensvc/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TOKENSVC_CONFIG=/etc/tokensvc/tokensvc.toml \
    TOKENSVC_SERVICE__HOST=0.0.0.0 \
    TOKENSVC_SERVICE__PORT=8000
USER 10001:10001
# What a read-only container can write. A volume of Fargate has the owner and the mode that its folder has here.
VOLUME ["/srv/tokensvc/keys", "/tmp"]
EXPOSE 8000
# /healthz: the process answers. Load balancers should use /readyz: the process is ready to sign.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"TOKENSVC_SERVICE__PORT\"]}/healthz', timeout=2)"]
ENTRYPOINT ["python3", "-m", "tokensvc"]
CMD ["serve"]
