"""The IAM policies name what the program calls: nothing is missing, and nothing is too much."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import grimp
import pytest
from policy_sentry.querying.actions import get_action_data

from tests.e2e.processes import ROOT
from tests.support.aws_operations import (
    SERVICES,
    Operation,
    clients_made_in,
    operations_in,
    operations_of,
)
from tests.support.iam import Policy, Statement

FOLDER = ROOT / "deploy/iam"
PLACEHOLDERS = {
    "Account": "123456789012",
    "Region": "us-west-2",
    "Table": "tokensvc",
    "Prefix": "tokensvc/",
}
FILES = {path.stem: path for path in sorted(FOLDER.glob("*.json"))}
POLICIES = {role: Policy.read(path, PLACEHOLDERS) for role, path in FILES.items()}
STATEMENTS = [
    pytest.param(statement, id=f"{role}-{statement.sid}")
    for role, policy in POLICIES.items()
    for statement in policy.statements
]
# These modules have a `query` of their own: a member of `urllib.parse.SplitResult`.
QUERY_OF_A_URL = {
    Operation("dynamodb", "Query", "tokensvc.playback.inspection"),
    Operation("dynamodb", "Query", "tokensvc.playback.urls"),
}
# AWS: GetCallerIdentity, "No permissions are required to perform this operation".
NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}
# What modules of a web worker contain, but a worker does not use.
NOT_BY_WORKERS = {
    "ivs:ListPlaybackKeyPairs": "A worker sends it unsigned, to read the date of the refusal.",
}
# What a worker calls only where the service revokes viewers' sessions: the role of such a service
# has the policy of the moderator too.
BY_MODERATING_WORKERS = {
    "ivs:BatchStartViewerSessionRevocation",
    "ivs:ListChannels",
    "ivs:ListStreams",
}


@pytest.fixture(scope="session")
def operations() -> frozenset[Operation]:
    """Every operation that the program calls."""
    return operations_of(ROOT / "tokensvc") - QUERY_OF_A_URL


def test_every_operation_that_the_program_calls_is_in_a_policy(
    operations: frozenset[Operation],
) -> None:
    """A new call fails here until a policy names it."""
    called = {operation.action for operation in operations} - NEEDS_NO_PERMISSION
    allowed = {action for policy in POLICIES.values() for action in policy.actions}

    assert called - allowed == set()


@pytest.mark.parametrize("role", POLICIES)
def test_every_action_of_a_policy_is_called(role: str, operations: frozenset[Operation]) -> None:
    """A permission that nothing uses any more fails here."""
    called = {operation.action for operation in operations}

    assert POLICIES[role].actions - called == set()


def test_the_minter_may_do_what_the_modules_of_a_worker_call_and_no_more(
    operations: frozenset[Operation],
) -> None:
    """Rule 11 keeps what changes keys out of these modules, so the minter can't change a key."""
    modules = _modules_of_workers()
    of_workers = {operation.action for operation in operations if operation.module in modules}

    assert set(NOT_BY_WORKERS) <= of_workers
    assert of_workers >= BY_MODERATING_WORKERS
    assert POLICIES["moderator"].actions >= BY_MODERATING_WORKERS
    not_by_minters = set(NOT_BY_WORKERS) | BY_MODERATING_WORKERS | NEEDS_NO_PERMISSION
    assert POLICIES["minter"].actions == of_workers - not_by_minters


def test_the_minter_may_write_every_kind_of_record_that_a_worker_writes() -> None:
    """Each kind is the constant KIND of the module that owns it.

    The moderator writes bans: a worker has both roles if its service moderates.
    """
    sources = (
        (ROOT / module.replace(".", "/")).with_suffix(".py") for module in _modules_of_workers()
    )
    kinds = {
        found
        for source in sources
        if source.exists()
        for found in re.findall(r"^KIND\b.* = \"(.+)\"$", source.read_text(), re.MULTILINE)
    }
    of_minter, of_moderator = _writable("minter"), _writable("moderator")
    assert {"channel", "key-probe", "ban"} <= kinds
    assert {f"record/{kind}" for kind in kinds} - of_minter - of_moderator == set()
    assert "record/ban" not in of_minter
    assert {each for each in of_moderator if each.startswith("body/")} == {"body/bans"}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_aws_has_every_action_with_such_a_resource_and_condition(statement: Statement) -> None:
    """By AWS's Service Authorization Reference, which policy-sentry contains."""
    rows = {action: _reference(action) for action in statement.actions}
    for action, row in rows.items():
        assert any(_fits(resource, row) for resource in statement.resources), action
        unknown = _condition_keys(statement) - {_family(key) for one in row for key in one[1]}
        assert unknown == set(), action
    for resource in statement.resources:
        assert any(_fits(resource, row) for row in rows.values()), resource


@pytest.mark.parametrize("role", FILES)
def test_a_statement_names_its_use_and_no_action_has_a_wildcard(role: str) -> None:
    """Sids are unique, actions are sorted, and only placeholders that are explained are used."""
    text = FILES[role].read_text()
    sids = [statement.sid for statement in POLICIES[role].statements]

    assert len(sids) == len(set(sids))
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", sid) for sid in sids)
    for statement in POLICIES[role].statements:
        assert list(statement.actions) == sorted(set(statement.actions))
        assert not any("*" in action for action in statement.actions)
        assert "*" not in statement.resources or _has_no_resource(statement)
    explained = (FOLDER / "README.md").read_text()
    assert [name for name in re.findall(r"\$\{\w+\}", text) if f"`{name}`" not in explained] == []


