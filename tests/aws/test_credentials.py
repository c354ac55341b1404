"""AWS credentials that can't be had: one kind of error, which blames the right party."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from botocore import exceptions as raised
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.aws import set_aws_environment
from tests.support.faulty_server import Answer, Fault, faulty_server
from tokensvc.arns import Region
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.aws_failures import CredentialsUnavailable, has_cause_of_its_own
from tokensvc.errors import IvsUnavailable
from tokensvc.ivs.translation import translate_errors

OREGON = Region("us-west-2")
ROLE = "arn:aws:iam::123456789012:role/ivs-signer"
ONE_TRY = AwsTerms(connect_timeout_seconds=1.0, read_timeout_seconds=2.0, max_attempts=1)
STATIC = "[default]\naws_access_key_id = example\naws_secret_access_key = example\n"

# botocore's exceptions that no call of this program can raise.
OF_OTHER_SERVICES = {
    "AwsChunkedWrapperError",
    "ChecksumError",
    "FlexibleChecksumError",
    "InvalidDNSNameError",
    "InvalidS3AddressingStyleError",
    "InvalidS3UsEast1RegionalEndpointConfigError",
    "MD5UnavailableError",
    "UnseekableStreamError",
    "UnsupportedOutpostResourceError",
    "UnsupportedS3AccesspointConfigurationError",
    "UnsupportedS3ArnError",
    "UnsupportedS3ConfigurationError",
    "UnsupportedS3ControlArnError",
    "UnsupportedS3ControlConfigurationError",
}
OF_FEATURES_NOT_USED_HERE = {
    "CapacityNotAvailableError",  # The adaptive mode of retries.
    "InvalidEndpointDiscoveryConfigurationError",
    "InvalidExpressionError",
    "InvalidProxiesConfigError",  # The argument proxies_config.
    "OperationNotPageableError",
    "StubAssertionError",
    "StubResponseError",
    "UnStubbedResponseError",
    "UnknownClientMethodError",
    "WaiterConfigError",
    "WaiterError",
}
OF_A_REQUEST_THAT_BREAKS_THE_MODEL = {
    "AliasConflictParameterError",
    "MissingParametersError",
    "ParamValidationError",
    "RangeError",
    "UnknownKeyError",
    "UnknownParameterError",
    "ValidationError",
}
WITHOUT_MEANING = {"BotoCoreError", "PaginationError", "UnknownServiceStyle"}


@pytest.fixture
def clients() -> Iterator[AwsClients]:
    """Clients that try once and wait at most 0.3 s."""
    with closing(AwsClients(ONE_TRY)) as clients:
        yield clients


def refused(clients: AwsClients) -> CredentialsUnavailable:
    """The error of the clients; a request to IVS would be refused by the closed port."""
    with pytest.raises(CredentialsUnavailable) as caught:
        clients.ivs(OREGON)
    assert caught.value.code == "ivs_unavailable"
    assert caught.value.hint
    return caught.value


def set_config(monkeypatch: pytest.MonkeyPatch, folder: Path, config: str, **more: str) -> None:
    """An environment with this content of `~/.aws/config` and nothing else."""
    (folder / "config").write_text(config)
    set_aws_environment(monkeypatch, folder, AWS_CONFIG_FILE=str(folder / "config"), **more)
    monkeypatch.setenv("HOME", str(folder))


def web_identity(folder: Path, **more: str) -> dict[str, str]:
    """The variables of a pod with a role for its service account."""
    return {
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token"),
        "AWS_REGION": OREGON,
        **more,
    }


def sts_error(code: str) -> bytes:
    """An error in the format of AWS STS."""
    return f"<ErrorResponse><Error><Code>{code}</Code></Error></ErrorResponse>".encode()


def test_a_missing_token_file_is_named(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A raw FileNotFoundError otherwise. It is found once it is there."""
    with faulty_server(Answer(403, sts_error("AccessDenied"))) as sts:
        variables = web_identity(tmp_path, AWS_ENDPOINT_URL_STS=sts.url)
        set_aws_environment(monkeypatch, tmp_path, **variables)
        error = refused(clients)
        assert str(tmp_path / "token") in error.detail
        assert "AWS_WEB_IDENTITY_TOKEN_FILE" in error.hint
        assert sts.requests == []
        (tmp_path / "token").write_text("header.payload.signature")
        refused(clients)
        assert len(sts.requests) == 1


