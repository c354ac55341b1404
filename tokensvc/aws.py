"""boto3 clients for Amazon IVS, and why a call got no answer, for operators.

boto3 finds credentials, regions and endpoints in its usual places: the environment, `~/.aws`, the
IAM role of the instance, `AWS_ENDPOINT_URL_IVS`. The errors raised here are written for operators.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    CredentialRetrievalError,
    HTTPClientError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as CannotConnect,
)
from botocore.parsers import ResponseParserError

from tokensvc.arns import Region
from tokensvc.errors import IvsUnavailable

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_ivs import IVSClient

# JSON of an unexpected shape makes botocore, or the code that reads the answer, raise these.
_WRONG_SHAPE = (
    AttributeError,
    LookupError,
    ResponseParserError,
    TypeError,
    UnicodeDecodeError,
)
NO_ANSWER = (BotoCoreError, ValueError, *_WRONG_SHAPE)
"""What boto3 raises when there is no answer from AWS that can be read."""


@dataclass(frozen=True, slots=True)
class AwsTerms:
    """Timeouts and retries of calls to AWS.

    Only botocore retries (its standard mode: throttling, 5xx and connection errors, with random
    pauses of at most 1 s, then 2 s). With the defaults, a call ends within about 15 s.
    """

    connect_timeout_seconds: float = 1.0
    read_timeout_seconds: float = 3.0
    max_attempts: int = 3
    pool_size: int = 10


class AwsClients:
    """Creates each client once, at its first use, so that no socket exists before a fork."""

    def __init__(
        self, terms: AwsTerms, make_session: Callable[[], boto3.Session] = boto3.Session
    ) -> None:
        self._terms = terms
        self._make_session = make_session
        self._session: boto3.Session | None = None
        self._ivs: dict[Region, IVSClient] = {}
        # Creating a client is not thread-safe in a boto3 session; using a client is.
        self._lock = threading.Lock()

    def ivs(self, region: Region) -> IVSClient:
        """Return the IVS client of that region.

        Raises:
            IvsUnavailable: when AWS credentials or configuration are missing or invalid.
        """
        with self._lock:
            if region not in self._ivs:
                try:
                    self._ivs[region] = self._create_ivs(region)
                except (ClientError, *NO_ANSWER) as exc:
                    raise no_answer(exc, "client setup", region) from exc
            return self._ivs[region]

    def close(self) -> None:
        """Close the connections of every client; a later call opens new ones."""
        with self._lock:
            for client in self._ivs.values():
                client.close()
            self._ivs.clear()

    def _create_ivs(self, region: Region) -> IVSClient:
        if self._session is None:
            self._session = self._make_session()
        # A client that is created without credentials never looks for them again. Raising here
        # means that credentials which are configured later are found.
        if self._session.get_credentials() is None:
            raise NoCredentialsError
        return self._session.client(
            "ivs",
            region_name=region,
            config=Config(
                connect_timeout=self._terms.connect_timeout_seconds,
                read_timeout=self._terms.read_timeout_seconds,
                retries={"mode": "standard", "total_max_attempts": self._terms.max_attempts},
                max_pool_connections=self._terms.pool_size,
                user_agent_extra="tokensvc",
            ),
        )


def endpoint_of(client: BaseClient) -> str:
    """Return the URL that the client calls: AWS's own, or the one of `AWS_ENDPOINT_URL_IVS`."""
    return client.meta.endpoint_url


def no_answer(error: Exception, operation: str, region: Region) -> IvsUnavailable:
    """The error for an operation of IVS that got no answer, because of a `NO_ANSWER` error."""
    reason, hint = _reason_and_hint(error, region)
    return IvsUnavailable(f"Amazon IVS {operation} in {region} failed: {reason}", hint=hint)


def _reason_and_hint(error: Exception, region: Region) -> tuple[str, str]:
    """Explain why there is no answer from IVS."""
    match error:
        case NoCredentialsError():
            return (
                "no AWS credentials were found.",
                (
                    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, set AWS_PROFILE, or use an"
                    " IAM role."
                ),
            )
        case (
            ConfigParseError()
            | CredentialRetrievalError()
            | LoginError()
            | NoAuthTokenError()
            | PartialCredentialsError()
            | ProfileNotFound()
            | SSOError()
            | TokenRetrievalError()
        ):
            return (
                f"the AWS credentials can't be used ({type(error).__name__}).",
                (
                    "Check AWS_PROFILE and the files in ~/.aws. If the credentials come from a"
                    " sign-in, sign in again."
                ),
            )
        case CannotConnect() | HTTPClientError():
            return _unreachable_reason_and_hint(error, region)
        case _ if isinstance(error, _WRONG_SHAPE):
            return (
                "the server that answered is not Amazon IVS.",
                "Check AWS_ENDPOINT_URL_IVS, AWS_ENDPOINT_URL and any proxy.",
            )
        case _:
            return (
                f"boto3 can't use the AWS configuration ({type(error).__name__}).",
                "Check the region and AWS_ENDPOINT_URL_IVS (a URL such as http://127.0.0.1:8001).",
            )


def _unreachable_reason_and_hint(
    error: CannotConnect | HTTPClientError, region: Region
) -> tuple[str, str]:
    endpoint = str(error.kwargs.get("endpoint_url", "the endpoint of IVS"))
    known = boto3.Session().get_available_regions("ivs")
    # An older boto3 can lack a new region, so its list explains a failure and never causes one.
    if region in endpoint and region not in known:
        return (
            f"{endpoint} can't be reached, and {region} is not in boto3's list of IVS regions.",
            f"Correct the region (boto3 lists {', '.join(known)}), or install a newer boto3.",
        )
    return (
        f"{endpoint} can't be reached, or did not answer in time ({type(error).__name__}).",
        "Check the network and any proxy. If AWS_ENDPOINT_URL_IVS is set, check its value.",
    )
