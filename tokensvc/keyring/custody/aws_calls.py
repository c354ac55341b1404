"""The errors of KMS and Secrets Manager as ours: what failed, who is to blame, and what to do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from botocore.exceptions import ClientError, ParamValidationError

from tokensvc.arns import Region
from tokensvc.aws_codes import CREDENTIALS_REJECTED, PRINCIPAL, THROTTLING
from tokensvc.aws_failures import NO_ANSWER, AwsService, failure, is_refusal_by_issuer
from tokensvc.errors import (
    CustodyDamaged,
    CustodyDenied,
    CustodyUnavailable,
    CustodyUnusable,
    TokensvcError,
)
from tokensvc.waiting import may_wait

KMS: Final = AwsService("AWS KMS", "kms", "AWS_ENDPOINT_URL_KMS")
SECRETS_MANAGER: Final = AwsService(
    "AWS Secrets Manager", "secretsmanager", "AWS_ENDPOINT_URL_SECRETS_MANAGER"
)

LOST_HINT: Final = (
    "If custody.url or the AWS account is another one than before, correct that. Otherwise the"
    " private key is lost: replace an active key with `tokensvc keys rotate`, and any other with"
    " `tokensvc keys revoke KEY`."
)

_MISSING: Final = frozenset({"NotFoundException", "ResourceNotFoundException"})
_EXISTS: Final = frozenset({"AlreadyExistsException", "ResourceExistsException"})
_UNUSABLE: Final = frozenset(
    # Secrets Manager answers InvalidRequestException for a secret that is scheduled for deletion.
    {"DisabledException", "KMSInvalidStateException", "InvalidRequestException"}
)
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_DECRYPTION: Final = frozenset({"DecryptionFailure", "EncryptionFailure"})
_FAILURES: Final = frozenset(
    {
        "DependencyTimeoutException",
        "InternalServiceError",
        "KMSInternalException",
        "KeyUnavailableException",
        "ServiceUnavailable",
    }
)
# From the text of AWS, only names of this form are taken: who may not do what with which resource.
_WHAT: Final = re.compile(
    r"to perform: ([a-z0-9-]+:[A-Za-z]+)(?: on resource: (arn:aws[a-z-]*:[\w+=,.@/:-]+))?"
)


class Throttled(CustodyUnavailable):
    """Raised when the service answers, and refuses some calls because there are too many."""


class ResourceMissing(CustodyDamaged):
    """Raised when AWS has no such key, alias or secret."""


class ResourceExists(CustodyDamaged):
    """Raised when AWS has an alias or a secret of that name already."""


@dataclass(frozen=True, slots=True)
class AwsCalls:
    """The calls to one service in one region.

    Attributes:
        service: the service.
        region: the region.
    """

    service: AwsService
    region: Region

    @contextlib.contextmanager
    def translated(self, operation: str, resource: str) -> Iterator[None]:
        """Translate what boto3 raises in a call of that operation into our errors.

        Args:
            operation: the name of the operation in AWS's API, such as `Sign`.
            resource: the ARN or the name of what the call is about.

        Raises:
            ResourceMissing: when the resource does not exist.
            ResourceExists: when it exists already.
            CustodyUnusable: when it exists and is disabled or scheduled for deletion.
            CustodyDenied: when AWS refuses the call for a reason that a retry does not fix.
            CustodyUnavailable: when the service throttles (`Throttled`), fails or can't be reached,
                or when there are no usable AWS credentials.
        """
        may_wait()
        try:
            yield
        except ClientError as exc:
            raise (
                self._unanswered(exc, operation)
                if is_refusal_by_issuer(exc)
                else self._refusal(exc, operation, resource)
            ) from exc
        except ParamValidationError as exc:
            raise CustodyDenied(
                f"The {operation} request to {self.service.name} has an invalid value, so boto3 did"
                " not send it.",
                hint="Check custody.url and custody.secrets_kms_key.",
            ) from exc
        except NO_ANSWER as exc:
            raise self._unanswered(exc, operation) from exc

    @property
    def where(self) -> str:
        """The service and the region, for people."""
        return f"{self.service.name} in {self.region}"

    def _unanswered(self, error: Exception, operation: str) -> CustodyUnavailable:
        why = failure(error, self.service, self.region)
        if why.is_of_credentials:
            return CustodyUnavailable(
                f"There are no usable AWS credentials for {self.where}: {why.reason}", hint=why.hint
            )
        return CustodyUnavailable(
            f"{self.service.name} {operation} in {self.region} failed: {why.reason}", hint=why.hint
        )

    def _refusal(self, error: ClientError, operation: str, resource: str) -> TokensvcError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _DENIED:
            return self._denial(error, operation, resource)
        if code in THROTTLING or status == HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled(
                f"{self.where} throttles {operation} requests.",
                hint="Try again in a few seconds. If it goes on, request a higher quota for this"
                " operation in Service Quotas.",
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in _FAILURES:
            return CustodyUnavailable(
                f"{self.where} failed to process {operation} for {resource} ({code}).",
                hint="Try again. If the error persists, check the AWS Health Dashboard.",
            )
        if code in CREDENTIALS_REJECTED:
            return CustodyUnavailable(
                f"{self.where} rejected the AWS credentials of the {operation} request ({code}).",
                hint="Renew the AWS credentials. If they are new, check the secret access key and"
                " this machine's clock.",
            )
        return self._refusal_of_resource(code, operation, resource)

    def _refusal_of_resource(self, code: str, operation: str, resource: str) -> TokensvcError:
        if code in _MISSING:
            return ResourceMissing(f"{self.where} does not have {resource}.", hint=LOST_HINT)
        if code in _EXISTS:
            return ResourceExists(f"{self.where} has {resource} already.")
        if code in _UNUSABLE:
            return CustodyUnusable(
                f"{self.where} refused {operation}: {resource} is disabled or scheduled for"
                f" deletion ({code}).",
                hint="If that was a mistake, enable it again in AWS. Otherwise replace the key pair"
                " with `tokensvc keys revoke KEY`.",
            )
        if code in _DECRYPTION:
            return CustodyDenied(
                f"{self.where} can't use the KMS key that encrypts {resource} ({code}).",
                hint="Check that this KMS key is enabled, and that its key policy allows"
                " kms:Decrypt to these AWS credentials.",
            )
        return CustodyDenied(
            f"{self.where} refused {operation} for {resource} ({code or 'no error code'}).",
            hint=f"Check custody.url and {self.service.endpoint_variable}.",
        )

    def _denial(self, error: ClientError, operation: str, resource: str) -> CustodyDenied:
        text = str(error.response.get("Error", {}).get("Message", ""))
        who, what = PRINCIPAL.search(text), _WHAT.search(text)
        action = what[1] if what else f"{self.service.boto3_name}:{operation}"
        on = (what and what[2]) or resource
        to = f" to {who[1]}" if who else ""
        by_key = (
            " The secret may be encrypted with a KMS key: then its key policy must allow"
            " kms:Decrypt, and kms:GenerateDataKey to those who create keys."
            if self.service is SECRETS_MANAGER
            else " The key policy must allow it too."
        )
        return CustodyDenied(
            f"{self.where} denied {action} on {on}{to}.",
            hint=f"Allow the action {action} on {on} in the IAM policy of these AWS credentials."
            f"{by_key}",
        )
