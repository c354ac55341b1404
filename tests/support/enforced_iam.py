"""Denies the calls of boto3 in this process that a policy does not allow, as AWS would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
import botocore.handlers
import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError
from botocore.model import OperationModel

from tests.support.iam import Context, Policy

_ARN_MEMBERS: Final = ("arn", "channelArn", "resourceArn")
_NEEDS_NO_PERMISSION: Final = frozenset({"sts:GetCallerIdentity"})


@dataclass
class Enforcement:
    """The policy of this process, and what it denied.

    Attributes:
        region: the region of all resources.
        account: their account.
        policy: what the process may do; None for everything.
        denied: each action that was denied, with the resource.
    """

    region: str
    account: str
    policy: Policy | None = None
    denied: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def of(self, policy: Policy) -> Iterator[None]:
        """Enforce that policy until the block ends."""
        self.policy = policy
        try:
            yield
        finally:
            self.policy = None

    def handle(
        self,
        params: Mapping[str, Any],
        model: OperationModel,
        context: Mapping[str, Any],
        **_: object,
    ) -> None:
        """Raise what AWS answers if the policy denies the call. botocore calls this before it."""
        policy = self.policy
        if policy is None or context["client_config"].signature_version is UNSIGNED:
            return
        for action, resource, keys in self._needed(params, model):
            if action not in _NEEDS_NO_PERMISSION and not policy.allows(action, resource, keys):
                self.denied.append((action, resource))
                answer = {"Error": {"Code": "AccessDeniedException", "Message": action}}
                raise ClientError(answer, model.name)  # type: ignore[arg-type]

    def _needed(
        self, params: Mapping[str, Any], model: OperationModel
    ) -> Iterator[tuple[str, str, Context]]:
        """The actions that the call needs, each with its resource and condition keys."""
        service = model.service_model.signing_name
        for resource, keys in self._resources[service](model.name, params):
            yield f"{service}:{model.name}", resource, keys
            if params.get("tags") or params.get("Tags"):
                given = {"aws:TagKeys": _tag_keys(params.get("tags") or params["Tags"])}
                tagged = self._arn("kms", "key/new") if resource == "*" else resource
                yield f"{service}:TagResource", tagged, {**keys, **given}

    @property
    def _resources(self) -> Mapping[str, Callable[..., Iterator[tuple[str, Context]]]]:
        return {
            "dynamodb": self._of_dynamodb,
            "ivs": self._of_ivs,
            "kms": self._of_kms,
            "secretsmanager": self._of_secrets_manager,
            "sts": lambda *_: iter([("*", {})]),
        }

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def _of_ivs(self, name: str, params: Mapping[str, Any]) -> Iterator[tuple[str, Context]]:
        named = [params[member] for member in _ARN_MEMBERS if member in params]
        named += params.get("arns", [])
        named += [one["channelArn"] for one in params.get("viewerSessions", [])]
        kind = "playback-key/new" if "PlaybackKeyPair" in name else "channel/new"
        yield from ((arn, {}) for arn in named or [self._arn("ivs", kind)])

    def _of_dynamodb(self, _: str, params: Mapping[str, Any]) -> Iterator[tuple[str, Context]]:
        for table in params.get("RequestItems", {params.get("TableName"): ()}):
            keys = {"dynamodb:LeadingKeys": _leading_keys(params)}
            yield self._arn("dynamodb", f"table/{table}"), keys

    def _of_secrets_manager(
        self, name: str, params: Mapping[str, Any]
    ) -> Iterator[tuple[str, Context]]:
        secret = params.get("SecretId") or params.get("Name", "")
        is_arn = secret.startswith("arn:")
        arn = secret if is_arn else self._arn("secretsmanager", f"secret:{secret}-AbCdEf")
        yield ("*" if name == "ListSecrets" else arn), {}

    def _of_kms(self, name: str, params: Mapping[str, Any]) -> Iterator[tuple[str, Context]]:
        if name == "CreateKey":
            kind = {"kms:KeySpec": [params["KeySpec"]], "kms:KeyUsage": [params["KeyUsage"]]}
            yield "*", kind
        elif name.startswith("List"):
            yield "*", {}
        else:
            if name == "CreateAlias":
                yield self._arn("kms", params["AliasName"]), {}
            yield self._kms_key(params.get("KeyId") or params["TargetKeyId"])

    def _kms_key(self, kms_id: str) -> tuple[str, Context]:
        """The key's ARN, its kind and its aliases, as KMS has them."""
        policy, self.policy = self.policy, None
        try:
            client = boto3.client("kms", region_name=self.region)
            try:
                described = client.describe_key(KeyId=kms_id)["KeyMetadata"]
            except client.exceptions.NotFoundException:
                return self._arn("kms", "key/unknown"), _kind("ECC_NIST_P384", "SIGN_VERIFY", [])
            listed = client.list_aliases(KeyId=described["KeyId"])["Aliases"]
        finally:
            self.policy = policy
        aliases = [alias["AliasName"] for alias in listed]
        return described["Arn"], _kind(described["KeySpec"], described["KeyUsage"], aliases)


def enforce(monkeypatch: pytest.MonkeyPatch, region: str, account: str) -> Enforcement:
    """Enforce a policy on every client that this process makes from now on."""
    enforcement = Enforcement(region, account)
    handler = ("provide-client-params.*.*", enforcement.handle)
    handlers = [*botocore.handlers.BUILTIN_HANDLERS, handler]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
    return enforcement


def _kind(spec: str, usage: str, aliases: Sequence[str]) -> Context:
    return {"kms:KeySpec": [spec], "kms:KeyUsage": [usage], "kms:ResourceAliases": aliases}


def _leading_keys(params: Mapping[str, Any]) -> Sequence[str]:
    items = [params.get("Key"), params.get("Item")]
    for requests in params.get("RequestItems", {}).values():
        if isinstance(requests, Mapping):  # BatchGetItem
            items += requests["Keys"]
            continue
        for request in requests:
            items.append(request.get("PutRequest", {}).get("Item"))
            items.append(request.get("DeleteRequest", {}).get("Key"))
    keys = [item["pk"]["S"] for item in items if item]
    queried = params.get("ExpressionAttributeValues", {}).get(":pk")
    return [*keys, *([queried["S"]] if queried else [])]


def _tag_keys(tags: Mapping[str, str] | Sequence[Mapping[str, str]]) -> Sequence[str]:
    if isinstance(tags, Mapping):
        return list(tags)
    return [tag.get("TagKey") or tag["Key"] for tag in tags]
