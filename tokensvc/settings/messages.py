"""The sentence for each validation error of the settings.

pydantic's own messages name Python types and never reach an operator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pydantic_core import ErrorDetails

# One sentence for each of pydantic's error types. The names in braces are from the error's context.
SENTENCES: Final[Mapping[str, str]] = {
    "missing": "This setting is required.",
    "model_type": "This must be a TOML table.",
    "dict_type": "This must be a TOML table.",
    "string_type": "The value must be a string. Write it in quotes.",
    "string_too_short": "The value must not be empty.",
    "string_unicode": "The value must be valid Unicode text.",
    "string_pattern_mismatch": (
        "A name has 1 to 64 characters: lowercase letters, digits, - and _. It begins with a"
        " letter or a digit."
    ),
    "path_type": "The value must be the path of a file. Write it in quotes.",
    "int_type": "The value must be a whole number.",
    "int_parsing": "The value must be a whole number.",
    "int_parsing_size": "The number is too large.",
    "int_from_float": "The value must be a whole number.",
    "float_type": "The value must be a number.",
    "float_parsing": "The value must be a number.",
    "finite_number": "The value must be a whole number.",
    "greater_than_equal": "The value must be {ge} or more.",
    "less_than_equal": "The value must be {le} or less.",
    "bool_type": "The value must be true or false.",
    "bool_parsing": "The value must be true or false.",
    "literal_error": "The value must be one of: {expected}.",
    "enum": "The value must be one of: {expected}.",
    "tuple_type": "The value must be a list. Write it in square brackets.",
    "too_short": "Name at least one.",
}
_SENTENCES_OF_FIELDS: Final[Mapping[tuple[str, str], str]] = {
    ("account_id", "string_pattern_mismatch"): "An AWS account ID has 12 digits.",
    ("channels", "too_short"): "Name at least one channel.",
    ("regions", "too_short"): "Name at least one region.",
}
_ANY_OTHER: Final = "The value is not valid."
_QUOTED = re.compile(r"'([^']*)'")


def message_of(error: ErrorDetails, field: str) -> str:
    """The sentence for the error of that field, where `field` is the last part of its path."""
    context = dict(error.get("ctx", {}))
    if error["type"] == "value_error":
        return str(context["error"])  # Raised by a validator of the model, with our own message.
    if "expected" in context:
        # pydantic gives the allowed values as a phrase: "'SD', 'HD' or 'FULL_HD'".
        context["expected"] = ", ".join(_QUOTED.findall(context["expected"]))
    sentence = _SENTENCES_OF_FIELDS.get(
        (field, error["type"]), SENTENCES.get(error["type"], _ANY_OTHER)
    )
    return sentence.format_map(context)
