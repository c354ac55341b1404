"""Load the settings from a TOML file and `TOKENSVC_SECTION__FIELD` environment variables.

All problems are reported at once. Each section is validated separately, so that a mistake in one
does not hide a mistake in another. The rules between sections are then checked for valid sections.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import SecretStr, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tokensvc.errors import Problem, SettingsInvalid
from tokensvc.protected_files import FileRefused, read_regular
from tokensvc.settings.messages import message_of
from tokensvc.settings.model import Settings, is_table_of_sections, section_model
from tokensvc.settings.rules import broken_rules
from tokensvc.written_text import text_of

CONFIG_VARIABLE = "TOKENSVC_CONFIG"
DEFAULT_FILE = Path("tokensvc.toml")
_PREFIX = "TOKENSVC_"
_NESTING = "__"
# The variables that Kubernetes sets in each pod when there is a Service with the name `tokensvc`.
_SERVICE_LINK = re.compile(
    rf"{_PREFIX}(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9]+)*|PORT(_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)"
)

_KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sources:
    """The settings of the file and the environment, merged but not validated.

    Attributes:
        folder: the folder of relative paths.
        tree: the given sections and fields. The environment takes precedence over the file.
        variables: the environment variable of each path whose value comes from one.
        problems: the names that don't exist and the values that are not allowed in their place.
    """

    folder: Path
    tree: dict[str, Any]
    variables: Mapping[_KeyPath, str]
    problems: tuple[Problem, ...]


def load_settings(config: Path | None, environment: Mapping[str, str]) -> Settings:
    """Load the settings of the file and the environment, which takes precedence.

    Paths are made absolute.

    Args:
        config: the TOML file. If None, the file in `TOKENSVC_CONFIG`, otherwise `tokensvc.toml` in
            the working directory if it exists.
        environment: the environment variables.

    Raises:
        SettingsInvalid: with one problem for everything that is wrong.
    """
    path = config_file(config, environment)
    sources = _read(path, environment)
    sections: dict[str, Any] = {}
    problems = list(sources.problems)
    for name, field in Settings.model_fields.items():
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
            sections[name] = adapter.validate_python(sources.tree.get(name, {}))
        except ValidationError as exc:
            problems += [_problem(error, name, sources) for error in exc.errors()]
    problems += broken_rules(sections, sources.folder)
    if problems:
        raise SettingsInvalid(
            f"The settings are invalid ({path or 'no file, only environment variables'}):",
            hint="Fix these settings. To get a file that explains every setting, run"
            " `tokensvc init` in an empty folder.",
            problems=tuple(problems),
        )
    return _with_absolute_paths(Settings(**sections), sources.folder)


def config_file(config: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The absolute path of the settings file, or None if there is no file."""
    if config is None and (named := environment.get(CONFIG_VARIABLE)):
        config = Path(named)
    # Also a link to a file that is missing, which is an error and not an absent file.
    if config is None and os.path.lexists(DEFAULT_FILE):
        config = DEFAULT_FILE
    return config if config is None or config.is_absolute() else _working_folder() / config


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError as exc:
        raise SettingsInvalid(
            "The working folder of this process no longer exists, or can't be entered.",
            hint="Change to another folder, and name the settings file with --config.",
        ) from exc


def setting_variables(environment: Mapping[str, str]) -> Sequence[str]:
    """The names of the environment variables that are settings, sorted."""
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
    problems = list(_file_problems(tree))
    variables: dict[_KeyPath, str] = {}
    for variable in setting_variables(environment):
        text = environment[variable].strip()  # An env file may end its lines with \r\n.
        key_path = tuple(variable.removeprefix(_PREFIX).lower().split(_NESTING))
        if not _is_setting(key_path):
            problems.append(_unknown_variable(variable))
        elif not text:
            message = "The variable is empty. Set it to a value, or unset it."
            problems.append(Problem(variable, "empty", message))
        elif _insert(tree, key_path, text):
            variables[key_path] = variable
    folder = _working_folder() if path is None else path.parent
    return _Sources(folder, tree, variables, tuple(problems))


def _read_toml(path: Path) -> dict[str, Any]:
    name_another = "Name another file with --config, or write one with `tokensvc init`."
    try:
        return tomllib.loads(text_of(read_regular(path)))
    except FileRefused as exc:
        raise SettingsInvalid(
            f"The settings file is not used. {exc.fault.detail}", hint=name_another
        ) from exc
    except OSError as exc:
        raise SettingsInvalid(
            f"The settings file {path} can't be read ({os.strerror(exc.errno or 0)}).",
            hint=name_another,
        ) from exc
    except UnicodeDecodeError as exc:
        raise SettingsInvalid(
            f"The settings file {path} is not UTF-8 text, from byte {exc.start + 1} on.",
            hint="Save it as UTF-8.",
        ) from exc
    except ValueError as exc:
        raise SettingsInvalid(
            f"The settings file {path} is not valid TOML: {exc}.",
            hint="Fix the file at that position.",
        ) from exc


