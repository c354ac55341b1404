"""DynamoDB slow, throttled, down, hanging or denying: the error of each operation of the state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.aws import set_aws_environment
from tests.support.clock import ManualClock
from tests.support.dynalite import Dynalite
from tests.support.faulty_server import Answer, Fault, FaultyServer, faulty_server
from tests.support.lossy_proxy import Call, Fate, lossy_proxy
from tests.support.tables import REGION, Table, table_with_state
from tokensvc.aws import AwsClients, AwsTerms
from tokensvc.errors import StateConflict, StateMissing, StateRefused, StateUnavailable
from tokensvc.state.base import NEW, Record
from tokensvc.state.dynamodb import RECORD_TERMS, DynamoDbState
from tokensvc.state.dynamodb_address import TableAddress
from tokensvc.waiting import MustWait, no_waiting

SHORT = AwsTerms(connect_timeout_seconds=0.3, read_timeout_seconds=1.0, max_attempts=1)
ONE = Record("one", "", 4e9)
OPERATIONS: dict[str, Callable[[DynamoDbState], object]] = {
    "GetItem of a version": lambda state: state.version("ring"),
    "GetItem of a document": lambda state: state.load("ring"),
    "GetItem of a save": lambda state: state.save("ring", "", replacing=NEW),
    "GetItem of a record": lambda state: state.record("channel", "one"),
    "BatchGetItem of records": lambda state: state.read_many("channel", ["one"]),
    "PutItem of a record": lambda state: state.put_if("channel", ONE, replacing=None),
    "Query of versions": lambda state: state.versions(),
    "Query of records": lambda state: state.records("channel"),
    "BatchWriteItem of a put": lambda state: state.put_many("channel", [ONE]),
    "BatchWriteItem of a removal": lambda state: state.remove_many("channel", ["one"]),
}
NAMES = [name.partition(" ")[0] for name in OPERATIONS]


def refusal(code: str, message: str = "No.", status: int = 400) -> Answer:
    """An error in DynamoDB's format."""
    kind = f"com.amazonaws.dynamodb.v20120810#{code}"
    return Answer(status, {"__type": kind, "message": message}, request_id="request-1")


DENIED = refusal(
    "AccessDeniedException",
    "User: arn:aws:sts::123456789012:assumed-role/minter/i-0abc is not authorized to perform:"
    " dynamodb:GetItem on resource: x because no identity-based policy allows it",
)


@pytest.fixture
def resources() -> Iterator[ExitStack]:
    """Closes servers and states."""
    with ExitStack() as resources:
        yield resources


def state_at(url: str, resources: ExitStack, terms: AwsTerms = SHORT) -> DynamoDbState:
    """A state at that server, which has inspected its table before."""
    table = Table(url, TableAddress(REGION, "tokensvc"), opened=resources)
    state = table.state(terms=terms)
    state._inspected = True
    return state


def failed(
    script: Answer | Fault, call: Callable[[DynamoDbState], object], resources: ExitStack
) -> StateUnavailable:
    """The error of the call, of a server with that script."""
    server = resources.enter_context(faulty_server(script))
    with pytest.raises(StateUnavailable) as failure:
        call(state_at(server.url, resources))
    assert failure.value.hint
    assert failure.value.retry_after_seconds == 5
    return failure.value


@pytest.mark.parametrize(
    ("call", "operation"), list(zip(OPERATIONS.values(), NAMES, strict=True)), ids=OPERATIONS
)
@pytest.mark.parametrize(
    "script",
    [
        refusal("ProvisionedThroughputExceededException"),
        Fault.NO_RESPONSE,
        Answer(200, b"<h1>Welcome</h1>"),
    ],
    ids=["throttled", "hangs", "page of a proxy"],
)
def test_every_operation_names_the_call_and_the_table(
    script: Answer | Fault,
    call: Callable[[DynamoDbState], object],
    operation: str,
    resources: ExitStack,
) -> None:
    """Botocore takes the page of a proxy for an answer without members, like a missing item."""
    error = failed(script, call, resources)
    assert type(error) is StateUnavailable
    assert operation in error.detail
    assert "tokensvc in us-west-2" in error.detail


@pytest.mark.parametrize(
    ("script", "kind", "named"),
    [
        (refusal("ThrottlingException"), StateUnavailable, "throttles"),
        (refusal("RequestLimitExceeded"), StateUnavailable, "throttles"),
        (refusal("InternalServerError", status=500), StateUnavailable, "InternalServerError"),
        (refusal("ServiceUnavailable", status=503), StateUnavailable, "503"),
        (refusal("ReplicatedWriteConflictException"), StateUnavailable, "Replicated"),
        (refusal("UnrecognizedClientException"), StateUnavailable, "credentials"),
        (refusal("ExpiredTokenException"), StateUnavailable, "credentials"),
        (refusal("ResourceNotFoundException"), StateMissing, "does not exist"),
        (refusal("ValidationException"), StateRefused, "ValidationException"),
        (refusal("AccessDeniedException", "In another form."), StateRefused, "credentials"),
        (Answer(403, b"<h1>Sign in to the hotel's network</h1>"), StateUnavailable, "not from AWS"),
        (Answer(200, b"<h1>Welcome</h1>"), StateUnavailable, "not Amazon DynamoDB"),
        (Answer(200, {"Item": 3}, request_id="request-1"), StateUnavailable, "not Amazon DynamoDB"),
        (Fault.DROPPED_CONNECTION, StateUnavailable, "can't be reached"),
    ],
)
def test_each_failure_has_its_error(
    script: Answer | Fault, kind: type[StateUnavailable], named: str, resources: ExitStack
) -> None:
    """What a retry may fix is unavailable; the rest is missing or refused."""
    error = failed(script, lambda state: state.version("ring"), resources)
    assert type(error) is kind
    assert named in error.detail
    assert "No." not in str(error)