EXPIRED = """echo '{"Version": 1, "AccessKeyId": "example", "SecretAccessKey": "example", \
"SessionToken": "example", "Expiration": "2020-01-01T00:00:00Z"}'"""


@pytest.mark.parametrize(
    ("process", "named"),
    [
        ("/absent/program --x", "/absent/program"),
        ("false", "custom-process"),
        ("echo no JSON", "JSONDecodeError"),
        ("echo [1]", "AttributeError"),
        ("""echo '{"Version": 1}'""", "custom-process"),
        ("echo 'not closed", "ValueError"),
        (EXPIRED, "expired"),
    ],
    ids=["missing", "fails", "text", "list", "incomplete", "quoting", "expired"],
)
def test_a_credential_process_that_does_not_work_is_not_reported_as_another_server(
    process: str,
    named: str,
    clients: AwsClients,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The detail names the program, or the part that failed."""
    config = f"[profile signer]\ncredential_process = {process}\n"
    set_config(monkeypatch, tmp_path, config, AWS_PROFILE="signer")
    error = refused(clients)
    assert named in error.detail
    assert "AWS_ENDPOINT_URL_IVS" not in str(error)


CIRCLE = """source_profile = b
[profile b]
role_arn = x
source_profile = c
[profile c]
role_arn = x
source_profile = b"""
NEVER_SIGNED_IN = """sso_start_url = https://example.awsapps.com/start
sso_region = us-west-2
sso_account_id = 123456789012
sso_role_name = signer"""


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (f"role_arn = {ROLE}", "source_profile"),
        (f"role_arn = {ROLE}\nsource_profile = absent", "incomplete"),
        (f"role_arn = {ROLE}\ncredential_source = Moon", "incomplete"),
        (f"role_arn = {ROLE}\n{CIRCLE}", "circle"),
        ("aws_access_key_id = example", "aws_secret_access_key"),
        ("sso_account_id = 123456789012\nsso_role_name = x", "incomplete"),
        (NEVER_SIGNED_IN, "IAM Identity Center"),
        ("login_session = arn:aws:iam::123456789012:user/x", "sign-in"),
    ],
)
def test_an_incomplete_profile_is_named(
    config: str, named: str, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The detail says what is missing."""
    set_config(monkeypatch, tmp_path, f"[profile signer]\n{config}\n", AWS_PROFILE="signer")
    assert named in refused(clients).detail


def test_a_profile_that_is_corrected_is_read_again(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A running worker needs no restart."""
    set_config(monkeypatch, tmp_path, "[default]\naws_access_key_id = example\n")
    refused(clients)
    (tmp_path / "config").write_text(STATIC)
    assert clients.ivs(OREGON) is clients.ivs(OREGON)


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidIdentityToken", "Throttling"])
def test_what_sts_refuses_is_reported_as_its_refusal(
    code: str, clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the operation, the role and the profile: no permission of IVS is missing."""
    (tmp_path / "token").write_text("header.payload.signature")
    with faulty_server(Answer(403, sts_error(code))) as sts:
        variables = web_identity(tmp_path, AWS_ENDPOINT_URL_STS=sts.url)
        set_aws_environment(monkeypatch, tmp_path, **variables)
        error = refused(clients)
    for named in ("AWS STS", "AssumeRoleWithWebIdentity", code, ROLE, "default"):
        assert named in error.detail
    assert "ivs:" not in error.hint


@pytest.mark.parametrize(
    ("operation", "issuer"),
    [
        ("AssumeRole", "AWS STS"),
        ("GetCallerIdentity", "AWS STS"),
        ("GetRoleCredentials", "IAM Identity Center"),
        ("CreateOAuth2Token", "AWS Sign-In"),
    ],
)
def test_a_refusal_in_the_middle_of_a_call_is_not_one_of_ivs(operation: str, issuer: str) -> None:
    """Credentials can expire between the check and the request."""
    error = ClientError(
        {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}},  # type: ignore[typeddict-item] # The other members do not matter.
        operation,
    )
    with (
        pytest.raises(CredentialsUnavailable, match=f"{issuer} refused {operation} .*AccessDenied"),
        translate_errors("GetChannel", OREGON),
    ):
        raise error


def test_an_sts_that_hangs_is_waited_for_as_long_as_ivs(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At most 0.3 s here; botocore's own limit is 60 s for each of five attempts."""
    (tmp_path / "token").write_text("header.payload.signature")
    started = time.monotonic()
    with faulty_server(Fault.NO_RESPONSE) as sts:
        variables = web_identity(tmp_path, AWS_ENDPOINT_URL_STS=sts.url)
        set_aws_environment(monkeypatch, tmp_path, **variables)
        error = refused(clients)
    assert time.monotonic() - started < 10
    assert sts.url in error.detail


def test_a_proxy_that_refuses_is_named_without_its_password(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """HTTPS to IVS through a proxy that answers CONNECT with an error."""
    with faulty_server(Answer(403)) as proxy:
        address = proxy.url.removeprefix("http://")
        set_aws_environment(
            monkeypatch,
            tmp_path,
            AWS_ACCESS_KEY_ID="example",
            AWS_SECRET_ACCESS_KEY="example",
            HTTPS_PROXY=f"http://user:secret@{address}",
        )
        client = clients.ivs(OREGON)
        with pytest.raises(IvsUnavailable) as caught, translate_errors("ListChannels", OREGON):
            client.list_channels()
    assert "the proxy 127.0.0.1" in caught.value.detail
    assert "HTTPS_PROXY" in caught.value.hint
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])
def test_a_credential_with_a_line_break_is_no_fault_of_the_network(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """As from a Kubernetes secret that was made from a file. It can't be sent as a header."""
    with faulty_server(Answer(200)) as server:
        variables = {
            "AWS_ACCESS_KEY_ID": "example",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_ENDPOINT_URL_IVS": server.url,
            variable: "hidden\n",
        }
        set_aws_environment(monkeypatch, tmp_path, **variables)
        client = clients.ivs(OREGON)
        with (
            pytest.raises(CredentialsUnavailable) as caught,
            translate_errors("ListChannels", OREGON),
        ):
            client.list_channels()
    assert variable in caught.value.hint
    assert "hidden" not in str(caught.value)


def test_the_endpoint_is_known_without_credentials(
    clients: AwsClients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A ring is bound to it, and an emergency must not wait for credentials."""
    set_aws_environment(monkeypatch, tmp_path, **web_identity(tmp_path))
    assert clients.endpoint(OREGON) == "https://ivs.us-west-2.amazonaws.com"


def test_every_failure_of_botocore_before_a_request_has_its_own_cause() -> None:
    """An exception that a newer botocore adds gets a row, or is listed here."""
    kinds = [
        kind
        for kind in vars(raised).values()
        if isinstance(kind, type) and issubclass(kind, BotoCoreError)
    ]
    unexplained = {kind.__name__ for kind in kinds if not has_cause_of_its_own(kind)}
    assert unexplained == (
        OF_OTHER_SERVICES
        | OF_FEATURES_NOT_USED_HERE
        | OF_A_REQUEST_THAT_BREAKS_THE_MODEL
        | WITHOUT_MEANING
    )


def test_an_mfa_code_without_a_terminal_is_refused_without_a_traceback(tmp_path: Path) -> None:
    """As a scheduled job runs: no terminal, and nothing on standard input."""
    config = (
        f"[default]\nrole_arn = {ROLE}\nsource_profile = base\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/operator\n"
        f"{STATIC.replace('default', 'profile base')}"
    )
    (tmp_path / "config").write_text(config)
    environment = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": OREGON,
        "HOME": str(tmp_path),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "tokensvc", "channels", "list"],
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "MFA" in ended.stderr
    assert "Traceback" not in ended.stderr
