"""Why a call to AWS got no answer, for operators: whose fault it is, and what to check.

Most failures happen before a request leaves: credentials that can't be read, a proxy, a region
without an endpoint. Each of botocore's exceptions for them has a row in one of the tables below.
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
from botocore.parsers import ResponseParserError

from tokensvc.arns import Region
from tokensvc.errors import IvsUnavailable

# JSON of an unexpected shape makes botocore, or the code that reads the answer, raise these.
_WRONG_SHAPE = (
    AttributeError,
    LookupError,
    ResponseParserError,
    TypeError,
    UnicodeDecodeError,
)
NO_ANSWER = (
    BotoCoreError,
    ValueError,
    *_WRONG_SHAPE,
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


class CredentialsUnavailable(IvsUnavailable):
    """Raised when there are no usable AWS credentials, so that no request to IVS was sent."""


@dataclass(frozen=True, slots=True)
class _Cause:
    """What some exceptions mean. In the sentences, `{name}` is one of `_fields`."""

    kinds: tuple[type[Exception], ...]
    reason: str
    hint: str


_NO_CREDENTIALS: Final = (
    _Cause(
        (raised.NoCredentialsError,),
        "none were found.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, set AWS_PROFILE, or use an IAM role.",
    ),
    _Cause(
        (raised.ProfileNotFound,),
        "the profile {profile} does not exist.",
        "Correct AWS_PROFILE, or add the profile to the files in ~/.aws.",
    ),
    _Cause(
        (raised.PartialCredentialsError,),
        "{missing} is missing, but other values are set ({provider}).",
        "Set {missing} too, or remove the other values. Check the environment, AWS_PROFILE and the"
        " files in ~/.aws.",
    ),
    _Cause(
        (raised.InfiniteLoopConfigError,),
        "the profiles refer to each other in a circle ({source_profile}).",
        "Correct source_profile in the files in ~/.aws.",
    ),
    _Cause(
        (raised.InvalidConfigError, raised.UnknownCredentialError),
        "the profile {profile} is incomplete, or its values contradict each other ({kind}).",
        "Check role_arn, source_profile, credential_source, web_identity_token_file and the values"
        " with sso_ of that profile in ~/.aws/config.",
    ),
    _Cause(
        (raised.ConfigParseError, raised.ConfigNotFound),
        "the file {path} can't be parsed or found.",
        "Correct the file, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE.",
    ),
    _Cause(
        (raised.CredentialRetrievalError,),
        "their source failed ({provider}, profile {profile}).",
        "For custom-process, run the credential_process of the profile as the user of this process:"
        " it must print JSON with Version 1. For container-role and iam-role, check the role of the"
        " container or instance.",
    ),
    _Cause(
        (
            raised.MetadataRetrievalError,
            raised.InvalidIMDSEndpointError,
            raised.InvalidIMDSEndpointModeError,
        ),
        "the metadata service of the instance or container did not return them ({kind}).",
        "Check the role of the instance or container, and the variables with"
        " AWS_EC2_METADATA_SERVICE and AWS_CONTAINER_CREDENTIALS.",
    ),
    _Cause(
        (
            raised.SSOError,
            raised.TokenRetrievalError,
            raised.NoAuthTokenError,
            raised.UnknownTokenProviderError,
        ),
        "the sign-in to IAM Identity Center of the profile {profile} is missing or expired"
        " ({kind}).",
        "Run `aws sso login --profile {profile}`. A service should use an IAM role instead.",
    ),
    _Cause(
        (raised.LoginInsufficientPermissions,),
        "AWS Sign-In did not allow the profile {profile} to renew them.",
        "Allow the action signin:CreateOAuth2Token, then run `aws login --profile {profile}`.",
    ),
    _Cause(
        (raised.LoginError,),
        "the sign-in of the profile {profile} is missing or expired ({kind}).",
        "Run `aws login --profile {profile}`. A service should use an IAM role instead.",
    ),
    _Cause(
        (raised.MissingDependencyException,),
        "boto3 lacks a package that the profile {profile} needs.",
        "Install it with `pip install 'botocore[crt]'`, or use another kind of credentials.",
    ),
    _Cause(
        (EOFError, raised.RefreshWithMFAUnsupportedError),
        "the profile {profile} needs an MFA code, and no terminal is here to type it.",
        "Use credentials that need no code, such as an IAM role. Or set temporary ones, which"
        " `aws sts get-session-token` prints.",
    ),
    _Cause(
        (OSError,),
        "{file} can't be read or run ({system_error}).",
        "Check AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, and"
        " credential_process and web_identity_token_file of the profile {profile}: the user of this"
        " process must be able to read or run what they name.",
    ),
    _Cause(
        (RuntimeError,),
        "their source returned credentials that have expired already.",
        "Renew them at their source, and check this machine's clock.",
    ),
)
_NO_REQUEST: Final = (
    _Cause(
        (raised.ProxyConnectionError,),
        "the proxy {proxy} can't be reached, or refused the connection.",
        "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and whether the proxy allows the connection.",
    ),
    _Cause(
        (raised.SSLError,),
        "the TLS certificate of {endpoint} can't be verified.",
        "Check AWS_CA_BUNDLE and this machine's clock. A proxy that inspects TLS has a certificate"
        " authority of its own, which AWS_CA_BUNDLE must name.",
    ),
    _Cause(
        (
            raised.BaseEndpointResolverError,
            raised.EndpointProviderError,
            raised.InvalidEndpointConfigurationError,
            raised.InvalidHostLabelError,
            raised.InvalidRegionError,
            raised.ServiceNotInRegionError,
            raised.UnknownRegionError,
        ),
        "boto3 knows no endpoint for this region and configuration ({kind}).",
        "Check the region, AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT and"
        " AWS_STS_REGIONAL_ENDPOINTS.",
    ),
    _Cause(
        (raised.InvalidSTSRegionalEndpointsConfigError,),
        "AWS_STS_REGIONAL_ENDPOINTS has a value that boto3 does not know.",
        "Set AWS_STS_REGIONAL_ENDPOINTS to regional, or unset it. Check sts_regional_endpoints in"
        " ~/.aws/config too.",
    ),
    _Cause(
        (raised.InvalidRetryConfigurationError, raised.InvalidDefaultsMode),
        "the mode of retries or defaults is one that boto3 does not know ({kind}).",
        "Check AWS_RETRY_MODE, AWS_MAX_ATTEMPTS and AWS_DEFAULTS_MODE, and the same settings in"
        " ~/.aws/config.",
    ),
    _Cause(
        (raised.InvalidChecksumConfigError,),
        "the setting of request or response checksums is one that boto3 does not know.",
        "Check AWS_REQUEST_CHECKSUM_CALCULATION and AWS_RESPONSE_CHECKSUM_VALIDATION.",
    ),
    _Cause(
        (
            raised.ApiVersionNotFoundError,
            raised.DataNotFoundError,
            raised.UndefinedModelAttributeError,
            raised.UnknownSignatureVersionError,
            raised.UnsupportedServiceProtocolsError,
            raised.UnsupportedSignatureVersionError,
        ),
        "the installed boto3 has no usable model of the service ({kind}).",
        "Install boto3 and botocore again, in one version, and check AWS_DATA_PATH.",
    ),
    _Cause(
        (raised.ConnectionError, raised.HTTPClientError, raised.IncompleteReadError),
        "{endpoint} can't be reached, or did not answer in time ({kind}).",
        "Check the network and any proxy. If AWS_ENDPOINT_URL_IVS or AWS_ENDPOINT_URL_STS is set,"
        " check its value.",
    ),
)
_UNREADABLE_CREDENTIALS: Final = _Cause(
    (Exception,),
    "what their source returned can't be read ({kind}).",
    "Check the files in ~/.aws, and what credential_process of the profile {profile} prints.",
)
_NOT_IVS: Final = _Cause(
    _WRONG_SHAPE,
    "the server that answered is not Amazon IVS.",
    "Check AWS_ENDPOINT_URL_IVS, AWS_ENDPOINT_URL and any proxy.",
)
_BAD_CONFIGURATION: Final = _Cause(
    (Exception,),
    "boto3 can't use the AWS configuration ({kind}).",
    "Check the region and AWS_ENDPOINT_URL_IVS (a URL such as http://127.0.0.1:8001).",
)


def no_credentials(error: Exception, region: Region) -> CredentialsUnavailable:
    """The error when AWS credentials can't be had, because of that exception of boto3."""
    if isinstance(error, ClientError):
        reason, hint = _refusal_by_issuer(error)
    else:
        cause = _first_cause(error, (*_NO_REQUEST, *_NO_CREDENTIALS, _UNREADABLE_CREDENTIALS))
        reason, hint = _sentences(cause, error)
    return CredentialsUnavailable(
        f"There are no usable AWS credentials for Amazon IVS in {region}: {reason}", hint=hint
    )


