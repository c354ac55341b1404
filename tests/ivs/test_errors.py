"""The refusals of IVS as classes."""

from __future__ import annotations

import botocore.session
import pytest

from tokensvc.errors import IvsRefused
from tokensvc.ivs.errors import (
    AccessDenied,
    ChannelNotBroadcasting,
    Conflict,
    InvalidParameters,
    PendingVerification,
    QuotaExceeded,
    refusal,
)

NAMES = {
    AccessDenied: "AccessDeniedException",
    PendingVerification: "PendingVerification",
    Conflict: "ConflictException",
    QuotaExceeded: "ServiceQuotaExceededException",
    ChannelNotBroadcasting: "ChannelNotBroadcasting",
}


@pytest.mark.parametrize(("kind", "name"), NAMES.items())
def test_a_refusal_that_callers_distinguish_has_a_class(kind: type[IvsRefused], name: str) -> None:
    """Its code stays `ivs_refused`, and its name in IVS is in IVS's service model."""
    error = refusal("Refused.", aws_code=name, hint="Try.")
    assert type(error) is kind
    assert isinstance(error, IvsRefused)
    assert (error.detail, error.hint, error.code, error.aws_code) == (
        "Refused.",
        "Try.",
        "ivs_refused",
        name,
    )
    model = botocore.session.get_session().get_service_model("ivs")
    assert name in {shape.name for shape in model.error_shapes}


@pytest.mark.parametrize("name", ["ValidationException", "StreamUnavailable", "404", ""])
def test_any_other_refusal_is_a_plain_one(name: str) -> None:
    """It keeps its name in IVS."""
    error = refusal("Refused.", aws_code=name)
    assert type(error) is IvsRefused
    assert error.aws_code == name


def test_a_request_that_boto3_did_not_send_is_a_refusal() -> None:
    """Its name is botocore's, not IVS's."""
    error = InvalidParameters("Not sent.")
    assert (error.code, error.aws_code) == ("ivs_refused", "ParamValidation")
