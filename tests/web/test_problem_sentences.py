"""The whole text of every problem of the HTTP API, in one table that a reviewer can read.

All other tests of the HTTP API assert codes, fields, rules and data only.
"""

from __future__ import annotations

import pytest

from tests.support.deployment import Deployment
from tests.web import provoking
from tests.web.ban_problems import BANS
from tests.web.grant_problems import GRANTS, OTHER_REGION_ARN
from tests.web.problem_shape import Text, invalid, not_ready, problem, unavailable
from tests.web.provoking import (
    BATCH,
    Provoke,
    call,
    post,
    post_as,
    post_as_moderator,
    post_text,
    post_with_scope,
)
from tokensvc.errors import (
    AuditUnavailable,
    EntitlementUnavailable,
    IssuerUnavailable,
    IvsUnavailable,
    RateLimited,
)

UNKNOWN_KEY = f"tsk_000000000000_{64 * '0'}"
PUBLIC_ARN = "arn:aws:ivs:us-west-2:123456789012:channel/public"


AUTHENTICATION_HINT = (
    "Send `Authorization: Bearer tsk_…` with a key that an operator made with"
    " `tokensvc api-keys create`."
)
NOT_JSON = (
    "The body is not valid JSON in UTF-8, repeats a member name, or has more than 100 levels."
)
NO_KEY_PAIR = "The region has no key pair that may sign right now."
NO_CUSTODY = "The service can't use its private key right now."
NO_STATE = "The service can't read its shared state right now."
OLDER_RELEASE = "This process of the service is older than its shared state."
NEWER_DOCUMENT = '{"schema_version": 99}'
CLOCK_OFF = "The clock of the service is off, so it can't sign right now."
RING = "ring us-west-2"
VIEWER_ID_MESSAGE = (
    "The viewer ID looks like an e-mail address, and IVS asks for viewer IDs without personal data."
    " Use an opaque ID, such as a keyed hash of it."
)

