"""boto3 clients for Amazon IVS and the other services of AWS that this program calls.

boto3 finds credentials, regions and endpoints in its usual places: the environment, `~/.aws`, the
IAM role of the instance, `AWS_ENDPOINT_URL_IVS`. `aws_failures` says why a call got no answer.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.loaders import Loader, create_loader

from tokensvc.arns import Region
from tokensvc.aws_dates import SENT, AwsDates
from tokensvc.aws_failures import NO_ANSWER, no_answer, no_credentials
from tokensvc.aws_metering import MeteredCalls
from tokensvc.clock import Clock, SystemClock
from tokensvc.errors import IvsUnavailable
from tokensvc.meter import Meter
from tokensvc.waiting import may_wait

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ivs import IVSClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_secretsmanager import SecretsManagerClient


@dataclass(frozen=True, slots=True)
class AwsTerms:
    """Timeouts and retries of calls to AWS.

    Only botocore retries (its standard mode: throttling, 5xx and connection errors, with random
    pauses of at most 1 s, 2 s, 4 s and so on). With the defaults, a call ends within about 15 s.

    Attributes:
        connect_timeout_seconds: how long an attempt waits for a connection.
        read_timeout_seconds: how long an attempt waits for the answer.
        max_attempts: how often a call is sent, at most.
        patience_seconds: how long attempts may go on without an answer, in total. After that, a
            call that gets none is not sent again, until another one is answered.
        pool_size: how many connections to one host are kept.
    """

    connect_timeout_seconds: float = 1.0
    read_timeout_seconds: float = 3.0
    max_attempts: int = 3
    patience_seconds: float = math.inf
    pool_size: int = 10


def load_descriptions(region: Region, service: Service = "ivs") -> None:
    """Load AWS's own descriptions of the service before a fork, so that all workers share them.

    Those of IVS are 8 MB. The first call reports a mistake in the configuration of AWS.
    """
    # A client loads them when it is created, and opens no connection before its first call.
    with suppress(IvsUnavailable):
        AwsClients(AwsTerms()).endpoint(region, service)


Service = Literal["dynamodb", "ivs", "sts"]
"""The name of a service in boto3."""


@functools.cache
def _descriptions(data_path: str | None) -> Loader:
    """The loader of AWS's descriptions; it keeps what it has read, and nothing changes that."""
    return create_loader(data_path)


def session_of(core: botocore.session.Session) -> boto3.Session:
    """The session with the credentials that boto3 finds itself."""
    return boto3.Session(botocore_session=core)