def _file_problems(tree: Mapping[str, Any]) -> Iterator[Problem]:
    """The unknown sections in the file, and the secrets, which are not allowed in a file."""
    for name in tree:
        if name not in Settings.model_fields:
            message = _does_not_exist("section", name, Settings.model_fields)
            yield Problem(name, "unknown_key", message)
    for section, secret in _secrets():
        if isinstance(tree.get(section), dict) and secret in tree[section]:
            yield Problem(
                f"{section}.{secret}",
                "secret_in_file",
                "A settings file may be copied or committed, so a secret is not allowed in it. Set"
                f" {_PREFIX}{section.upper()}__{secret.upper()} or {secret}_file instead.",
            )


def _secrets() -> Iterator[tuple[str, str]]:
    """The section and name of each setting that is a secret itself, not a file with it."""
    for section in Settings.model_fields:
        model = section_model(section)
        for name, field in model.model_fields.items() if model else ():
            if field.annotation == SecretStr | None:
                yield section, name


def _insert(tree: dict[str, Any], key_path: _KeyPath, text: str) -> bool:
    """Insert the text and return True, or False if a parent is not a table (reported later)."""
    *tables, last = key_path
    table: Any = tree
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            return False
    table[last] = text
    return True


def _is_setting(key_path: _KeyPath) -> bool:
    match key_path:
        case ("channels", name):
            return bool(name)
        case (section, name, field) if _is_table_of_sections(section):
            return bool(name) and field in _fields_of_section(section)
        case (section, field) if not _is_table_of_sections(section):
            return field in _fields_of_section(section)
        case _:
            return False


def _is_table_of_sections(name: str) -> bool:
    return name in Settings.model_fields and is_table_of_sections(name)


def _fields_of_section(name: str) -> tuple[str, ...]:
    model = section_model(name) if name in Settings.model_fields else None
    return tuple(model.model_fields) if model else ()


def _unknown_variable(variable: str) -> Problem:
    known = [
        f"{_PREFIX}{section}{_NESTING}{field}".upper()
        for section in Settings.model_fields
        if not is_table_of_sections(section)
        for field in _fields_of_section(section)
    ]
    return Problem(variable, "unknown_variable", _does_not_exist("setting", variable, known))


def _does_not_exist(kind: str, name: str, known: Iterable[str]) -> str:
    similar = get_close_matches(name, list(known), n=1)
    return f"This {kind} does not exist." + (f" Did you mean {similar[0]}?" if similar else "")


def _problem(error: ErrorDetails, section: str, sources: _Sources) -> Problem:
    # pydantic adds "[key]" to the path when the name is wrong, not its value.
    key_path = (section, *(str(part) for part in error["loc"] if part != "[key]"))
    if error["type"] == "extra_forbidden":
        message = _does_not_exist("setting", key_path[-1], _fields_of_section(section))
        return Problem(".".join(key_path), "unknown_key", message)
    variable = next(
        (variable for path, variable in sources.variables.items() if path == key_path[: len(path)]),
        "",
    )
    return Problem(
        ".".join(key_path) + (f" ({variable})" if variable else ""),
        error["type"],
        message_of(error, key_path[-1]),
    )


def _with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    secret_file = settings.custody.key_encryption_secret_file
    previous_file = settings.custody.previous_key_encryption_secret_file
    custody = {
        "url": absolute_url(settings.custody.url, folder),
        "former_url": settings.custody.former_url
        and absolute_url(settings.custody.former_url, folder),
        "key_encryption_secret_file": secret_file and folder / secret_file,
        "previous_key_encryption_secret_file": previous_file and folder / previous_file,
    }
    webhook_file = settings.notify.webhook_secret_file
    notify = {"webhook_secret_file": webhook_file and folder / webhook_file}
    issuers = {
        name: issuer.model_copy(update={"ca_file": issuer.ca_file and folder / issuer.ca_file})
        for name, issuer in settings.issuers.items()
    }
    viewer_id_file = settings.viewer_ids.secret_file
    viewer_ids = {"secret_file": viewer_id_file and folder / viewer_id_file}
    country_file = settings.viewer_country.secret_file
    viewer_country = {"secret_file": country_file and folder / country_file}
    hook_file = settings.entitlement.secret_file
    entitlement = {"secret_file": hook_file and folder / hook_file}
    return settings.model_copy(
        update={
            "state": settings.state.model_copy(
                update={"url": absolute_url(settings.state.url, folder)}
            ),
            "custody": settings.custody.model_copy(update=custody),
            "notify": settings.notify.model_copy(update=notify),
            "issuers": issuers,
            "viewer_ids": settings.viewer_ids.model_copy(update=viewer_ids),
            "viewer_country": settings.viewer_country.model_copy(update=viewer_country),
            "entitlement": settings.entitlement.model_copy(update=entitlement),
        }
    )


def absolute_url(url: str, folder: Path) -> str:
    """The URL with an absolute path. A relative one (`sqlite:keys/...`) begins at `folder`."""
    scheme, _, path = url.partition(":")
    return f"{scheme}:{folder / path}" if scheme in {"sqlite", "file"} else url
