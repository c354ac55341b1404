from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.problem_shape import STATUS_OF_CODE
from tokensvc import errors
from tokensvc.errors import InvalidRequest, IvsRefused, NoSigningKey, Problem, TokensvcError


def all_errors(base: type[TokensvcError] = TokensvcError) -> Iterator[type[TokensvcError]]:
    """Every error class in `tokensvc.errors`."""
    for error in base.__subclasses__():
        if vars(errors).get(error.__name__) is error:
            yield error
            yield from all_errors(error)


ALL_ERRORS: list[type[TokensvcError]] = sorted(all_errors(), key=lambda error: error.code)

# The codes are part of the HTTP API: clients branch on them.
STATUS_OF_PUBLIC_CODE = {
    code: status for code, status in STATUS_OF_CODE.items() if code != TokensvcError.code
}


def test_every_error_has_its_own_code() -> None:
    """No two errors differ only in their text. One without a code is a kind of its base."""
    codes = [error.code for error in ALL_ERRORS if "code" in vars(error)]
    assert len(codes) == len(set(codes))
    assert TokensvcError.code not in codes


def test_the_codes_of_the_http_api_have_a_fixed_status() -> None:
    """A client that branches on them continues to work."""
    statuses = {error.code: error.http_status for error in ALL_ERRORS}
    assert {code: statuses.get(code) for code in STATUS_OF_PUBLIC_CODE} == STATUS_OF_PUBLIC_CODE


@pytest.mark.parametrize("error", ALL_ERRORS)
def test_every_error_has_its_own_title(error: type[TokensvcError]) -> None:
    """The title is not inherited from the base class."""
    assert "title" in vars(error) or "code" not in vars(error)
    assert error.title


def test_the_text_of_an_error_is_its_detail_and_its_hint() -> None:
    """Without a hint, it is the detail only."""
    assert str(InvalidRequest("It is wrong.", hint="Fix it.")) == "It is wrong. Fix it."
    assert str(InvalidRequest("It is wrong.")) == "It is wrong."


def test_an_error_has_all_its_problems() -> None:
    """There is one problem for each field and rule."""
    problems = (Problem("a", "x", "A is wrong."), Problem("b", "y", "B is wrong."))
    assert InvalidRequest("Two.", problems=problems).problems == problems
    assert InvalidRequest("None.").problems == ()


def test_only_temporary_errors_have_a_retry_after() -> None:
    """The default is 5 seconds; other errors have none."""
    assert NoSigningKey("None.").retry_after_seconds == 5
    assert NoSigningKey("None.", retry_after_seconds=60).retry_after_seconds == 60
    assert InvalidRequest("Wrong.").retry_after_seconds is None


def test_a_refusal_by_ivs_has_the_name_of_ivss_error() -> None:
    """Code can branch on it."""
    refusal = IvsRefused("Full.", aws_code="ServiceQuotaExceededException", hint="Delete one.")
    assert refusal.aws_code == "ServiceQuotaExceededException"
    assert str(refusal) == "Full. Delete one."