BODIES: list[tuple[Provoke, Text]] = [
    (post({}), invalid("channel", "required", "channel is required.")),
    (post([]), invalid("", "json_object", "The body must be a JSON object.")),
    (
        post_text("{"),
        invalid("", "json", NOT_JSON),
    ),
    (
        post_text(20_001 * "["),
        invalid("", "too_many_values", "The body has more than 20000 opening brackets."),
    ),
    (
        post({f"member{number}": None for number in range(41)}),
        invalid("", "too_many_members", "The body has 41 members. No request has so many."),
    ),
    (
        post_text('{"channel":' + 99 * "[" + 99 * "]" + "}"),
        invalid("channel", "string_type", "channel must be a string."),
    ),
    (post_text('{"channel":' + 100 * "[" + 100 * "]" + "}"), invalid("", "json", NOT_JSON)),
    (post({"channel": 5}), invalid("channel", "string_type", "channel must be a string.")),
    (
        post({"channel": ""}),
        invalid("channel", "string_too_short", "channel must have 1 or more characters."),
    ),
    (
        post({"channel": 129 * "a"}),
        invalid("channel", "string_too_long", "channel must have at most 128 characters."),
    ),
    (
        post({"channel": "demo", "ttl_seconds": "300"}),
        invalid("ttl_seconds", "int_type", "ttl_seconds must be an integer."),
    ),
    (
        post({"channel": "demo", "ttl_seconds": 0}),
        invalid("ttl_seconds", "greater_than_equal", "ttl_seconds must be 1 or more."),
    ),
    (
        post_as_moderator(viewer_id="v", channel="demo", ban_seconds=315_360_001),
        invalid("ban_seconds", "less_than_equal", "ban_seconds must be 315360000 or less."),
    ),
    (
        post({"channel": "demo", "ttl": 300}),
        invalid("ttl", "unknown_field", "'ttl' is not a field of this request."),
    ),
    (
        post({"channel": "demo", "single_use": "yes"}),
        invalid("single_use", "bool_type", "single_use must be true or false."),
    ),
    (
        post({"channel": "demo", "maximum_resolution": "4K"}),
        invalid(
            "maximum_resolution", "enum", "maximum_resolution must be one of: SD, HD, FULL_HD."
        ),
    ),
    (
        post({"channel": "demo", "allowed_origins": "*"}),
        invalid("allowed_origins", "tuple_type", "allowed_origins must be a list."),
    ),
    (
        post({"channel": "demo", "allowed_origins": 101 * ["*"]}),
        invalid("allowed_origins", "too_long", "allowed_origins must have at most 100 items."),
    ),
    (post({"requests": {}}, BATCH), invalid("requests", "list_type", "requests must be a list.")),
    (
        post({"requests": []}, BATCH),
        invalid("requests", "too_short", "requests must have 1 or more items."),
    ),
    (
        post({"viewer": "v"}),
        problem(
            "invalid_request",
            "channel is required. 'viewer' is not a field of this request.",
            None,
            ("channel", "required", "channel is required."),
            ("viewer", "unknown_field", "'viewer' is not a field of this request."),
        ),
    ),
    (
        post_as("website", channel="demo"),
        invalid(
            "viewer_id",
            "viewer_id_required",
            "The grant website requires a viewer ID.",
            "Set `viewer_id` to the ID of the viewer.",
        ),
    ),
    (
        post({"channel": "demo", "viewer_id": "ann@example.com"}),
        problem(
            "invalid_request",
            "A playback token with these options is not allowed. " + VIEWER_ID_MESSAGE,
            None,
            ("viewer_id", "viewer_id_private", VIEWER_ID_MESSAGE),
        ),
    ),
    (
        provoking.call_route_that_aborts(416),
        problem(
            "invalid_request",
            "A header of the request, or the length of its body, is not valid.",
            "Check the headers of the request, such as Content-Length and Range.",
        ),
    ),
]
REFUSALS: list[tuple[Provoke, Text]] = [
    (
        call("POST", "/v1/playback-urls"),
        problem("unauthenticated", "The request has no API key.", AUTHENTICATION_HINT),
    ),
    (
        provoking.post_with_key(UNKNOWN_KEY),
        problem(
            "unauthenticated", "The API key is not valid, or it was revoked.", AUTHENTICATION_HINT
        ),
    ),
    (
        post_with_scope("moderate", "operate", channel="demo"),
        problem(
            "not_permitted",
            "This caller does not have the scope mint.",
            "Use a caller with the scope mint: `tokensvc api-keys create --scope mint` makes an API"
            " key that has it.",
        ),
    ),
    (
        post_as("other-region", channel=OTHER_REGION_ARN),
        problem(
            "channel_not_found",
            "This service has no key pairs in us-east-1, the region of the channel.",
            "Use a channel in us-west-2, or add the region to `ivs.regions` in the settings.",
        ),
    ),
    (
        call("GET", "/v2"),
        problem(
            "not_found",
            "No route has this path.",
            "Check the path. The documentation of the HTTP API lists all routes.",
        ),
    ),
    (
        call("GET", "/v1/playback-urls"),
        problem(
            "method_not_allowed",
            "This route does not support the HTTP method.",
            "Use a method that the header Allow lists.",
        ),
    ),
    (
        provoking.post_for_public_channel(PUBLIC_ARN),
        problem(
            "channel_not_private",
            f"The channel {PUBLIC_ARN} is public: anyone can watch it without a token.",
            f"Make it private with `tokensvc channels protect {PUBLIC_ARN}`. To answer with its"
            " plain URL instead, set `playback.allow_plain_urls`.",
        ),
    ),
    (
        post_text(65_537 * " "),
        problem(
            "body_too_large",
            "The body has more than 65536 bytes, the limit of this route.",
            "Send a smaller body: split a large batch into several.",
        ),
    ),
    (
        provoking.call_route_that_aborts(413),
        problem(
            "body_too_large",
            "The body is larger than the limit of this route.",
            "Send a smaller body.",
        ),
    ),
    (
        post_text("{}", "text/plain"),
        problem(
            "unsupported_media_type",
            "The Content-Type of the request is not application/json.",
            "Send `Content-Type: application/json`.",
        ),
    ),
    (
        provoking.call_route_that_aborts(415),
        problem(
            "unsupported_media_type",
            "This route does not support the Content-Type of the body.",
            "Send `Content-Type: application/json`.",
        ),
    ),
]
QUERIES: list[tuple[Provoke, Text]] = [
    (
        call("GET", "/readyz?scope=all"),
        invalid("scope", "enum", "scope must be `replica`, or absent."),
    ),
]
ERRORS_OF_THE_SERVICE: list[tuple[Provoke, Text]] = [
    (
        provoking.post_when_lookup_raises(ZeroDivisionError()),
        problem(
            "internal_error",
            "The service failed because of an internal error.",
            "Report the `request_id` to an operator of the service: the log has the details.",
        ),
    ),
    (
        provoking.post_when_lookup_raises(IvsUnavailable("No answer.")),
        unavailable(
            "ivs_unavailable", "The service can't get the channel from Amazon IVS right now."
        ),
    ),
    (
        provoking.post_when_lookup_raises(IssuerUnavailable("No answer.")),
        unavailable(
            "issuer_unavailable", "The service can't get the keys of the issuer right now."
        ),
    ),
    (
        provoking.post_when_lookup_raises(RateLimited("Too many.", hint="Wait.")),
        problem("rate_limited", "Too many.", "Wait."),
    ),
    (provoking.without_key_pairs(provoking.post_demo), unavailable("no_signing_key", NO_KEY_PAIR)),
    (
        provoking.with_unreadable_private_key(provoking.post_demo),
        unavailable("custody_unavailable", NO_CUSTODY),
    ),
    (
        provoking.with_damaged_private_key(provoking.post_demo),
        unavailable("custody_unavailable", NO_CUSTODY),
    ),
    (provoking.without_the_state(provoking.post_demo), unavailable("state_unavailable", NO_STATE)),
    (
        provoking.with_api_keys_document("{}", provoking.post_demo),
        unavailable("state_unavailable", NO_STATE),
    ),
    (
        provoking.with_api_keys_document(NEWER_DOCUMENT, provoking.post_demo),
        unavailable("schema_unsupported", OLDER_RELEASE),
    ),
    (provoking.with_clock_off(provoking.post_demo), unavailable("clock_off", CLOCK_OFF)),
    (
        provoking.with_clock_off(provoking.get_readyz),
        not_ready("clock_off", ("clock", "clock_off", CLOCK_OFF)),
    ),
    (
        provoking.post_when_lookup_raises(AuditUnavailable("The disk is full.")),
        unavailable("audit_unavailable", "The service can't write its audit log right now."),
    ),
    (
        provoking.post_when_lookup_raises(EntitlementUnavailable("No answer.")),
        unavailable("entitlement_unavailable", "The entitlement hook does not answer right now."),
    ),
    (
        provoking.post_too_late_in_a_batch,
        unavailable("overloaded", "The service could not start this request in time."),
    ),
    (
        provoking.get_readyz_while_draining,
        not_ready("draining", ("process", "draining", "The service is stopping.")),
    ),
    (
        provoking.without_key_pairs(provoking.get_readyz),
        not_ready("no_signing_key", (RING, "no_signing_key", NO_KEY_PAIR)),
    ),
    (
        provoking.with_unreadable_private_key(provoking.get_readyz),
        not_ready("custody_unavailable", (RING, "custody_unavailable", NO_CUSTODY)),
    ),
    (
        provoking.with_damaged_private_key(provoking.get_readyz),
        not_ready(
            "custody_unavailable",
            (RING, "custody_damaged", "A private key of the service is damaged or missing."),
        ),
    ),
    (
        provoking.with_api_keys_document("{}", provoking.get_readyz),
        not_ready(
            "state_unavailable",
            ("api-keys", "state_damaged", "The shared state of the service is damaged."),
        ),
    ),
    (
        provoking.with_api_keys_document(NEWER_DOCUMENT, provoking.get_readyz),
        not_ready("schema_unsupported", ("api-keys", "schema_unsupported", OLDER_RELEASE)),
    ),
    (
        provoking.without_the_state(provoking.get_readyz),
        not_ready(
            "state_unavailable",
            ("api-keys", "state_unavailable", NO_STATE),
            ("bans", "state_unavailable", NO_STATE),
            (RING, "state_unavailable", NO_STATE),
        ),
    ),
]

CLIENT_ERRORS = BODIES + REFUSALS + GRANTS + BANS + QUERIES


def ids(cases: list[tuple[Provoke, Text]]) -> list[str]:
    """The code of each case."""
    return [expected.code for _, expected in cases]


@pytest.mark.parametrize(("provoke", "expected"), CLIENT_ERRORS, ids=ids(CLIENT_ERRORS))
def test_a_client_error_has_this_text(
    deployment: Deployment, provoke: Provoke, expected: Text
) -> None:
    """Status, code, title, detail, hint and errors."""
    assert Text.of(provoke(deployment)) == expected


@pytest.mark.parametrize(
    ("provoke", "expected"), ERRORS_OF_THE_SERVICE, ids=ids(ERRORS_OF_THE_SERVICE)
)
def test_an_error_of_the_service_has_this_text(
    own_deployment: Deployment, provoke: Provoke, expected: Text
) -> None:
    """The same. Each case gets its own deployment and breaks it."""
    assert Text.of(provoke(own_deployment)) == expected