def no_answer(error: Exception, operation: str, region: Region) -> IvsUnavailable:
    """The error for an operation of IVS that got no answer, because of a `NO_ANSWER` error.

    It is a `CredentialsUnavailable` when the credentials are the cause.
    """
    causes = (*_NO_REQUEST, *_NO_CREDENTIALS, _NOT_IVS, _BAD_CONFIGURATION)
    cause = _first_cause(error, causes)
    if cause in _NO_CREDENTIALS:
        return no_credentials(error, region)
    reason, hint = _unknown_region(error, region) or _sentences(cause, error)
    return IvsUnavailable(f"Amazon IVS {operation} in {region} failed: {reason}", hint=hint)


def is_refusal_by_issuer(error: ClientError) -> bool:
    """Whether a system that issues credentials refused, and not IVS."""
    return error.operation_name in _ISSUER_OF_OPERATION


def has_cause_of_its_own(kind: type[Exception]) -> bool:
    """Whether exceptions of that class have their own row in a table."""
    return any(issubclass(kind, cause.kinds) for cause in (*_NO_REQUEST, *_NO_CREDENTIALS))


def _first_cause(error: Exception, causes: Iterable[_Cause]) -> _Cause:
    return next(cause for cause in causes if isinstance(error, cause.kinds))


def _sentences(cause: _Cause, error: Exception) -> tuple[str, str]:
    """The reason and the hint of that cause, with the values of the exception."""
    fields = _fields(error)
    return cause.reason.format_map(fields), cause.hint.format_map(fields)


def _fields(error: Exception) -> Mapping[str, str]:
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


def _unknown_region(error: Exception, region: Region) -> tuple[str, str] | None:
    """The reason and the hint when the host of a region can't be found that boto3 doesn't list."""
    if not isinstance(error, raised.EndpointConnectionError):
        return None
    endpoint = str(error.kwargs.get("endpoint_url", ""))
    known = boto3.Session().get_available_regions("ivs")
    # An older boto3 can lack a new region, so its list explains a failure and never causes one.
    if region not in endpoint or region in known:
        return None
    return (
        f"{endpoint} can't be reached, and {region} is not in boto3's list of IVS regions.",
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