def test_a_denied_call_names_the_role_the_action_and_the_table(resources: ExitStack) -> None:
    """Nothing else of the text of AWS is shown."""
    error = failed(DENIED, lambda state: state.version("ring"), resources)
    assert type(error) is StateRefused
    assert "arn:aws:sts::123456789012:assumed-role/minter/i-0abc" in error.detail
    assert "dynamodb:GetItem" in error.detail
    assert "DynamoDB table tokensvc in us-west-2" in error.detail
    assert "identity-based" not in str(error)


def test_a_save_that_may_not_write_the_head_leaves_the_document(
    dynalite: Dynalite, resources: ExitStack
) -> None:
    """As for a worker, whose role may read documents only."""
    table = resources.enter_context(table_with_state(dynalite.url))
    with faulty_server(DENIED) as server, lossy_proxy(dynalite.url) as proxy:
        proxy.target_of = lambda call: server.url if call.operation == "PutItem" else dynalite.url
        state = table.state(proxy.url)
        with pytest.raises(StateRefused, match="dynamodb:PutItem"):
            state.save("ring", "x", replacing=NEW)
    assert table.state().load("ring") is None


def test_every_read_is_strongly_consistent(dynalite: Dynalite, resources: ExitStack) -> None:
    """No stand-in shows the difference: DYNAMODB_HAS_ONE_REGION."""
    table = resources.enter_context(table_with_state(dynalite.url))
    table.state().save("ring", "x", replacing=NEW)
    proxy = resources.enter_context(lossy_proxy(dynalite.url))
    state = table.state(proxy.url)
    for call in OPERATIONS.values():
        with suppress(StateConflict):
            call(state)
    reads = [
        (call.operation, request.get("ConsistentRead"))
        for call in proxy.calls
        if call.operation in {"GetItem", "Query", "BatchGetItem"}
        for request in (call.body.get("RequestItems") or {"": call.body}).values()
    ]
    assert {operation for operation, _ in reads} == {"GetItem", "Query", "BatchGetItem"}
    assert [read for read in reads if read[1] is not True] == []


def test_a_missing_table_is_missing_for_every_operation(
    dynalite: Dynalite, resources: ExitStack
) -> None:
    """So that it is never taken for a new deployment. `create` doesn't make it either."""
    state = Table(dynalite.url, opened=resources).state()
    for call in (*OPERATIONS.values(), DynamoDbState.create):
        with pytest.raises(StateMissing, match="init --aws"):
            call(state)


def test_an_empty_table_has_no_state_until_it_is_created(
    dynalite: Dynalite, resources: ExitStack
) -> None:
    """Such as one that the template has made. To create it again has no effect."""
    table = Table(dynalite.url, opened=resources)
    table.make()
    state = table.state()
    for call in OPERATIONS.values():
        with pytest.raises(StateMissing, match="keys reconcile"):
            call(state)
    state.create()
    saved = state.version("schema")
    table.state().create()
    assert state.version("schema") == saved
    assert state.version("ring") == NEW


def test_a_table_that_comes_back_is_used_again(dynalite: Dynalite, resources: ExitStack) -> None:
    """A worker starts before its state, and recovers without a restart."""
    table = Table(dynalite.url, opened=resources)
    state = table.state()
    with pytest.raises(StateMissing):
        state.version("ring")
    table.make()
    table.state().create()
    assert state.version("ring") == NEW


def test_without_credentials_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resources: ExitStack
) -> None:
    """They are found once they are there: no session is kept without them."""
    server = resources.enter_context(faulty_server(refusal("ResourceNotFoundException")))
    set_aws_environment(monkeypatch, tmp_path, AWS_ENDPOINT_URL_DYNAMODB=server.url)
    table = Table(server.url, opened=resources)
    clients = AwsClients(SHORT)
    table._clients[server.url, SHORT] = clients
    state = table.state(terms=SHORT)
    with pytest.raises(StateUnavailable, match="no usable AWS credentials"):
        state.version("ring")
    assert server.requests == []
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "example")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    with pytest.raises(StateMissing):
        state.version("ring")


