"""Settings from a TOML file and `TOKENSVC_SECTION__FIELD` variables, with all problems at once.

Each section is checked by itself, so that a mistake in one hides none in another; then the rules
between sections are applied to those that hold.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tokensvc.errors import Problem, SettingsInvalid
from tokensvc.settings.model import Settings, section_model
from tokensvc.settings.rules import broken_rules

CONFIG_VARIABLE = "TOKENSVC_CONFIG"
DEFAULT_FILE = Path("tokensvc.toml")
_PREFIX = "TOKENSVC_"
_NESTING = "__"
# What Kubernetes sets in each pod beside a Service that is called `tokensvc`.
_SERVICE_LINK = re.compile(
    rf"{_PREFIX}(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9]+)*|PORT(_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)"
)
_SECRETS_OF_CUSTODY = ("key_encryption_secret", "previous_key_encryption_secret")

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sources:
    """What was found before anything was judged: the merged tree, and who said what.

    Attributes:
        folder: what relative paths are relative to.
        tree: sections and fields as they were given, the environment's before the file's.
        variables: which variable a path's value came from.
        problems: what can't be part of any tree.
    """

    folder: Path
    tree: dict[str, Any]
    variables: Mapping[_Path, str]
    problems: tuple[Problem, ...]


def load_settings(config: Path | None, environment: Mapping[str, str]) -> Settings:
    """The settings of the file, with the environment's in their place; paths made absolute.

    Args:
        config: the TOML file; where None, `TOKENSVC_CONFIG` names it, and where that is not set it
            is `tokensvc.toml` in the working directory, if there is one.
        environment: the environment variables.

    Raises:
        SettingsInvalid: with a problem for everything that is wrong.
    """
    path = config_file(config, environment)
    sources = _read(path, environment)
    sections: dict[str, Any] = {}
    problems = list(sources.problems)
    for name, field in Settings.model_fields.items():
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
            given = sources.tree.get(name, {} if field.is_required() else field.default)
            sections[name] = adapter.validate_python(given)
        except ValidationError as exc:
            problems += [_problem(error, name, sources) for error in exc.errors()]
    problems += broken_rules(sections, sources.folder)
    if problems:
        raise SettingsInvalid(
            f"The settings are wrong ({path or 'no file, the environment alone'}):",
            hint="`tokensvc init` writes a file that explains every setting.",
            problems=tuple(problems),
        )
    return _with_absolute_paths(Settings(**sections), sources.folder)


def config_file(config: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The file that settings are read from, absolute; None where there is none."""
    if config is None and (named := environment.get(CONFIG_VARIABLE)):
        config = Path(named)
    if config is None and DEFAULT_FILE.exists():
        config = DEFAULT_FILE
    return None if config is None else config.absolute()


def setting_variables(environment: Mapping[str, str]) -> Sequence[str]:
    """The names of the variables that are meant as settings, in order."""
    in_kubernetes = "KUBERNETES_SERVICE_HOST" in environment
    return [
        name
        for name in sorted(environment)
        if name.startswith(_PREFIX)
        and name != CONFIG_VARIABLE
        and not (in_kubernetes and _SERVICE_LINK.fullmatch(name))
    ]


def _read(path: Path | None, environment: Mapping[str, str]) -> _Sources:
    tree = {} if path is None else _read_toml(path)
    problems = list(_misplaced(tree))
    variables: dict[_Path, str] = {}
    for variable in setting_variables(environment):
        text = environment[variable]
        where = tuple(variable.removeprefix(_PREFIX).lower().split(_NESTING))
        if not _is_setting(where):
            problems.append(_unknown_variable(variable))
        elif not text:
            problems.append(Problem(variable, "empty", "It is empty. Unset it or give a value."))
        elif _put(tree, where, text):
            variables[where] = variable
    folder = Path.cwd() if path is None else path.parent
    return _Sources(folder, tree, variables, tuple(problems))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as exc:
        raise SettingsInvalid(
            f"The settings file {path} can't be read ({exc.strerror}).",
            hint="Name another with --config, or write one with `tokensvc init`.",
        ) from exc
    except ValueError as exc:
        raise SettingsInvalid(
            f"The settings file {path} is not TOML: {exc}.", hint="Mend that line."
        ) from exc


def _misplaced(tree: Mapping[str, Any]) -> Iterator[Problem]:
    """What stands in the file and can't stand in any file."""
    for name in tree:
        if name not in Settings.model_fields:
            yield Problem(name, "unknown_key", _no_such("section", name, Settings.model_fields))
    custody = tree.get("custody")
    for secret in _SECRETS_OF_CUSTODY:
        if isinstance(custody, dict) and secret in custody:
            yield Problem(
                f"custody.{secret}",
                "secret_in_file",
                "Settings files are copied and committed, secrets must not be: set"
                f" TOKENSVC_CUSTODY__{secret.upper()}, or use {secret}_file.",
            )


def _put(tree: dict[str, Any], where: _Path, text: str) -> bool:
    """Whether the text could be put there; where not, the section itself is reported as wrong."""
    *tables, last = where
    table: Any = tree
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            return False
    table[last] = text
    return True


def _is_setting(where: _Path) -> bool:
    match where:
        case ("channels", name):
            return bool(name)
        case ("grants", name, field):
            return bool(name) and field in _fields_of_section("grants")
        case (section, field):
            return section != "grants" and field in _fields_of_section(section)
        case _:
            return False


def _fields_of_section(name: str) -> tuple[str, ...]:
    model = section_model(name) if name in Settings.model_fields else None
    return tuple(model.model_fields) if model else ()


def _unknown_variable(variable: str) -> Problem:
    known = [
        f"{_PREFIX}{section}{_NESTING}{field}".upper()
        for section in Settings.model_fields
        if section != "grants"
        for field in _fields_of_section(section)
    ]
    return Problem(variable, "unknown_variable", _no_such("setting", variable, known))


def _no_such(kind: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"There is no such {kind}." + (f" Did you mean {near[0]}?" if near else "")


def _problem(error: ErrorDetails, section: str, sources: _Sources) -> Problem:
    # "[key]" is how pydantic says that the name itself, not its value, is meant.
    where = (section, *(str(part) for part in error["loc"] if part != "[key]"))
    if error["type"] == "extra_forbidden":
        message = _no_such("setting", where[-1], _fields_of_section(section))
        return Problem(".".join(where), "unknown_key", message)
    said_by = next(
        (variable for path, variable in sources.variables.items() if path == where[: len(path)]), ""
    )
    message = error["msg"].removeprefix("Value error, ")
    return Problem(
        ".".join(where) + (f" ({said_by})" if said_by else ""),
        error["type"],
        message if message.endswith(".") else f"{message}.",
    )


def _with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    secret_file = settings.custody.key_encryption_secret_file
    previous_file = settings.custody.previous_key_encryption_secret_file
    custody = {
        "url": _absolute_url(settings.custody.url, folder),
        "key_encryption_secret_file": secret_file and folder / secret_file,
        "previous_key_encryption_secret_file": previous_file and folder / previous_file,
    }
    return settings.model_copy(
        update={
            "state": settings.state.model_copy(
                update={"url": _absolute_url(settings.state.url, folder)}
            ),
            "custody": settings.custody.model_copy(update=custody),
        }
    )


def _absolute_url(url: str, folder: Path) -> str:
    """`sqlite:keys/state.sqlite3` with its path made absolute: relative ones are the folder's."""
    scheme, _, path = url.partition(":")
    return f"{scheme}:{folder / path}"
