"""The routes of the HTTP API, as the OpenAPI document describes them: a table.

A new route needs a row here. A test compares the rows with the routes of the application, and
others compare the codes with what the routes answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tokensvc import errors
from tokensvc.access.callers import Scope
from tokensvc.access.requests import PlaybackRequest
from tokensvc.access.revocation_requests import RevocationRequest
from tokensvc.errors import TokensvcError
from tokensvc.web.bans import MAX_PAGE
from tokensvc.web.bans import PATH as BANS_PATH
from tokensvc.web.openapi import answers, examples
from tokensvc.web.operators import INSPECT_PATH, KEYS_PATH, InspectionRequest
from tokensvc.web.ops.answers import OpsAnswer
from tokensvc.web.ops.routes import DATA_PATH as OPS_PATH
from tokensvc.web.playback_urls import Batch, BatchBody, SingleUrl
from tokensvc.web.viewer_session_revocations import PATH as REVOCATIONS_PATH

Refusals = tuple[type[TokensvcError], ...]

OF_SERVER: Final[Refusals] = (
    errors.InvalidRequest,
    errors.RequestTimeout,
    errors.BodyTooLarge,
    errors.UriTooLong,
    errors.HeadersTooLarge,
    TokensvcError,
    errors.TransferCodingUnknown,
)
"""What the server refuses on every route, before or instead of the route itself."""

_OF_CALLERS: Final[Refusals] = (
    errors.Unauthenticated,
    errors.NotPermitted,
    errors.RateLimited,
    errors.StateUnavailable,
    errors.SchemaUnsupported,
    errors.AuditUnavailable,
    errors.IssuerUnavailable,
    errors.Unavailable,
)
_OF_BODIES: Final[Refusals] = (errors.UnsupportedMediaType,)
_OF_KEYS: Final[Refusals] = (errors.NoSigningKey, errors.CustodyUnavailable)
_OF_MINTS: Final[Refusals] = (
    errors.NotEntitled,
    errors.CountryNotAllowed,
    errors.ViewerBanned,
    errors.ViewerRevoked,
    errors.ChannelNotFound,
    errors.ChannelNotPrivate,
    *_OF_KEYS,
    errors.IvsUnavailable,
    errors.ClockOff,
    errors.EntitlementUnavailable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        method: the HTTP method, in lower case.
        path: the path, with `{name}` for a parameter.
        operation_id: the name that a generated client gives it.
        tag: the group in which it is shown.
        summary: what it does, in a few words.
        description: more about it.
        scope: the scope that its caller needs; None for a public route.
        body: the type of its JSON body, if it has one.
        body_examples: bodies, by a name.
        parameters: its parameters, as OpenAPI has them.
        status: the status of its answer.
        answer: the type of its JSON answer; None for the media type of `media_type` alone.
        media_type: the media type of its answer.
        answer_example: an answer.
        refusals: the errors that the route itself answers with, besides those of every route.
    """

    method: str
    path: str
    operation_id: str
    tag: str
    summary: str
    description: str
    scope: Scope | None = None
    body: type[Any] | None = None
    body_examples: Mapping[str, object] = field(default_factory=dict)
    parameters: tuple[Mapping[str, object], ...] = ()
    status: int = 200
    answer: type[Any] | None = None
    media_type: str = "application/json"
    answer_example: object = None
    refusals: Refusals = ()

    @property
    def all_refusals(self) -> Refusals:
        """The errors that it can be answered with, each once."""
        more = (*(_OF_CALLERS if self.scope else ()), *(_OF_BODIES if self.body else ()))
        return tuple(dict.fromkeys((*OF_SERVER, *more, *self.refusals)))


