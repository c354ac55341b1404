"""The table of `test_problem_sentences` has every code, rule and sentence."""

from __future__ import annotations

from tests.web.test_problem_sentences import BODIES, CLIENT_ERRORS, ERRORS_OF_THE_SERVICE
from tokensvc import errors
from tokensvc.errors import TokensvcError, Unavailable
from tokensvc.web.bodies import SENTENCES
from tokensvc.web.problems import PUBLIC_SENTENCES


def test_every_code_that_a_route_can_return_is_in_the_table() -> None:
    """All client errors, all temporary errors, and `internal_error` for everything else."""
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, TokensvcError)
    ]
    codes = {
        kind.code
        for kind in classes
        if kind is TokensvcError or kind.http_status < 500 or issubclass(kind, Unavailable)
    }
    # Routes convert `invalid_arn` to `invalid_request`. The server itself refuses the others,
    # before a route sees the request: tests/web/worker/test_worker.py.
    of_no_route = {
        "invalid_arn",
        "request_timeout",
        "uri_too_long",
        "headers_too_large",
        "transfer_coding_unknown",
    }
    listed = {expected.code for _, expected in CLIENT_ERRORS + ERRORS_OF_THE_SERVICE}
    assert listed == codes - of_no_route


def test_every_temporary_error_has_a_sentence_for_clients() -> None:
    """Its own text may name a path or a permission, so that it is never shown."""
    kinds = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Unavailable)
    ]
    assert {kind.code for kind in kinds} <= set(PUBLIC_SENTENCES)


def test_every_sentence_about_a_request_body_is_in_the_table() -> None:
    """Each of pydantic's error types; `test_bodies` shows that no other type is possible."""
    rules = {rule for _, expected in BODIES for _, rule, _ in expected.errors}
    renamed = {"missing", "unexpected_keyword_argument", "dataclass_type"}
    assert set(SENTENCES) - renamed <= rules
    assert {"required", "unknown_field", "json_object"} <= rules
