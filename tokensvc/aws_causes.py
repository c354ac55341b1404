"""What the exceptions of boto3 mean for operators, as tables: `aws_failures` chooses the row.

Most failures happen before a request leaves: credentials that can't be read, a proxy, a region
without an endpoint. Each of botocore's exceptions for them has a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from botocore import exceptions as raised
from botocore.parsers import ResponseParserError

# JSON of an unexpected shape makes botocore, or the code that reads the answer, raise these.
WRONG_SHAPE = (
    AttributeError,
    LookupError,
    ResponseParserError,
    TypeError,
    UnicodeDecodeError,
)


@dataclass(frozen=True, slots=True)
class Cause:
    """What some exceptions mean. In the sentences, `{name}` is filled in by `aws_failures`."""

    kinds: tuple[type[Exception], ...]
    reason: str
    hint: str


UNSENDABLE_CREDENTIALS: Final = Cause(
    (),  # botocore has no exception for it: see `aws_failures`.
    "one has a character that no HTTP header can have, such as a line break.",
    "Remove it from AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN, or from the profile {profile}. A file"
    " or a secret that they are read from usually ends with a line break.",
)
NO_CREDENTIALS: Final = (
    UNSENDABLE_CREDENTIALS,
    Cause(
        (raised.NoCredentialsError,),
        "none were found (profile {profile}).",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, set AWS_PROFILE, or use an IAM role. If"
        " the profile {profile} should have them, complete it in the files in ~/.aws.",
    ),
    Cause(
        (raised.ProfileNotFound,),
        "the profile {profile} does not exist.",
        "Correct AWS_PROFILE, or add the profile to the files in ~/.aws.",
    ),
    Cause(
        (raised.PartialCredentialsError,),
        "{missing} is missing, but other values are set ({provider}).",
        "Set {missing} too, or remove the other values. Check the environment, AWS_PROFILE and the"
        " files in ~/.aws.",
    ),
    Cause(
        (raised.InfiniteLoopConfigError,),
        "the profiles refer to each other in a circle ({source_profile}).",
        "Correct source_profile in the files in ~/.aws.",
    ),
    Cause(
        (raised.InvalidConfigError, raised.UnknownCredentialError),
        "the profile {profile} is incomplete, or its values contradict each other ({kind}).",
        "Check role_arn, source_profile, credential_source, web_identity_token_file and the values"
        " with sso_ of that profile in ~/.aws/config.",
    ),
    Cause(
        (raised.ConfigParseError, raised.ConfigNotFound),
        "the file {path} can't be parsed or found.",
        "Correct the file, or AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE.",
    ),
    Cause(
        (raised.CredentialRetrievalError,),
        "their source failed ({provider}, profile {profile}).",
        "For custom-process, run the credential_process of the profile as the user of this process:"
        " it must print JSON with Version 1. For container-role and iam-role, check the role of the"
        " container or instance.",
    ),
    Cause(
        (
            raised.MetadataRetrievalError,
            raised.InvalidIMDSEndpointError,
            raised.InvalidIMDSEndpointModeError,
        ),
        "the metadata service of the instance or container did not return them ({kind}).",
        "Check the role of the instance or container, and the variables with"
        " AWS_EC2_METADATA_SERVICE and AWS_CONTAINER_CREDENTIALS.",
    ),
    Cause(
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
    Cause(
        (raised.LoginInsufficientPermissions,),
        "AWS Sign-In did not allow the profile {profile} to renew them.",
        "Allow the action signin:CreateOAuth2Token, then run `aws login --profile {profile}`.",
    ),
    Cause(
        (raised.LoginError,),
        "the sign-in of the profile {profile} is missing or expired ({kind}).",
        "Run `aws login --profile {profile}`. A service should use an IAM role instead.",
    ),
    Cause(
        (raised.MissingDependencyException,),
        "boto3 lacks a package that the profile {profile} needs.",
        "Install it with `pip install 'botocore[crt]'`, or use another kind of credentials.",
    ),
    Cause(
        (EOFError, raised.RefreshWithMFAUnsupportedError),
        "the profile {profile} needs an MFA code, and no terminal is here to type it.",
        "Use credentials that need no code, such as an IAM role. Or set temporary ones, which"
        " `aws sts get-session-token` prints.",
    ),
    Cause(
        (OSError,),
        "{file} can't be read or run ({system_error}).",
        "Check AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, and"
        " credential_process and web_identity_token_file of the profile {profile}: the user of this"
        " process must be able to read or run what they name.",
    ),
    Cause(
        (RuntimeError,),
        "their source returned credentials that have expired already.",
        "Renew them at their source, and check this machine's clock.",
    ),
)
NO_REQUEST: Final = (
    Cause(
        (raised.ProxyConnectionError,),
        "the proxy {proxy} can't be reached, or refused the connection.",
        "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and whether the proxy allows the connection.",
    ),
    Cause(
        (raised.SSLError,),
        "the TLS certificate of {endpoint} can't be verified.",
        "Check AWS_CA_BUNDLE and this machine's clock. A proxy that inspects TLS has a certificate"
        " authority of its own, which AWS_CA_BUNDLE must name.",
    ),
    Cause(
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
    Cause(
        (raised.InvalidSTSRegionalEndpointsConfigError,),
        "AWS_STS_REGIONAL_ENDPOINTS has a value that boto3 does not know.",
        "Set AWS_STS_REGIONAL_ENDPOINTS to regional, or unset it. Check sts_regional_endpoints in"
        " ~/.aws/config too.",
    ),
    Cause(
        (raised.InvalidRetryConfigurationError, raised.InvalidDefaultsMode),
        "the mode of retries or defaults is one that boto3 does not know ({kind}).",
        "Check AWS_RETRY_MODE, AWS_MAX_ATTEMPTS and AWS_DEFAULTS_MODE, and the same settings in"
        " ~/.aws/config.",
    ),
    Cause(
        (raised.InvalidChecksumConfigError,),
        "the setting of request or response checksums is one that boto3 does not know.",
        "Check AWS_REQUEST_CHECKSUM_CALCULATION and AWS_RESPONSE_CHECKSUM_VALIDATION.",
    ),
    Cause(
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
    Cause(
        (raised.ConnectionError, raised.HTTPClientError, raised.IncompleteReadError),
        "{endpoint} can't be reached, or did not answer in time ({kind}).",
        "Check the network and any proxy. If {endpoint_variable} or AWS_ENDPOINT_URL_STS is set,"
        " check its value.",
    ),
)
UNREADABLE_CREDENTIALS: Final = Cause(
    (Exception,),
    "what their source returned can't be read ({kind}).",
    "Check the files in ~/.aws, what credential_process of the profile {profile} prints, and"
    " AWS_CONTAINER_CREDENTIALS_FULL_URI.",
)
NOT_THE_SERVICE: Final = Cause(
    WRONG_SHAPE,
    "the server that answered is not {service}.",
    "Check {endpoint_variable}, AWS_ENDPOINT_URL and any proxy.",
)
BAD_CONFIGURATION: Final = Cause(
    (Exception,),
    "boto3 can't use the AWS configuration ({kind}).",
    "Check the region and {endpoint_variable} (a URL such as http://127.0.0.1:8001).",
)
