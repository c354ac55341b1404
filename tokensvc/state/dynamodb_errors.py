"""The errors of DynamoDB as ours: what failed, who is to blame, and what to do about it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from botocore.exceptions import ClientError, ParamValidationError

from tokensvc.aws_codes import CREDENTIALS_REJECTED, PRINCIPAL, THROTTLING
from tokensvc.aws_failures import (
    DYNAMODB,
    NO_ANSWER,
    failure,
    is_from_aws,
    is_refusal_by_issuer,
)
from tokensvc.errors import StateMissing, StateRefused, StateUnavailable, TokensvcError
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.waiting import may_wait

CONDITION_FAILED: Final = "ConditionalCheckFailedException"
NOT_SUPPORTED: Final = "UnknownOperationException"
"""What a stand-in answers to an operation that it does not have. AWS has all that are used here."""

_THROTTLING: Final = THROTTLING | {
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
}
_FAILURES: Final = frozenset(
    # The last one: two regions of a global table wrote the same item at the same time.
    {"InternalServerError", "ServiceUnavailable", "ReplicatedWriteConflictException"}
)


@contextlib.contextmanager
def translated(operation: str, address: TableAddress) -> Iterator[None]:
    """Translate what boto3 raises in a call of that operation into our errors.

    Raises:
        StateMissing: when there is no such table.
        StateRefused: when DynamoDB refuses the call for a reason that a retry does not fix.
        StateUnavailable: when DynamoDB throttles, fails or can't be reached, or when there are no
            usable AWS credentials.
    """
    may_wait()
    try:
        yield
    except ClientError as exc:
        raise (
            _unanswered(exc, operation, address)
            if is_refusal_by_issuer(exc)
            else _refusal(exc, operation, address)
        ) from exc
    except ParamValidationError as exc:
        raise StateRefused(
            f"The {operation} request to the {address} has an invalid value, so boto3 did not send"
            " it.",
            hint="Report this as a bug of tokensvc.",
        ) from exc
    except NO_ANSWER as exc:
        raise _unanswered(exc, operation, address) from exc


def code_of(error: ClientError) -> str:
    """DynamoDB's name of the error."""
    return error.response.get("Error", {}).get("Code", "")


def table_missing(address: TableAddress) -> StateMissing:
    """The error when there is no table of that name in the region and account."""
    return StateMissing(
        f"The {address} does not exist.",
        hint="Check state.url, and that the AWS credentials are of the right account. For a new"
        " deployment, run `tokensvc init --aws`, which makes it. If it was deleted, restore it from"
        " a backup, as docs/state-dynamodb.md describes.",
    )


def table_empty(address: TableAddress) -> StateMissing:
    """The error when the table has no state yet, or no longer."""
    return StateMissing(
        f"The {address} has no tokensvc state.",
        hint="Check state.url. If the state is lost, restore the table to a point in time, as"
        " docs/state-dynamodb.md describes. For a new deployment, run `tokensvc keys reconcile`,"
        " which begins it.",
    )


def too_slow(operation: str, address: TableAddress, seconds: float) -> StateUnavailable:
    """The error when an operation of the state has used up its time."""
    return StateUnavailable(
        f"The {address} did not complete {operation} within {seconds:g} s.",
        hint="Try again. Check in CloudWatch whether the table is throttled.",
    )


def _unanswered(error: Exception, operation: str, address: TableAddress) -> StateUnavailable:
    why = failure(error, DYNAMODB, address.region)
    if why.is_of_credentials:
        return StateUnavailable(
            f"There are no usable AWS credentials for the {address}: {why.reason}", hint=why.hint
        )
    return StateUnavailable(f"{operation} on the {address} failed: {why.reason}", hint=why.hint)


def _refusal(error: ClientError, operation: str, address: TableAddress) -> TokensvcError:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if not is_from_aws(error):
        return StateUnavailable(
            f"A server in front of DynamoDB in {address.region} answered {operation} with HTTP"
            f" {status}: the answer is not from AWS.",
            hint="Check what the proxy allows (HTTPS_PROXY, NO_PROXY), and"
            " AWS_ENDPOINT_URL_DYNAMODB.",
        )
    if code == "AccessDeniedException":
        return _denied(error, operation, address)
    if code == "ResourceNotFoundException":
        return table_missing(address)
    return _temporary(code, status, operation, address) or StateRefused(
        f"The {address} refused {operation} ({code or 'no error code'}, HTTP {status}).",
        hint="Check that state.url names a table that `tokensvc init --aws` or the template made,"
        " and AWS_ENDPOINT_URL_DYNAMODB.",
    )


def _temporary(
    code: str, status: int, operation: str, address: TableAddress
) -> StateUnavailable | None:
    """The error for a failure that a later attempt may not meet; None for any other code."""
    if code in _THROTTLING or status == HTTPStatus.TOO_MANY_REQUESTS:
        return StateUnavailable(
            f"The {address} throttles {operation} requests ({code}).",
            hint="Try again in a few seconds. If it persists, use on-demand capacity for the table,"
            " and check its maximum throughput.",
        )
    if code in _FAILURES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return StateUnavailable(
            f"The {address} failed to process {operation} ({code}, HTTP {status}).",
            hint="Try again. If the error persists, check the AWS Health Dashboard.",
        )
    if code in CREDENTIALS_REJECTED:
        return StateUnavailable(
            f"DynamoDB in {address.region} rejected the AWS credentials of the {operation} request"
            f" ({code}).",
            hint="Renew the AWS credentials. If they are new, check the secret access key and this"
            " machine's clock.",
        )
    return None


def _denied(error: ClientError, operation: str, address: TableAddress) -> StateRefused:
    message = error.response.get("Error", {}).get("Message", "")
    found = PRINCIPAL.search(message)
    who = found[1] if found else "The user or role of these AWS credentials"
    return StateRefused(
        f"{who} may not call dynamodb:{operation} on the {address} (AccessDeniedException).",
        hint=f"Allow the action dynamodb:{operation} on the table in its IAM policy, as"
        " docs/state-dynamodb.md lists them for each role. A condition on dynamodb:LeadingKeys may"
        " keep this role from the item.",
    )
