"""The one maker of boto3 clients, and botocore's errors in our words.

Credentials, regions and endpoints are found the AWS way: the environment, `~/.aws`, the instance's
role, `AWS_ENDPOINT_URL_IVS`. The words of the errors raised here are for an operator.
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

_CREDENTIALS_TURNED_DOWN = frozenset(
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
_ANOTHER_SHAPE = (AttributeError, LookupError, ResponseParserError, TypeError, UnicodeDecodeError)
_HINTS = {
    PENDING_VERIFICATION: "Contact AWS Support: the account has to be cleared for Amazon IVS.",
    QUOTA_EXCEEDED: "Delete one that is not needed first; IVS allows no more in this region.",
    CONFLICT: "IVS already has one like it, or it is in use; look at what IVS holds.",
}


@dataclass(frozen=True, slots=True)
class AwsTerms:
    """How long AWS may take.

    botocore alone retries (its standard mode: throttling, 5xx and connection errors, with random
    pauses of at most 1 s, then 2 s), so that with the defaults a call is over within some 15 s.
    """

    connect_timeout_seconds: float = 1.0
    read_timeout_seconds: float = 3.0
    max_attempts: int = 3
    pool_size: int = 10


class AwsClients:
    """Makes each client once, at its first use: nothing with a socket exists before a fork."""

    def __init__(
        self, terms: AwsTerms, make_session: Callable[[], boto3.Session] = boto3.Session
    ) -> None:
        self._terms = terms
        self._make_session = make_session
        self._session: boto3.Session | None = None
        self._ivs: dict[Region, IVSClient] = {}
        # Making clients is not thread-safe in a boto3 session; using them is.
        self._lock = threading.Lock()

    def ivs(self, region: Region) -> IVSClient:
        """The client of that region.

        Raises:
            IvsUnavailable: when credentials or settings of AWS are missing or make no sense.
        """
        with self._lock, translated("setting up the client", region):
            if region not in self._ivs:
                self._ivs[region] = self._make_ivs(region)
            return self._ivs[region]

    def close(self) -> None:
        """Close the connections of every client; a later use makes new ones."""
        with self._lock:
            for client in self._ivs.values():
                client.close()
            self._ivs.clear()

    def _make_ivs(self, region: Region) -> IVSClient:
        if self._session is None:
            self._session = self._make_session()
        # A client made without credentials never looks for them again; refusing here lets those
        # that are put in place later be found.
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
    """The URL that the client talks to, AWS's own or the one of `AWS_ENDPOINT_URL_IVS`."""
    return client.meta.endpoint_url


@contextlib.contextmanager
def translated(operation: str, region: Region) -> Iterator[None]:
    """Turn what boto3 raises inside into our errors.

    Inside, do nothing but call the client and take the members that IVS always gives out of its
    answer. botocore does not check answers: JSON of another shape trips it, or the taking, with
    Python's own errors, which here mean that something else than IVS answered.

    Args:
        operation: the operation's name in the IVS API, such as `GetChannel`.
        region: the region that is asked.

    Raises:
        NotFound: when IVS knows no such resource.
        IvsRefused: when IVS refuses for a reason that waiting does not cure.
        IvsUnavailable: when IVS throttles, fails, can't be reached, or was not asked for want of
            valid credentials.
    """
    try:
        yield
    except ClientError as exc:
        _note_what_ivs_said(exc)
        raise _refusal(exc, operation, region) from exc
    except ParamValidationError as exc:
        raise IvsRefused(
            f"The request for {operation} breaks a rule of IVS and was not sent.",
            aws_code="ParamValidation",
            hint="Check the names and tags that were given.",
        ) from exc
    except (BotoCoreError, ValueError, *_ANOTHER_SHAPE) as exc:
        reason, hint = _why_there_is_no_answer(exc, region)
        raise IvsUnavailable(
            f"Amazon IVS in {region} gave no answer ({operation}): {reason}", hint=hint
        ) from exc


