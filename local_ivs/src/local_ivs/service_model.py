"""AWS's service model of the IVS API, as botocore ships it: maps requests to operations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from botocore.loaders import Loader
from botocore.model import ServiceModel

from local_ivs.errors import UnknownOperationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel

_URI_PARAMETER = re.compile(r"\{(\w+)\}")


class IvsModel:
    """The operations of Amazon IVS and their HTTP requests."""

    def __init__(self) -> None:
        description = Loader().load_service_model("ivs", "service-2")
        self._model = ServiceModel(description, "ivs")
        self._routes = [
            (operation.http["method"], _path_pattern(operation.http["requestUri"]), operation)
            for operation in map(self._model.operation_model, self._model.operation_names)
        ]

    @property
    def operation_names(self) -> tuple[str, ...]:
        """Every operation in the model, whether Local IVS serves it or not."""
        return tuple(self._model.operation_names)

    def operation(self, name: str) -> OperationModel:
        """The operation of that name."""
        return self._model.operation_model(name)

    def route(self, method: str, path: str) -> tuple[OperationModel, Mapping[str, str]]:
        """The operation of a request, and the parameters in its (URL-decoded) path.

        Raises:
            UnknownOperationError: no operation has this method and path.
        """
        for route_method, pattern, operation in self._routes:
            match = pattern.fullmatch(path)
            if match and route_method == method:
                return operation, match.groupdict()
        raise UnknownOperationError(
            f"{method} {path} is not an operation of Amazon IVS. Operations are POST "
            "/<OperationName> (case-sensitive) and /tags/<URL-encoded ARN>."
        )


def _path_pattern(request_uri: str) -> re.Pattern[str]:
    # An ARN contains a slash, which is a plain slash in the decoded path.
    literal_and_names = _URI_PARAMETER.split(request_uri)
    return re.compile(
        "".join(
            f"(?P<{part}>.+)" if index % 2 else re.escape(part)
            for index, part in enumerate(literal_and_names)
        )
    )
