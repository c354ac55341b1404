"""Why a call to AWS got no answer, for operators: whose fault it is, and what to check.

The text of an exception is never shown, because a program or another system wrote it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import exceptions as raised
from botocore.exceptions import BotoCoreError, ClientError

from tokensvc.arns import Region
from tokensvc.aws_causes import (
    BAD_CONFIGURATION,
    NO_CREDENTIALS,
    NO_REQUEST,
    NOT_THE_SERVICE,
    UNREADABLE_CREDENTIALS,
    UNSENDABLE_CREDENTIALS,
    WRONG_SHAPE,
    Cause,
)
from tokensvc.errors import IvsUnavailable

NO_ANSWER = (
    BotoCoreError,
    ValueError,
    *WRONG_SHAPE,
    # Raised while credentials are read: a missing file or program, an MFA code without a terminal,
    # and credentials that have expired when they come.
    OSError,
    EOFError,
    RuntimeError,
)
"""What boto3 raises when there is no answer from AWS that can be read."""

_ISSUER_OF_OPERATION: Final[Mapping[str, str]] = {
    "AssumeRole": "AWS STS",
    "AssumeRoleWithSAML": "AWS STS",
    "AssumeRoleWithWebIdentity": "AWS STS",
    "GetCallerIdentity": "AWS STS",
    "GetSessionToken": "AWS STS",
    "CreateToken": "IAM Identity Center",
    "GetRoleCredentials": "IAM Identity Center",
    "CreateOAuth2Token": "AWS Sign-In",
}


@dataclass(frozen=True, slots=True)
class AwsService:
    """A service of AWS that this program calls.

    Attributes:
        name: the name for people.
        boto3_name: the name of its client in boto3.
        endpoint_variable: the environment variable that overrides the URL of its endpoint.
    """

    name: str
    boto3_name: str
    endpoint_variable: str


IVS: Final = AwsService("Amazon IVS", "ivs", "AWS_ENDPOINT_URL_IVS")
DYNAMODB: Final = AwsService("Amazon DynamoDB", "dynamodb", "AWS_ENDPOINT_URL_DYNAMODB")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call to AWS got no answer.

    Attributes:
        reason: what happened, as the end of a sentence.
        hint: what to check or change.
        is_of_credentials: whether there were no usable credentials, so that nothing was sent.
    """

    reason: str
    hint: str
    is_of_credentials: bool


class CredentialsUnavailable(IvsUnavailable):
    """Raised when there are no usable AWS credentials, so that no request to IVS was sent."""


def no_credentials(error: Exception, region: Region) -> CredentialsUnavailable:
    """The error when AWS credentials can't be had, because of that exception of boto3."""
    if isinstance(error, ClientError):
        reason, hint = _refusal_by_issuer(error)
    else:
        cause = _first_cause(error, (*NO_REQUEST, *NO_CREDENTIALS, UNREADABLE_CREDENTIALS))
        reason, hint = _sentences(cause, error, IVS)
    return CredentialsUnavailable(
        f"There are no usable AWS credentials for Amazon IVS in {region}: {reason}", hint=hint
    )


def no_answer(error: Exception, operation: str, region: Region) -> IvsUnavailable:
    """The error for an operation of IVS that got no answer, because of a `NO_ANSWER` error.

    It is a `CredentialsUnavailable` when the credentials are the cause.
    """
    why = failure(error, IVS, region)
    if why.is_of_credentials:
        return no_credentials(error, region)
    return IvsUnavailable(f"Amazon IVS {operation} in {region} failed: {why.reason}", hint=why.hint)


def failure(error: Exception, service: AwsService, region: Region) -> Failure:
    """Why a call to that service got no answer.

    Args:
        error: a `NO_ANSWER` error, or the refusal by a system that issues credentials.
        service: the service that was called.
        region: the region of the call.
    """
    if isinstance(error, ClientError):
        return Failure(*_refusal_by_issuer(error), is_of_credentials=True)
    causes = (*NO_REQUEST, *NO_CREDENTIALS, NOT_THE_SERVICE, BAD_CONFIGURATION)
    cause = _first_cause(error, causes)
    if cause in NO_CREDENTIALS:
        return Failure(*_sentences(cause, error, service), is_of_credentials=True)
    reason, hint = _unknown_region(error, service, region) or _sentences(cause, error, service)
    return Failure(reason, hint, is_of_credentials=False)


def is_refusal_by_issuer(error: ClientError) -> bool:
    """Whether a system that issues credentials refused, and not the service that was called."""
    return error.operation_name in _ISSUER_OF_OPERATION