def test_a_region_that_does_not_exist_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resources: ExitStack
) -> None:
    """Its endpoint can't be found. The region of the environment is not used."""
    set_aws_environment(
        monkeypatch,
        tmp_path,
        AWS_ACCESS_KEY_ID="example",
        AWS_SECRET_ACCESS_KEY="example",
        AWS_REGION="us-west-2",
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    clients = resources.enter_context(closing(AwsClients(SHORT)))
    assert clients.endpoint(REGION, "dynamodb") == "https://dynamodb.us-west-2.amazonaws.com"
    state = DynamoDbState(
        TableAddress.parse("eu-central-1/tokensvc"),
        clients,
        clients,
        ManualClock(),
        "123456789012",
        Random(1),  # noqa: S311 # Spreads pauses.
    )
    with pytest.raises(StateUnavailable) as failure:
        state.version("ring")
    assert "eu-central-1" in failure.value.detail
    assert "proxy" in failure.value.detail


def test_unprocessed_items_are_written_again_within_a_total_time(resources: ExitStack) -> None:
    """DynamoDB accepts some items of a batch under load. Only the others are sent again."""
    keys = [{"pk": {"S": "record/channel"}, "sk": {"S": name}} for name in "abc"]
    deletes = [{"DeleteRequest": {"Key": key}} for key in keys]
    some = Answer(200, {"UnprocessedItems": {"tokensvc": deletes[1:]}}, request_id="request-1")
    done = Answer(200, {"UnprocessedItems": {}}, request_id="request-1")
    server = resources.enter_context(faulty_server(some, some, done))
    clock = ManualClock()
    state = state_with_clock(server, clock, resources)
    state.remove_many("channel", list("abc"))
    assert [len(items(server, index)) for index in range(3)] == [3, 2, 2]
    assert 0.05 < sum(clock.sleeps) < 0.15
    server = resources.enter_context(faulty_server(some))
    state = state_with_clock(server, clock, resources)
    before = clock.monotonic()
    with pytest.raises(StateUnavailable, match="BatchWriteItem"):
        state.remove_many("channel", list("abc"))
    assert 15.0 < clock.monotonic() - before < 17.0


def test_a_request_waits_about_a_second_for_records_of_which_some_stay_unread(
    resources: ExitStack,
) -> None:
    """DynamoDB returns some of a batch of reads while it throttles."""
    keys = [{"pk": {"S": "record/channel"}, "sk": {"S": name}} for name in "ab"]
    body = {"Responses": {}, "UnprocessedKeys": {"tokensvc": {"Keys": keys}}}
    server = resources.enter_context(faulty_server(Answer(200, body, request_id="request-1")))
    clock = ManualClock()
    state = state_with_clock(server, clock, resources)
    before = clock.monotonic()
    with pytest.raises(StateUnavailable, match="BatchGetItem"):
        state.read_many("channel", ["a", "b"])
    assert 1.0 < clock.monotonic() - before < 2.1


def test_no_call_begins_after_the_total_time(dynalite: Dynalite, resources: ExitStack) -> None:
    """A save whose first call took too long has written nothing."""
    table = resources.enter_context(table_with_state(dynalite.url))
    clock = ManualClock()
    with lossy_proxy(dynalite.url) as proxy:
        state = table.state(proxy.url, clock=clock)
        state.version("ring")

        def decide(_: Call) -> Fate:
            clock.advance(16.0)
            return Fate.ANSWERED

        proxy.decide = decide
        with pytest.raises(StateUnavailable, match="15 s"):
            state.save("ring", "x", replacing=NEW)
        assert [call.operation for call in proxy.calls[-1:]] == ["GetItem"]
    assert table.state().load("ring") is None


def test_a_request_waits_about_a_second_for_a_record(resources: ExitStack) -> None:
    """The limit in `State.record`: IVS has failed already, and the viewer waits."""
    server = resources.enter_context(faulty_server(Fault.NO_RESPONSE))
    state = state_at(server.url, resources, RECORD_TERMS)
    began = time.monotonic()
    with pytest.raises(StateUnavailable):
        state.record("channel", "one")
    assert time.monotonic() - began < 5.0
    assert len(server.requests) == 1


@pytest.mark.parametrize("call", list(OPERATIONS.values()), ids=OPERATIONS)
def test_no_operation_waits_on_the_event_loop(
    call: Callable[[DynamoDbState], object], resources: ExitStack
) -> None:
    """The request runs again in a thread, so nothing was sent before."""
    server = resources.enter_context(faulty_server(Fault.NO_RESPONSE))
    with no_waiting(), pytest.raises(MustWait):
        call(state_at(server.url, resources))
    assert server.requests == []


def state_with_clock(
    server: FaultyServer, clock: ManualClock, resources: ExitStack
) -> DynamoDbState:
    """A state at that server with that clock, which has inspected its table."""
    state = Table(server.url, TableAddress(REGION, "tokensvc"), opened=resources).state(clock=clock)
    state._inspected = True
    return state


def items(server: FaultyServer, index: int) -> list[Any]:
    """The changes of the batch with that index."""
    changes: list[Any] = server.requests[index].body["RequestItems"]["tokensvc"]
    return changes
