"""The manifests for Kubernetes fit their schemas, each other, the image and the service."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.e2e.processes import ROOT
from tests.packaging.dockerfile import Dockerfile
from tokensvc.settings import Settings, load_settings
from tokensvc.web.front import ConnectionTerms

FOLDER = ROOT / "deploy/kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
VERSIONS = ("1.31", "1.34", "1.37")


def settings() -> Settings:
    """The settings of every pod."""
    return load_settings(FOLDER / "tokensvc.toml", {})


@functools.cache
def manifests() -> Sequence[dict[str, Any]]:
    """Every resource that the kustomization names. No test changes one."""
    texts = [(FOLDER / name).read_text() for name in KUSTOMIZATION["resources"]]
    return [manifest for text in texts for manifest in yaml.safe_load_all(text)]


def named(kind: str) -> list[dict[str, Any]]:
    """The resources of that kind."""
    return [manifest for manifest in manifests() if manifest["kind"] == kind]


def pod_templates() -> dict[str, dict[str, Any]]:
    """The templates of the pods of the service, of the job, and of what ends sessions."""
    (deployment, end_due), (job,) = named("Deployment"), named("CronJob")
    return {
        "service": deployment["spec"]["template"],
        "reconcile": job["spec"]["jobTemplate"]["spec"]["template"],
        "end-due": end_due["spec"]["template"],
    }


SERVICE = pod_templates()["service"]
pods = pytest.mark.parametrize("template", pod_templates().values(), ids=list(pod_templates()))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_fits_the_schema_of_kubernetes(version: str) -> None:
    """No unknown member, and no value of another type."""
    for manifest in manifests():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_kustomization_names_every_file() -> None:
    """Nothing in the folder is left out."""
    generated = [file for map_ in KUSTOMIZATION["configMapGenerator"] for file in map_["files"]]
    named_files = {*KUSTOMIZATION["resources"], *generated, "kustomization.yaml"}
    assert {path.name for path in FOLDER.iterdir()} == named_files


@pods
def test_a_pod_is_what_the_restricted_profile_requires(template: dict[str, Any]) -> None:
    """And it has the user of the image and a read-only root, with a small /tmp in memory."""
    spec = template["spec"]
    (container,) = spec["containers"]
    user = Dockerfile.read(ROOT / "Dockerfile").instructions
    (user_of_image,) = (found.text for found in user if found.name == "USER")
    security = spec["securityContext"]

    assert f"{security['runAsUser']}:{security['runAsGroup']}" == user_of_image
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes[mounts["/tmp"]]["emptyDir"]["medium"] == "Memory"  # noqa: S108
    assert set(mounts.values()) == set(volumes)


@pods
def test_a_pod_reads_the_settings_that_the_kustomization_mounts(template: dict[str, Any]) -> None:
    """The file is where the image looks for it."""
    spec = template["spec"]
    (container,) = spec["containers"]
    (volume,) = (found for found in spec["volumes"] if "configMap" in found)
    (mount,) = (found for found in container["volumeMounts"] if found["name"] == volume["name"])
    (generator,) = KUSTOMIZATION["configMapGenerator"]

    path = Path(mount["mountPath"]) / generator["files"][0]
    assert str(path) == Dockerfile.read(ROOT / "Dockerfile").environment["TOKENSVC_CONFIG"]
    assert volume["configMap"]["name"] == generator["name"]
    assert KUSTOMIZATION["images"][0]["name"] == container["image"]


def test_the_selectors_match_the_pods_of_the_service_only() -> None:
    """The other pods get no requests, and do not count as replicas."""
    deployment, end_due = named("Deployment")
    (service,), (budget,) = (named(kind) for kind in ("Service", "PodDisruptionBudget"))
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in SERVICE["spec"]["topologySpreadConstraints"]
        ),
    ]
    labels = {name: found["metadata"]["labels"] for name, found in pod_templates().items()}

    for selector in selectors:
        assert selector.items() <= labels["service"].items()
        assert not selector.items() <= labels["reconcile"].items()
        assert not selector.items() <= labels["end-due"].items()
    own = end_due["spec"]["selector"]["matchLabels"].items()
    assert [name for name, found in labels.items() if own <= found.items()] == ["end-due"]


def test_each_pod_has_a_role_of_its_own() -> None:
    """Workers that serve requests get no role that changes keys (rule 11)."""
    roles = {
        account["metadata"]["name"]: account["metadata"]["annotations"][
            "eks.amazonaws.com/role-arn"
        ].rpartition("/tokensvc-")[2]
        for account in named("ServiceAccount")
    }
    used = {
        name: roles[found["spec"]["serviceAccountName"]] for name, found in pod_templates().items()
    }
    assert used == {
        "service": "minter",
        "reconcile": "key-administrator",
        "end-due": "moderator",
    }


def test_a_pod_is_stopped_without_losing_a_request() -> None:
    """It drains until two failed probes are noticed, and has the time for the slowest request."""
    (container,) = SERVICE["spec"]["containers"]
    readiness = container["readinessProbe"]
    drain = settings().service.drain_seconds

    assert readiness["httpGet"]["path"] == "/readyz?scope=replica"
    assert drain >= readiness["periodSeconds"] * readiness["failureThreshold"] + 5
    longest = drain + ConnectionTerms().longest_request_seconds + 5
    assert SERVICE["spec"]["terminationGracePeriodSeconds"] >= longest


def test_a_pod_that_lives_is_never_restarted_for_what_all_share() -> None:
    """Liveness and start ask whether the process answers, and nothing else."""
    (container,) = SERVICE["spec"]["containers"]
    probes = [container["livenessProbe"], container["startupProbe"]]

    assert [probe["httpGet"]["path"] for probe in probes] == ["/healthz", "/healthz"]


def test_the_job_runs_alone_and_does_not_begin_a_deployment() -> None:
    """`--rotate-after` keeps it from creating a state where one is missing."""
    (job,) = named("CronJob")
    (container,) = pod_templates()["reconcile"]["spec"]["containers"]

    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert container["args"] == ["keys", "reconcile", "--rotate-after", "30d"]


def test_the_settings_are_for_many_machines() -> None:
    """State and custody are where every pod reaches them."""
    assert settings().state.url == "dynamodb:us-west-2/tokensvc"
    assert settings().custody.url == "secretsmanager:tokensvc/"
