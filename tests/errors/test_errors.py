from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.problem_shape import STATUS_OF_CODE
from tokensvc import errors
from tokensvc.errors import InvalidRequest, IvsRefused, NoSigningKey, Problem, TokensvcError


def all_errors(base: type[TokensvcError] = TokensvcError) -> Iterator[type[TokensvcError]]:
    """Every refusal in the tree of `tokensvc.errors`."""
    for error in base.__subclasses__():
        if error.__module__ == errors.__name__:
            yield error
            yield from all_errors(error)


ALL_ERRORS: list[type[TokensvcError]] = sorted(all_errors(), key=lambda error: error.code)

# The codes are part of the HTTP interface: clients branch on them.
STATUS_OF_PUBLIC_CODE = {
    code: status for code, status in STATUS_OF_CODE.items() if code != TokensvcError.code
}


def test_every_refusal_has_a_code_of_its_own() -> None:
    """Two refusals are never told apart by their words alone."""
    codes = [error.code for error in ALL_ERRORS]
    assert len(codes) == len(set(codes))
    assert TokensvcError.code not in codes


def test_the_codes_that_a_caller_meets_keep_their_status() -> None:
    """A client that branches on them goes on working."""
    statuses = {error.code: error.http_status for error in ALL_ERRORS}
    assert {code: statuses.get(code) for code in STATUS_OF_PUBLIC_CODE} == STATUS_OF_PUBLIC_CODE


@pytest.mark.parametrize("error", ALL_ERRORS)
def test_every_refusal_says_in_a_title_what_it_is(error: type[TokensvcError]) -> None:
    """Its own, not its base's."""
    assert "title" in vars(error) or "code" not in vars(error)
    assert error.title


def test_the_text_is_what_is_wrong_and_then_the_way_out() -> None:
    """Either may stand alone."""
    assert str(InvalidRequest("It is wrong.", hint="Mend it.")) == "It is wrong. Mend it."
    assert str(InvalidRequest("It is wrong.")) == "It is wrong."


def test_a_refusal_carries_all_its_problems() -> None:
    """One for each field and rule."""
    problems = (Problem("a", "x", "A is wrong."), Problem("b", "y", "B is wrong."))
    assert InvalidRequest("Two.", problems=problems).problems == problems
    assert InvalidRequest("None.").problems == ()


def test_what_passes_by_itself_always_says_when_to_ask_again() -> None:
    """5 seconds unless better is known; what does not pass says nothing."""
    assert NoSigningKey("None.").retry_after_seconds == 5
    assert NoSigningKey("None.", retry_after_seconds=60).retry_after_seconds == 60
    assert InvalidRequest("Wrong.").retry_after_seconds is None


def test_a_refusal_by_ivs_names_ivss_own_error() -> None:
    """So that a caller may branch on it."""
    refusal = IvsRefused("Full.", aws_code="ServiceQuotaExceededException", hint="Delete one.")
    assert refusal.aws_code == "ServiceQuotaExceededException"
    assert str(refusal) == "Full. Delete one."