def _note_what_ivs_said(error: ClientError) -> None:
    """Keep IVS's sentence for the log: botocore's own message is empty for `exceptionMessage`."""
    members: dict[str, Any] = dict(error.response)
    if text := members.get("exceptionMessage"):
        error.add_note(f"IVS says: {text}")


def _refusal(error: ClientError, operation: str, region: Region) -> TokensvcError:
    """Our error for an error that was answered: by its code, as its message may be empty."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    where = f"Amazon IVS in {region}"
    if code in _THROTTLING or status == HTTPStatus.TOO_MANY_REQUESTS:
        return IvsUnavailable(
            f"{where} throttles {operation}.",
            hint="Try again in a moment; IVS's rates are fixed for an account and region.",
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return IvsUnavailable(
            f"{where} failed at {operation} (HTTP {status}, {code}).",
            hint="Try again; if it lasts, look at the AWS Health Dashboard.",
        )
    if code in _CREDENTIALS_TURNED_DOWN:
        return IvsUnavailable(
            f"{where} turned the AWS credentials down at {operation} ({code}).",
            hint="Renew them, check the secret key, and check this machine's clock.",
        )
    if code == RESOURCE_NOT_FOUND:
        return NotFound(
            f"{where} knows no such resource ({operation}).",
            hint="Check the ARN, its region and its account.",
        )
    return IvsRefused(
        f"{where} refused {operation} ({code or 'no error code'}, HTTP {status}).",
        aws_code=code,
        hint=_hint_for_refusal(code, operation),
    )


def _hint_for_refusal(code: str, operation: str) -> str:
    if code == ACCESS_DENIED:
        return (
            f"Allow these AWS credentials {_actions(operation)} on the resource; "
            "one of another account needs that account's credentials."
        )
    return _HINTS.get(
        code, "Check what was asked; if nothing is wrong with it, check AWS_ENDPOINT_URL_IVS."
    )


def _actions(operation: str) -> str:
    """The IAM actions that the operation needs, as the program uses it (AWS: IVS actions)."""
    if operation == "ImportPlaybackKeyPair":
        return "the actions ivs:ImportPlaybackKeyPair and ivs:TagResource"
    return f"the action ivs:{operation}"


def _why_there_is_no_answer(error: Exception, region: Region) -> tuple[str, str]:
    """A reason and a way out."""
    match error:
        case NoCredentialsError():
            return (
                "no AWS credentials were found.",
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or use a role.",
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
                "Check AWS_PROFILE and ~/.aws, and sign in again where they come from a sign-in.",
            )
        case CannotConnect() | HTTPClientError():
            return _why_unreachable(error, region)
        case _ if isinstance(error, _ANOTHER_SHAPE):
            return (
                "what answered is not Amazon IVS.",
                "Check AWS_ENDPOINT_URL_IVS, AWS_ENDPOINT_URL and any proxy in between.",
            )
        case _:
            return (
                f"AWS's settings make no sense to boto3 ({type(error).__name__}).",
                "Check the region and AWS_ENDPOINT_URL_IVS (a URL such as http://127.0.0.1:8001).",
            )


def _why_unreachable(error: CannotConnect | HTTPClientError, region: Region) -> tuple[str, str]:
    endpoint = str(error.kwargs.get("endpoint_url", "its endpoint"))
    known = boto3.Session().get_available_regions("ivs")
    # A new region may be missing in an older boto3, so the list explains and never refuses.
    if region in endpoint and region not in known:
        return (
            f"{endpoint} can't be reached, and boto3 knows of no IVS in {region}.",
            f"Correct the region (known: {', '.join(known)}), or install a newer boto3.",
        )
    return (
        f"{endpoint} can't be reached or does not answer in time ({type(error).__name__}).",
        "Check the network, any proxy, and AWS_ENDPOINT_URL_IVS if it is set.",
    )