class _Patience:
    """Ends the retries of calls that have gone on without an answer for too long, in total.

    So a command that calls several regions ends soon, although each call could be sent again.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = self._left_seconds = seconds
        self._clock = clock

    def limit(self, session: boto3.Session) -> None:
        """Limit the retries of all clients that this session creates from now on.

        `AwsDates` must read the answers of the session too: it notes when an attempt is sent.
        """
        session.events.register("needs-retry", self._end_retries)

    def _end_retries(
        self,
        request_dict: Mapping[str, Any],
        caught_exception: Exception | None,
        **_others: object,
    ) -> None:
        if caught_exception is None:
            self._left_seconds = self._seconds
            return
        self._left_seconds -= self._clock.monotonic() - request_dict["context"][SENT]
        if self._left_seconds <= 0:
            raise caught_exception


class AwsClients:
    """Creates each client once, at its first use, so that no socket exists before a fork.

    Args:
        terms: timeouts and retries, also of the calls that obtain credentials.
        make_session: makes the session of all clients.
        clock: the clock to compare with the dates of answers. Default: the machine's clock.
        meter: measures the calls. Default: none.

    Attributes:
        dates: the dates of the answers that all clients get.
    """

    def __init__(
        self,
        terms: AwsTerms,
        make_session: Callable[[botocore.session.Session], boto3.Session] = session_of,
        clock: Clock | None = None,
        meter: Meter | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.dates = AwsDates(clock)
        self._metered = MeteredCalls(meter or Meter(), clock)
        self._patience = _Patience(terms.patience_seconds, clock)
        self._terms = terms
        self._make_session = make_session
        self._session: boto3.Session | None = None
        self._ivs: dict[Region, IVSClient] = {}
        self._dynamodb: dict[Region, DynamoDBClient] = {}
        self._kms: dict[Region, KMSClient] = {}
        self._secrets_manager: dict[Region, SecretsManagerClient] = {}
        self._unsigned: dict[Region, IVSClient] = {}
        self._endpoints: dict[tuple[Region, Service], str] = {}
        # Creating a client is not thread-safe in a boto3 session; using a client is.
        self._lock = threading.Lock()

    def ivs(self, region: Region) -> IVSClient:
        """Return the IVS client of that region, when there are credentials for its calls.

        Expired credentials are renewed here, which may call AWS STS, a program or a file. So what
        fails in a call to IVS is not about credentials, but for one that is renewed in the call.

        Raises:
            CredentialsUnavailable: when there are no usable AWS credentials.
            IvsUnavailable: when the AWS configuration is invalid.
        """
        may_wait()
        try:
            session = self._session_with_credentials()
        except (ClientError, *NO_ANSWER) as exc:
            raise no_credentials(exc, region) from exc
        with self._lock:
            if region not in self._ivs:
                try:
                    self._ivs[region] = self._create_ivs(session, region)
                except (ClientError, *NO_ANSWER) as exc:
                    raise no_answer(exc, "client setup", region) from exc
            return self._ivs[region]

    def dynamodb(self, region: Region) -> DynamoDBClient:
        """Return the DynamoDB client of that region, when there are credentials for its calls.

        Expired credentials are renewed here, which may call AWS STS, a program or a file. What
        boto3 raises is not translated: call this in the block that translates the call's errors.
        """
        may_wait()
        session = self._session_with_credentials()
        with self._lock:
            if region not in self._dynamodb:
                self._dynamodb[region] = session.client(
                    "dynamodb", region_name=region, config=self._config().merge(self._for_calls())
                )
            return self._dynamodb[region]

    def kms(self, region: Region) -> KMSClient:
        """Return the KMS client of that region. Like `dynamodb`, it translates no exception."""
        may_wait()
        session = self._session_with_credentials()
        with self._lock:
            if region not in self._kms:
                self._kms[region] = session.client(
                    "kms", region_name=region, config=self._config().merge(self._for_calls())
                )
            return self._kms[region]

    def secrets_manager(self, region: Region) -> SecretsManagerClient:
        """Return the client of Secrets Manager there. It translates no exception either."""
        may_wait()
        session = self._session_with_credentials()
        with self._lock:
            if region not in self._secrets_manager:
                self._secrets_manager[region] = session.client(
                    "secretsmanager",
                    region_name=region,
                    config=self._config().merge(self._for_calls()),
                )
            return self._secrets_manager[region]

    def endpoint(self, region: Region, service: Service = "ivs") -> str:
        """Return the URL of a service in that region, also while there are no credentials.

        Raises:
            IvsUnavailable: when the AWS configuration is invalid.
        """
        if (region, service) not in self._endpoints:
            try:
                client = self._new_session().client(
                    service,
                    region_name=region,
                    aws_access_key_id="unused",
                    aws_secret_access_key="unused",  # noqa: S106 # Nothing is sent.
                )
            except NO_ANSWER as exc:
                raise no_answer(exc, "client setup", region) from exc
            self._endpoints[region, service] = endpoint_of(client)
        return self._endpoints[region, service]

    def ask_unsigned(self, region: Region) -> None:
        """Send IVS one request without a signature, and return after any answer.

        IVS refuses it, and the refusal has a date. It needs no credentials.

        Raises:
            IvsUnavailable: when there is no answer.
        """
        may_wait()
        try:
            with self._lock:
                if region not in self._unsigned:
                    self._unsigned[region] = self._create_unsigned(region)
                client = self._unsigned[region]
            client.list_playback_key_pairs(maxResults=1)
        except ClientError:
            return
        except NO_ANSWER as exc:
            raise no_answer(exc, "ListPlaybackKeyPairs", region) from exc

    def account_id(self, region: Region) -> str:
        """Return the ID of the account that the credentials belong to, as AWS STS says.

        Raises:
            CredentialsUnavailable: when there are no usable AWS credentials.
            IvsUnavailable: when STS does not answer.
        """
        may_wait()
        try:
            client = self._session_with_credentials().client(
                "sts", region_name=region, config=self._config()
            )
            return str(client.get_caller_identity()["Account"])
        except (ClientError, *NO_ANSWER) as exc:
            raise no_credentials(exc, region) from exc

    def close(self) -> None:
        """Close the connections of every client; a later call opens new ones."""
        with self._lock:
            for client in (
                *self._ivs.values(),
                *self._dynamodb.values(),
                *self._kms.values(),
                *self._secrets_manager.values(),
                *self._unsigned.values(),
            ):
                client.close()
            self._ivs.clear()
            self._dynamodb.clear()
            self._kms.clear()
            self._secrets_manager.clear()
            self._unsigned.clear()
            self._endpoints.clear()

    def _session_with_credentials(self) -> boto3.Session:
        with self._lock:
            session = self._session or self._new_session()
            credentials = session.get_credentials()
            # A client that is created without credentials never looks for them again. Raising here,
            # and keeping no session, means that credentials which are configured later are found.
            if credentials is None:
                raise NoCredentialsError
            self._session = session
        credentials.get_frozen_credentials()
        return session

    def _new_session(self) -> boto3.Session:
        core = botocore.session.get_session()
        core.register_component("data_loader", _descriptions(core.get_config_variable("data_path")))
        # For the clients that botocore makes itself, to call AWS STS and IAM Identity Center: their
        # own limit would be 60 s for each of five attempts.
        core.set_default_client_config(self._config())
        session = self._make_session(core)
        self.dates.read_answers_of(session)
        self._metered.read_answers_of(session)
        self._patience.limit(session)
        return session

    def _create_ivs(self, session: boto3.Session, region: Region) -> IVSClient:
        return session.client(
            "ivs", region_name=region, config=self._config().merge(self._for_calls())
        )

    def _create_unsigned(self, region: Region) -> IVSClient:
        """The client of that region whose requests are not signed, and are sent once."""
        more = Config(
            signature_version=UNSIGNED,
            retries={"total_max_attempts": 1},
            user_agent_extra="tokensvc",
        )
        return self._new_session().client(
            "ivs",
            region_name=region,
            # botocore would look for credentials, and may call a program or STS for them.
            aws_access_key_id="unused",
            aws_secret_access_key="unused",  # noqa: S106 # Nothing is signed.
            config=self._config().merge(more),
        )

    def _for_calls(self) -> Config:
        return Config(max_pool_connections=self._terms.pool_size, user_agent_extra="tokensvc")

    def _config(self) -> Config:
        return Config(
            connect_timeout=self._terms.connect_timeout_seconds,
            read_timeout=self._terms.read_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": self._terms.max_attempts},
        )


def endpoint_of(client: BaseClient) -> str:
    """Return the URL that the client calls: AWS's own, or the one of `AWS_ENDPOINT_URL_IVS`."""
    return client.meta.endpoint_url
