"""Rule 11: rotation runs as a command, never inside a web worker."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import urllib3

from tests.keyring.rings import DRAIN_SECONDS, REGION
from tests.support.deployment import Deployment
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.settings.model import CustodySettings
from tokensvc.signer_loaders import build_signer_loader

CHANGES_KEYS = (
    "tokensvc.ivs.key_pairs",
    "tokensvc.keyring.custody.base",
    "tokensvc.keyring.custody.file",
    "tokensvc.keyring.custody.kms",
    "tokensvc.keyring.custody.moving",
    "tokensvc.keyring.custody.secrets_manager",
    "tokensvc.keyring.effects",
    "tokensvc.keyring.outcomes",
    "tokensvc.keyring.plan",
    "tokensvc.keyring.reconcile_loop",
    "tokensvc.keyring.revocation",
    "tokensvc.keyring.rotation",
    "tokensvc.keyring.rotator",
    "tokensvc.operations",
)
"""The modules that import, delete or destroy keys, or decide when; except `keyring.checks`."""


def key_pair_operations(deployment: Deployment) -> list[str]:
    """The key pair operations among the latest requests to Local IVS."""
    answer = urllib3.request("GET", f"{deployment.world.ivs.url}/_local/requests").json()
    return [request["what"] for request in answer["requests"] if "KeyPair" in request["what"]]


def test_a_worker_does_not_execute_a_step_of_a_rotation_that_is_due(
    own_deployment: Deployment,
) -> None:
    """A rotation request waits and a retiring key pair has drained: the worker only signs."""
    world, client = own_deployment.world, own_deployment.client()
    world.rotator().request_rotation("monthly")
    world.reconcile()
    world.clock.advance(DRAIN_SECONDS)
    world.rotator().request_rotation("again", force=True)
    before, operations_before = world.ring, key_pair_operations(own_deployment)
    assert operations_before

    answer = client.post(
        "/v1/playback-urls",
        json={"channel": "demo"},
        headers={"Authorization": f"Bearer {own_deployment.key}"},
    )
    for path in ("/healthz", "/readyz", "/.well-known/jwks.json"):
        assert client.get(path).status_code == 200

    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["key_id"] == own_deployment.active_key_id
    assert world.ring == before
    assert key_pair_operations(own_deployment) == operations_before


def test_a_process_that_serves_requests_has_no_code_that_changes_keys() -> None:
    """`tokensvc.web.wsgi` loads everything that workers use, and none of these modules."""
    program = "import sys, tokensvc.web.wsgi; print(*sorted(sys.modules), sep='\\n')"
    printed = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=60)
    loaded = set(printed.splitlines())

    assert loaded >= {
        "tokensvc.keyring.view",
        "tokensvc.keyring.custody.file_signers",
        "tokensvc.keyring.custody.kms_signers",
        "tokensvc.keyring.custody.secret_signers",
    }
    assert loaded.isdisjoint(CHANGES_KEYS)
    assert not [name for name in loaded if name.startswith("tokensvc.keyring.checks")]


def test_the_modules_that_change_keys_exist() -> None:
    """A module that was renamed must not leave the test above without effect."""
    program = f"import importlib; [importlib.import_module(name) for name in {CHANGES_KEYS!r}]"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_signer_loader_of_a_worker_can_not_change_private_keys(
    own_deployment: Deployment,
) -> None:
    """It has one public method, which loads a signer."""
    with closing(AwsClients(AwsTerms())) as clients:
        for custody in (
            own_deployment.settings.custody,
            CustodySettings(url="secretsmanager:tokensvc/"),
            CustodySettings(url="kms:alias/tokensvc/"),
        ):
            loader = build_signer_loader(custody, REGION, clients, own_deployment.world.clock)
            assert [name for name in dir(loader) if not name.startswith("_")] == ["signer"]
