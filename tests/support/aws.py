"""An isolated AWS environment for a test, without the machine's accounts, roles or proxies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import boto3
import pytest
from botocore.config import Config
from botocore.session import Session

if TYPE_CHECKING:
    from mypy_boto3_ivs import IVSClient

EXAMPLE_ACCOUNT = "123456789012"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def set_aws_environment(monkeypatch: pytest.MonkeyPatch, folder: Path, **variables: str) -> None:
    """Remove all AWS settings from the environment, then set `variables`.

    The AWS configuration files are set to files in `folder` that don't exist.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)
    isolated = {
        "AWS_CONFIG_FILE": str(folder / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in (isolated | variables).items():
        monkeypatch.setenv(name, value)


def set_aws_endpoint(monkeypatch: pytest.MonkeyPatch, folder: Path, endpoint_url: str) -> None:
    """Set example credentials and the endpoint of IVS."""
    set_aws_environment(
        monkeypatch,
        folder,
        AWS_ACCESS_KEY_ID=EXAMPLE_ACCOUNT,
        AWS_SECRET_ACCESS_KEY="example-secret",
        AWS_ENDPOINT_URL_IVS=endpoint_url,
    )


class EndpointSession(boto3.Session):
    """A session with example credentials, whose clients of IVS call one URL.

    The environment has no effect on them. So a fixture that many tests share doesn't change the
    environment of the process, and what one of these tests sets there doesn't reach it.
    """

    def __init__(self, core: Session, endpoint_url: str) -> None:
        super().__init__(
            aws_access_key_id=EXAMPLE_ACCOUNT,
            aws_secret_access_key="example-secret",
            botocore_session=core,
        )
        self._endpoint_url = endpoint_url

    # The stubs have one overload for each service.
    def client(  # type: ignore[override]
        self, service_name: Literal["ivs"], *, config: Config | None = None, **options: Any
    ) -> IVSClient:
        """A client of IVS, at that URL, without a proxy."""
        return super().client(
            service_name,
            endpoint_url=self._endpoint_url,
            config=(config or Config()).merge(Config(proxies={})),
            **options,
        )
