#!/usr/bin/env bash
# Build the Dockerfile's image and run it with Local IVS, without a container engine. buildah builds
# the image, and a Debian made by debootstrap replaces the Dockerfile's base image.
# Run it as root on Debian, after `apt install buildah debootstrap curl openssl python3`. It needs
# the .venv that `make run` or `make test` creates. It takes two minutes. At the end it prints the
# HTTP status with which the edge responds to a token.
#
# The images are in a temporary folder, which it removes, and it ends only the processes that it has
# started. Nothing else of this machine is changed but buildah's cache of the blobs that it has seen.
set -euo pipefail
cd "$(dirname "$0")/.."

export BUILDAH_ISOLATION=chroot
base=$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)
work=$(mktemp -d)
source scripts/clean_up.sh

# An image store of its own: the image with the name of the real base image is seen here only,
# and an image that this machine has under one of the names is not replaced.
buildah() {
    command buildah --storage-driver vfs --root "$work/images" --runroot "$work/run" "$@"
}

free_port() {
    .venv/bin/python -c 'import socket
with socket.create_server(("127.0.0.1", 0)) as server: print(server.getsockname()[1])'
}
ivs_port=$(free_port) service_port=$(free_port)

echo "== Building a base image with the name $base"
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    bookworm "$work/root" >"$work/debootstrap.log"
# Give the image's pip the certificates and the configuration of this machine's pip.
cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/"
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$work/root/etc/"
container=$(buildah from scratch)
buildah copy --quiet "$container" "$work/root" / >"$work/copied"
buildah commit --quiet "$container" "$base" >"$work/committed"

echo "== Building the image"
# Docker's image format supports HEALTHCHECK. buildah's default format does not.
buildah build --pull=never --format docker --quiet --tag tokensvc . >"$work/built"

echo "== Running commands and the service, as the image's user"
.venv/bin/local-ivs --data "$work/ivs" --port "$ivs_port" 2>"$work/ivs.log" &
install -d -m 0755 "$work/etc"
install -d -m 0700 -o 10001 -g 10001 "$work/data"
openssl rand -base64 32 | install -m 0400 -o 10001 -g 10001 /dev/stdin "$work/etc/key-encryption-secret"
cat >"$work/etc/tokensvc.toml" <<TOML
[ivs]
account_id = "123456789012"
regions = ["us-west-2"]
[state]
url = "sqlite:/data/state.sqlite3"
[custody]
url = "file:/data"
key_encryption_secret_file = "/etc/tokensvc/key-encryption-secret"
[grants.web]
channels = ["arn:aws:ivs:us-west-2:123456789012:channel/*"]
[rotation]
publish_delay_seconds = 0
TOML
container=$(buildah from --pull=never tokensvc)
aws=(AWS_ENDPOINT_URL_IVS=http://127.0.0.1:$ivs_port AWS_ACCESS_KEY_ID=123456789012
    AWS_SECRET_ACCESS_KEY=example)
buildah config "${aws[@]/#/--env=}" --env "TOKENSVC_SERVICE__PORT=$service_port" "$container"
tokensvc() {
    buildah run -v "$work/etc:/etc/tokensvc:ro" -v "$work/data:/data" "$container" -- \
        python3 -m tokensvc "$@"
}
curl --silent --fail --retry 20 --retry-connrefused "http://127.0.0.1:$ivs_port/healthz" >/dev/null
if buildah run "$container" -- python3 -m pip --version >"$work/pip.log" 2>&1; then
    echo "The image contains pip." >&2
    exit 1
fi
tokensvc --version
tokensvc keys reconcile
key=$(tokensvc api-keys create image --grant web 2>/dev/null)
tokensvc serve --check

echo "== Serving as with --read-only, --cap-drop ALL and no-new-privileges"
root=$(buildah mount "$container")
mkdir -p "$root/etc/tokensvc" "$root/data"
mapfile -t environment < <(buildah run "$container" -- env)
unshare --mount --propagation private bash -euc '
    root=$1 work=$2
    shift 2
    mount --bind "$root" "$root"
    mount --bind "$work/etc" "$root/etc/tokensvc"
    mount --bind "$work/data" "$root/data"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -o remount,bind,ro "$root"
    exec chroot "$root" setpriv --reuid 10001 --regid 10001 --clear-groups \
        --bounding-set=-all --inh-caps=-all --no-new-privs \
        env --ignore-environment --chdir=/srv/tokensvc "$@" python3 -m tokensvc serve
' serve "$root" "$work" "${environment[@]}" >"$work/service.log" 2>&1 &
curl --silent --fail --retry 20 --retry-connrefused --retry-all-errors \
    "http://127.0.0.1:$service_port/readyz"

curl --silent --fail --output /dev/null "http://127.0.0.1:$service_port/openapi.json"

echo "== Playing with a token from the service"
channel=$(env "${aws[@]}" .venv/bin/python -m tokensvc channels create image --region us-west-2 --json |
    grep -o 'arn:aws:ivs:[a-z0-9-]*:[0-9]*:channel/[A-Za-z0-9]*' | head -n 1)
curl --silent --fail -X PUT "http://127.0.0.1:$ivs_port/_local/streams" \
    -H 'Content-Type: application/json' -d "{\"channel_arn\": \"$channel\", \"live\": true}" >/dev/null
url=$(curl --silent --fail "http://127.0.0.1:$service_port/v1/playback-urls" \
    -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
    -d "{\"channel\": \"$channel\"}" | grep -o 'http://[^"]*m3u8?token=[^"]*')
curl --silent --fail --output /dev/null --write-out 'The edge responded with HTTP status %{http_code}.\n' "$url"