def is_from_aws(error: ClientError) -> bool:
    """Whether AWS sent the answer with that error, and not a server in front of it.

    Answers of AWS have an error code, and headers such as `x-amzn-RequestId`.
    """
    code = error.response.get("Error", {}).get("Code", "")
    about: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    status = about.get("HTTPStatusCode", 0)
    # botocore uses the status as the code where the answer has none.
    has_code = code not in {"", str(status)}
    headers: Mapping[str, str] = about.get("HTTPHeaders", {})
    return has_code or not status or any(name.lower().startswith("x-amz") for name in headers)


def has_cause_of_its_own(kind: type[Exception]) -> bool:
    """Whether exceptions of that class have their own row in a table."""
    return any(issubclass(kind, cause.kinds) for cause in (*NO_REQUEST, *NO_CREDENTIALS))


def _first_cause(error: Exception, causes: Iterable[Cause]) -> Cause:
    # http.client refuses a value of a header with a ValueError, which botocore wraps like an error
    # of the network. The only values that come from outside are the credentials.
    if isinstance(error, raised.HTTPClientError) and type(error.kwargs.get("error")) is ValueError:
        return UNSENDABLE_CREDENTIALS
    return next(cause for cause in causes if isinstance(error, cause.kinds))


def _sentences(cause: Cause, error: Exception, service: AwsService) -> tuple[str, str]:
    """The reason and the hint of that cause, with the values of the exception."""
    fields = _fields(error) | {
        "service": service.name,
        "endpoint_variable": service.endpoint_variable,
    }
    return cause.reason.format_map(fields), cause.hint.format_map(fields)


def _fields(error: Exception) -> dict[str, str]:
    """The values that a sentence may show: names, paths and URLs, never another system's text."""
    given: Mapping[str, Any] = getattr(error, "kwargs", {})
    proxy = urlsplit(str(given.get("proxy_url", "")))
    return {
        "kind": type(error).__name__,
        "profile": given.get("profile") or _profile_name(),
        "missing": given.get("cred_var", "a value"),
        "provider": given.get("provider", "unknown source"),
        "source_profile": given.get("source_profile", ""),
        "path": given.get("path", ""),
        "endpoint": given.get("endpoint_url", "the endpoint"),
        # Without the user and the password that the URL of a proxy may have.
        "proxy": proxy.hostname or "of the environment",
        "file": str(getattr(error, "filename", None) or "a file of the credentials"),
        "system_error": os.strerror(getattr(error, "errno", None) or 0),
    }


def _unknown_region(
    error: Exception, service: AwsService, region: Region
) -> tuple[str, str] | None:
    """The reason and the hint when the host of a region can't be found that boto3 doesn't list."""
    if not isinstance(error, raised.EndpointConnectionError):
        return None
    endpoint = str(error.kwargs.get("endpoint_url", ""))
    known = boto3.Session().get_available_regions(service.boto3_name)
    # An older boto3 can lack a new region, so its list explains a failure and never causes one.
    if region not in endpoint or region in known:
        return None
    return (
        f"{endpoint} can't be reached, and boto3 knows no region {region} of {service.name}.",
        f"Correct the region (boto3 lists {', '.join(known)}), or install a newer boto3.",
    )


def _refusal_by_issuer(error: ClientError) -> tuple[str, str]:
    """The reason and the hint when a system that issues credentials answered with an error."""
    operation = error.operation_name
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    issuer = _ISSUER_OF_OPERATION.get(operation, "AWS")
    profile, role = _profile_name(), _role_arn()
    whose = f"{f'the role {role} and ' if role else ''}the profile {profile}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code.startswith(("Throttling", "TooMany")):
        return (
            f"{issuer} failed to process {operation} for {whose} ({code}).",
            "Try again. If the error persists, check the AWS Health Dashboard.",
        )
    if code.startswith("AccessDenied") or code == "ForbiddenException":
        hint = (
            f"Check that the role exists and that its trust policy allows sts:{operation} by these"
            " credentials."
            if issuer == "AWS STS"
            else f"Check which accounts and roles {issuer} allows the user of the profile."
        )
    else:
        hint = (
            "Renew what they are issued for: the sign-in (`aws sso login`, `aws login`), the web"
            " identity token file, or the credentials of source_profile. Check this machine's clock"
            " too."
        )
    return f"{issuer} refused {operation} for {whose} ({code}).", hint


def _profile_name() -> str:
    return botocore.session.Session().profile or "default"


def _role_arn() -> str:
    """The ARN of the role that the environment or the profile names, if one does."""
    try:
        config: Mapping[str, Any] = botocore.session.Session().get_scoped_config()
    except (BotoCoreError, OSError, ValueError):  # The file that failed may be this one.
        config = {}
    return os.environ.get("AWS_ROLE_ARN") or str(config.get("role_arn", ""))
