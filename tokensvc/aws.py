"""boto3 clients for Amazon IVS, and the translation of botocore's errors into tokensvc's errors.

boto3 finds credentials, regions and endpoints in its usual places: the environment, `~/.aws`, the
IAM role of the instance, `AWS_ENDPOINT_URL_IVS`. The errors raised here are written for operators.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

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
    ParamValidationError,
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
from tokensvc.errors import IvsRefused, IvsUnavailable, NotFound, TokensvcError

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_ivs import IVSClient

RESOURCE_NOT_FOUND = "ResourceNotFoundException"
ACCESS_DENIED = "AccessDeniedException"
PENDING_VERIFICATION = "PendingVerification"  # The wire name has no "Exception" (botocore model).
CONFLICT = "ConflictException"
QUOTA_EXCEEDED = "ServiceQuotaExceededException"

# GetChannel's model declares no throttling, though its rate of 5 a second is documented: 429 is
# possible on every operation, under either name (IVS: service-quotas).
_THROTTLING = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException"})

_CREDENTIALS_REJECTED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_WRONG_SHAPE = (
    AttributeError,
    LookupError,
    ResponseParserError,
    TypeError,
    UnicodeDecodeError,
)
_HINTS = {
    PENDING_VERIFICATION: "Contact AWS Support: AWS has not verified this account for Amazon IVS.",
    QUOTA_EXCEEDED: "Delete a resource of this kind that is not needed: the quota of this region is"
    " used up.",
    CONFLICT: "Run `tokensvc keys list` or `tokensvc channels list`: IVS already has the same"
    " resource, or the resource is in use.",
}


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
        with self._lock, translate_errors("client setup", region):
            if region not in self._ivs:
                self._ivs[region] = self._create_ivs(region)
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


@contextlib.contextmanager
def translate_errors(operation: str, region: Region) -> Iterator[None]:
    """Translate the exceptions of boto3 into tokensvc's errors.

    In the block, only call the client and read members that IVS always returns. botocore does not
    validate answers: JSON of an unexpected shape makes botocore, or the reading code, raise
    Python's own exceptions. Here they mean that the answer did not come from IVS.

    Args:
        operation: the operation's name in the IVS API, such as `GetChannel`.
        region: the region of the call.

    Raises:
        NotFound: when the resource does not exist in IVS.
        IvsRefused: when IVS refuses the call for a reason that a retry does not fix.
        IvsUnavailable: when IVS throttles, fails or can't be reached, or when the AWS credentials
            are missing or invalid.
    """
    try:
        yield
    except ClientError as exc:
        _add_ivs_message(exc)
        raise _error_from_answer(exc, operation, region) from exc
    except ParamValidationError as exc:
        raise IvsRefused(
            f"The {operation} request has an invalid value, so boto3 did not send it.",
            aws_code="ParamValidation",
            hint="Check the ARNs, names and tags of the request.",
        ) from exc
    except (BotoCoreError, ValueError, *_WRONG_SHAPE) as exc:
        reason, hint = _reason_and_hint(exc, region)
        raise IvsUnavailable(
            f"Amazon IVS {operation} in {region} failed: {reason}", hint=hint
        ) from exc


def _add_ivs_message(error: ClientError) -> None:
    """Add IVS's message as a note, for the log: botocore does not read `exceptionMessage`."""
    members: dict[str, Any] = dict(error.response)
    if text := members.get("exceptionMessage"):
        error.add_note(f"IVS says: {text}")


def _error_from_answer(error: ClientError, operation: str, region: Region) -> TokensvcError:
    """Return tokensvc's error for IVS's error code; IVS's message can be empty."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    where = f"Amazon IVS in {region}"
    if code in _THROTTLING or status == HTTPStatus.TOO_MANY_REQUESTS:
        return IvsUnavailable(
            f"{where} throttles {operation} requests.",
            hint="Try again in a few seconds. IVS limits the request rate of each account in each"
            " region.",
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return IvsUnavailable(
            f"{where} failed to process {operation} (HTTP {status}, {code}).",
            hint="Try again. If the error persists, check the AWS Health Dashboard.",
        )
    if code in _CREDENTIALS_REJECTED:
        return IvsUnavailable(
            f"{where} rejected the AWS credentials of the {operation} request ({code}).",
            hint="Renew the AWS credentials. If they are new, check the secret access key and this"
            " machine's clock.",
        )
    if code == RESOURCE_NOT_FOUND:
        return NotFound(
            f"The resource does not exist in {where} ({operation}).",
            hint="Check the region, the account and the ID in the ARN.",
        )
    return IvsRefused(
        f"{where} refused {operation} ({code or 'no error code'}, HTTP {status}).",
        aws_code=code,
        hint=_hint_for_refusal(code, operation),
    )


def _hint_for_refusal(code: str, operation: str) -> str:
    if code == ACCESS_DENIED:
        return (
            f"Allow {_actions(operation)} in the IAM policy of these AWS credentials. "
            "For a resource of another account, use the credentials of that account."
        )
    return _HINTS.get(
        code, "Check the values in the request. If they are valid, check AWS_ENDPOINT_URL_IVS."
    )


def _actions(operation: str) -> str:
    """Name the IAM actions that tokensvc needs for the operation (AWS: IVS actions)."""
    if operation == "ImportPlaybackKeyPair":
        return "the actions ivs:ImportPlaybackKeyPair and ivs:TagResource"
    return f"the action ivs:{operation}"


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
