"""Translate the exceptions of boto3 into tokensvc's errors, with hints for operators."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from botocore.exceptions import ClientError, ParamValidationError

from tokensvc.arns import Region
from tokensvc.aws_codes import CREDENTIALS_REJECTED, THROTTLING
from tokensvc.aws_failures import (
    NO_ANSWER,
    is_from_aws,
    is_refusal_by_issuer,
    no_answer,
    no_credentials,
)
from tokensvc.errors import IvsUnavailable, NotFound, TokensvcError
from tokensvc.ivs.errors import (
    RESOURCE_NOT_FOUND,
    AccessDenied,
    Conflict,
    InvalidParameters,
    PendingVerification,
    QuotaExceeded,
    Throttled,
    refusal,
)
from tokensvc.waiting import may_wait

# HTTP 5xx on a whole call (botocore model); a part of a batch call has no HTTP status.
FAILURES: Final = frozenset({"InternalServerException", "ServiceUnavailable", "StreamUnavailable"})
"""The names of IVS's temporary failures."""


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
        IvsRefused: when IVS refuses the call for a reason that a retry does not fix: one of the
            classes of `tokensvc.ivs.errors`, if there is one for the reason.
        IvsUnavailable: when IVS throttles, fails or can't be reached. It is a
            `CredentialsUnavailable` when there are no usable AWS credentials.
    """
    may_wait()
    try:
        yield
    except ClientError as exc:
        if is_refusal_by_issuer(exc):
            raise no_credentials(exc, region) from exc
        _add_ivs_message(exc)
        raise _error_from_answer(exc, operation, region) from exc
    except ParamValidationError as exc:
        raise InvalidParameters(
            f"The {operation} request has an invalid value, so boto3 did not send it.",
            hint="Check the ARNs, names and tags of the request.",
        ) from exc
    except NO_ANSWER as exc:
        raise no_answer(exc, operation, region) from exc


def _add_ivs_message(error: ClientError) -> None:
    """Add IVS's message as a note, for the log: botocore does not read `exceptionMessage`."""
    members: dict[str, Any] = dict(error.response)
    if text := members.get("exceptionMessage"):
        error.add_note(f"IVS says: {text}")


def error_of_part(code: str, arn: str, operation: str, region: Region) -> TokensvcError:
    """The error for a part of a batch call that failed: IVS answers HTTP 200, and a code for each.

    Args:
        code: IVS's error code for the part, or an empty text if the answer has none.
        arn: the ARN of the part.
        operation: the operation's name in the IVS API, such as `BatchGetChannel`.
        region: the region of the call.
    """
    return _error(code, 0, operation, region, arn=arn)


def _error_from_answer(error: ClientError, operation: str, region: Region) -> TokensvcError:
    """Return tokensvc's error for IVS's error code; IVS's message can be empty."""
    code = error.response.get("Error", {}).get("Code", "")
    about: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    status = about.get("HTTPStatusCode", 0)
    if not is_from_aws(error):
        return IvsUnavailable(
            f"A server in front of Amazon IVS in {region} answered {operation} with HTTP {status}:"
            " the answer is not from AWS.",
            hint="Check what the proxy allows (HTTPS_PROXY, NO_PROXY), and AWS_ENDPOINT_URL_IVS.",
        )
    return _error(code, status, operation, region)


def _error(
    code: str, status: int, operation: str, region: Region, *, arn: str = ""
) -> TokensvcError:
    """Return the error for a code; `arn` and no HTTP status are for a part of a batch call."""
    where = f"Amazon IVS in {region}"
    call = f"{operation} for {arn}" if arn else operation
    # GetChannel's model declares no throttling, though its rate of 5 a second is documented: 429 is
    # possible on every operation (IVS: service-quotas).
    if code in THROTTLING or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(
            f"{where} throttles {operation} requests{f' for {arn}' if arn else ''}.",
            hint="Try again in a few seconds. IVS limits the request rate of each account in each"
            " region.",
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in FAILURES:
        return IvsUnavailable(
            f"{where} failed to process {call} ({f'HTTP {status}, ' if status else ''}{code}).",
            hint="Try again. If the error persists, check the AWS Health Dashboard.",
        )
    if code in CREDENTIALS_REJECTED:
        return IvsUnavailable(
            f"{where} rejected the AWS credentials of the {call} request ({code}).",
            hint="Renew the AWS credentials. If they are new, check the secret access key and this"
            " machine's clock.",
        )
    if code == RESOURCE_NOT_FOUND:
        return NotFound(
            f"{arn or 'The resource'} does not exist in {where} ({operation}).",
            hint="Check the region, the account and the ID in the ARN.",
        )
    reason = f"{code or 'no error code'}{f', HTTP {status}' if status else ''}"
    return refusal(
        f"{where} refused {call} ({reason}).",
        aws_code=code,
        hint=_hint_for_refusal(code, operation),
    )


def _hint_for_refusal(code: str, operation: str) -> str:
    match code:
        case AccessDenied.name_in_ivs:
            return (
                f"Allow {_actions(operation)} in the IAM policy of these AWS credentials. "
                "For a resource of another account, use the credentials of that account."
            )
        case PendingVerification.name_in_ivs:
            return "Contact AWS Support: AWS has not verified this account for Amazon IVS."
        case QuotaExceeded.name_in_ivs:
            return (
                "Delete a resource of this kind that is not needed: the quota of this region is"
                " used up."
            )
        case Conflict.name_in_ivs:
            return (
                "Run `tokensvc keys list` or `tokensvc channels list`: IVS already has the same"
                " resource, or the resource is in use."
            )
        case _:
            return "Check the values in the request. If they are valid, check AWS_ENDPOINT_URL_IVS."


def _actions(operation: str) -> str:
    """Name the IAM actions that tokensvc needs for the operation (AWS: IVS actions)."""
    if operation == "ImportPlaybackKeyPair":
        return "the actions ivs:ImportPlaybackKeyPair and ivs:TagResource"
    return f"the action ivs:{operation}"