def _query(name: str, description: str, schema: Mapping[str, object]) -> Mapping[str, object]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        method="post",
        path=SingleUrl.path,
        operation_id="create_playback_url",
        tag="Playback",
        summary="Request a playback URL",
        description="Returns a signed playback URL of a private channel for one viewer.",
        scope="mint",
        body=PlaybackRequest,
        body_examples=examples.PLAYBACK_REQUESTS,
        answer=answers.PlaybackUrlAnswer,
        answer_example=examples.PLAYBACK_URL,
        refusals=_OF_MINTS,
    ),
    Operation(
        method="post",
        path=Batch.path,
        operation_id="create_playback_urls",
        tag="Playback",
        summary="Request several playback URLs",
        description=(
            "Returns a playback URL or a problem document for each request, in the same order. A"
            " refused request does not affect the others. Its problem document can have each code"
            " of `POST /v1/playback-urls`. The batch starts no request after 10 s:"
            " the rest gets `overloaded`."
        ),
        scope="mint",
        body=BatchBody,
        body_examples=examples.BATCHES,
        answer=answers.BatchAnswer,
        answer_example=examples.BATCH_ANSWER,
    ),
    Operation(
        method="post",
        path=REVOCATIONS_PATH,
        operation_id="revoke_viewer_sessions",
        tag="Moderation",
        summary="Kick or ban a viewer",
        description=(
            "Ends the viewer's sessions on one channel, on several or on all. With `ban_seconds`,"
            " the viewer gets no playback URL for that time. Name the viewer by `viewer_id`, or by"
            " `issuer` and `subject`. Use one of `channel`, `channels` and `all_channels`."
        ),
        scope="moderate",
        body=RevocationRequest,
        body_examples=examples.REVOCATION_REQUESTS,
        status=202,
        answer=answers.RevocationsAnswer,
        answer_example=examples.REVOCATIONS,
        refusals=(errors.NotEntitled,),
    ),
    Operation(
        method="get",
        path=BANS_PATH,
        operation_id="list_bans",
        tag="Moderation",
        summary="List bans",
        description=(
            "Returns kicks, bans and closed channels on the channels of the caller's grants, the"
            " newest first. To get the next page, send its `next` as `after`."
        ),
        scope="moderate",
        parameters=(
            _query(
                "limit",
                "How many to return; 100 by default.",
                {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
            ),
            _query("after", "The `next` of the page before.", {"type": "string"}),
            _query("viewer_id", "Only those of this viewer.", {"type": "string"}),
            _query(
                "channel",
                "Only those on this channel, by ARN or name, and those on all channels.",
                {"type": "string"},
            ),
            _query(
                "include_ended",
                "Also those that refuse nothing any more.",
                {"type": "string", "enum": ["true", "false"]},
            ),
        ),
        answer=answers.BansAnswer,
        answer_example=examples.BANS,
    ),
    Operation(
        method="delete",
        path=f"{BANS_PATH}/{{ban_id}}",
        operation_id="lift_ban",
        tag="Moderation",
        summary="Lift a ban",
        description=(
            "The viewer can get playback URLs again; `line_passes_at` says from when they play."
        ),
        scope="moderate",
        parameters=(
            {
                "name": "ban_id",
                "in": "path",
                "required": True,
                "description": "The ID of the ban.",
                "schema": {"type": "string"},
            },
        ),
        answer=answers.BanAnswer,
        answer_example=examples.LIFTED_BAN,
        refusals=(errors.NotFound,),
    ),
    Operation(
        method="get",
        path=KEYS_PATH,
        operation_id="list_key_pairs",
        tag="Operation",
        summary="List the key pairs",
        description="Returns the key pairs of every region and their states.",
        scope="operate",
        answer=answers.KeyPairsAnswer,
        answer_example=examples.KEY_PAIRS,
    ),
    Operation(
        method="post",
        path=INSPECT_PATH,
        operation_id="inspect_token",
        tag="Operation",
        summary="Inspect a token",
        description=(
            "Returns whether Amazon IVS would accept a token or playback URL, and each check in"
            " the order in which Amazon IVS makes it. The signature is compared with the key pairs"
            " of this service."
        ),
        scope="operate",
        body=InspectionRequest,
        body_examples=examples.INSPECTION_REQUESTS,
        answer=answers.InspectionAnswer,
        answer_example=examples.INSPECTION,
    ),
    Operation(
        method="get",
        path=OPS_PATH,
        operation_id="get_operation",
        tag="Operation",
        summary="Get what a process knows",
        description=(
            "Returns what the operator's page shows: key pairs and the next step of each region,"
            " the last decisions of the process that answers, channels and bans. It calls neither"
            " Amazon IVS nor the state. It is not found unless `service.ops_page` is set."
        ),
        scope="operate",
        answer=OpsAnswer,
        answer_example=examples.OPS,
        refusals=(errors.NotFound,),
    ),
    Operation(
        method="get",
        path="/.well-known/jwks.json",
        operation_id="get_jwks",
        tag="Public",
        summary="Get the public keys",
        description=(
            "Returns the public keys whose tokens may play, and the one that signs next. `kid` is"
            " the thumbprint of RFC 7638."
        ),
        answer=answers.JwksAnswer,
        answer_example=examples.JWKS,
        refusals=(errors.StateUnavailable, errors.SchemaUnsupported, errors.Unavailable),
    ),
    Operation(
        method="get",
        path="/v1/player.js",
        operation_id="get_player_module",
        tag="Public",
        summary="Get the player module",
        description="The module for pages that play private channels.",
        media_type="text/javascript",
        refusals=(errors.Unavailable,),
    ),
    Operation(
        method="get",
        path="/healthz",
        operation_id="get_health",
        tag="Public",
        summary="Check that the process is alive",
        description="Answers 200 while the process is alive.",
        answer=answers.HealthAnswer,
        answer_example={"status": "ok"},
    ),
    Operation(
        method="get",
        path="/readyz",
        operation_id="get_readiness",
        tag="Public",
        summary="Check that the service is ready",
        description=(
            "Answers 200 when the service can authenticate a caller and sign a token in every"
            " region. 503 lists each cause in `errors`. With `scope=replica`, for load balancers,"
            " it answers 503 only for what is wrong with this replica."
        ),
        parameters=(
            _query(
                "scope",
                "What to check; without it, everything.",
                {"type": "string", "enum": ["replica"]},
            ),
        ),
        answer=answers.ReadinessAnswer,
        answer_example=examples.READINESS,
        refusals=(
            errors.Draining,
            errors.StateUnavailable,
            errors.SchemaUnsupported,
            *_OF_KEYS,
            errors.AuditUnavailable,
            errors.ClockOff,
        ),
    ),
)
"""Every route, in the order in which it is shown."""