def test_the_page_lists_every_action_of_every_policy() -> None:
    """Each action, with what calls it."""
    page = (FOLDER / "README.md").read_text()
    listed = re.findall(r"^\| (\S+) \| (\w+) \| `(\w+:\w+)` \| \S", page, re.MULTILINE)

    assert sorted(listed) == sorted(
        (role, statement.sid, action)
        for role, policy in POLICIES.items()
        for statement in policy.statements
        for action in statement.actions
    )


def test_no_other_service_is_called() -> None:
    """`tokensvc/aws.py` alone makes clients, and of these services only."""
    makers = {
        path
        for path in (ROOT / "tokensvc").rglob("*.py")
        if re.search(r"\.(client|resource|create_client)\(\s*[\"'\w]", path.read_text())
    }
    assert makers == {ROOT / "tokensvc/aws.py"}
    assert clients_made_in((ROOT / "tokensvc/aws.py").read_text()) <= set(SERVICES)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("client.get_channel(arn=arn)", {"ivs:GetChannel"}),
        ("client.put_item(**arguments)", {"dynamodb:PutItem"}),
        ("partial(client.get_item, TableName='t')", {"dynamodb:GetItem"}),
        ("client.get_paginator('list_channels')", {"ivs:ListChannels"}),
        ("client.tag_resource(resourceArn=arn, tags=tags)", {"ivs:TagResource"}),
        ("client.tag_resource(KeyId=key, Tags=tags)", {"kms:TagResource"}),
        ("client.create_key(Tags=tags)", {"kms:CreateKey", "kms:TagResource"}),
        # Methods of other objects with the same names.
        ("signer.sign(message)", set()),
        ("setting.get_secret_value()", set()),
        ("state.query(name=name)", set()),
    ],
)
def test_a_call_is_found_by_its_name_and_arguments(source: str, found: set[str]) -> None:
    """The search for operations does not take our own methods for AWS's."""
    assert {operation.action for operation in operations_in(source, "module")} == found


@pytest.mark.parametrize(
    ("condition", "values", "holds"),
    [
        ({"StringLike": {"k": "a*"}}, ["ab"], True),
        ({"StringLike": {"k": "a*"}}, ["b"], False),
        ({"StringEquals": {"k": "a*"}}, ["ab"], False),
        ({"StringEquals": {"k": "a"}}, [], False),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, ["a", "b"], True),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, ["a", "c"], False),
        ({"ForAllValues:StringEquals": {"k": "a"}}, [], True),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, ["ab", "c"], True),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, [], False),
        ({"Null": {"k": "false"}}, [], False),
        ({"Null": {"k": "false"}}, ["a"], True),
    ],
)
def test_a_condition_holds_as_aws_documents_it(
    condition: dict[str, dict[str, str]], values: list[str], *, holds: bool
) -> None:
    """So that the roles are tested with what AWS would allow."""
    statement = {
        "Sid": "One",
        "Effect": "Allow",
        "Action": "kms:Sign",
        "Resource": "arn:aws:kms:us-west-2:123456789012:key/*",
        "Condition": condition,
    }
    key = "arn:aws:kms:us-west-2:123456789012:key/1"
    assert Statement.of(statement).allows("kms:Sign", key, {"k": values}) is holds
    assert not Statement.of(statement).allows("kms:Sign", key.replace("2:", "1:"), {"k": values})
    assert not Statement.of(statement).allows("kms:Verify", key, {"k": values})


@pytest.mark.parametrize("source", ["client.get_waiter('x')", "client.get_paginator(name)"])
def test_a_call_that_cannot_be_followed_is_refused(source: str) -> None:
    """A waiter calls operations that the source does not name."""
    with pytest.raises(AssertionError, match="module:1"):
        list(operations_in(source, "module"))


def _writable(role: str) -> set[str]:
    """The partitions of the table to which the role is limited when it writes."""
    return {
        partition
        for statement in POLICIES[role].statements
        for keys in statement.conditions.values()
        for partition in keys.get("dynamodb:LeadingKeys", ())
    }


def _modules_of_workers() -> set[str]:
    """The modules that a web worker contains."""
    graph = grimp.build_graph("tokensvc")
    return {"tokensvc.web", *graph.find_upstream_modules("tokensvc.web", as_package=True)}


def _reference(action: str) -> list[tuple[str, list[str]]]:
    """The ARN formats of the action's resources, each with the condition keys."""
    service, _, name = action.partition(":")
    data: Any = get_action_data(service, name)
    assert data, f"AWS has no action {action}."
    return [(row["resource_arn_format"], row["condition_keys"]) for row in data[service]]


def _fits(resource: str, row: list[tuple[str, list[str]]]) -> bool:
    """Whether the resource is of a type that the action has; "*" only where it has none."""
    formats = {arn for arn, _ in row}
    if resource == "*":
        return formats == {"*"}
    return any(
        re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", "[^:]+", re.escape(arn)), resource)
        for arn in formats - {"*"}
    )


def _has_no_resource(statement: Statement) -> bool:
    return all({arn for arn, _ in _reference(action)} == {"*"} for action in statement.actions)


def _condition_keys(statement: Statement) -> set[str]:
    return {_family(key) for keys in statement.conditions.values() for key in keys}


def _family(key: str) -> str:
    """The condition key without the name of a tag: `aws:ResourceTag/${TagKey}`."""
    return key.partition("/")[0]


def test_the_policies_are_valid_json_with_one_final_newline() -> None:
    """As `json.loads` reads them, and as an editor leaves them."""
    for path in FILES.values():
        text = Path(path).read_text()
        assert json.loads(text)
        assert text.endswith("}\n")
