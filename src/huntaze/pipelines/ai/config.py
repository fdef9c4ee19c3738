"""The file of deployments (TOML): parsed, filled up with what is known of the models, and checked as a whole."""

import tomllib
from collections.abc import Mapping, Set
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from huntaze.pipelines.ai.calls import ROLES, Role
from huntaze.pipelines.ai.catalogue import PLAN, known, spelled
from huntaze.pipelines.ai.deployments import CACHE_S, Deployment, Routes

# Said once at the top of the file, they hold for every deployment that does not say otherwise.
_SHARED: Final = ("base_url", "wire", "api_key_env", "bearer_env", "connect_s", "first_byte_s", "timeout_s")


class ConfigError(ValueError):
    """The file does not describe deployments. `problems`: one line each, naming the field and what is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _File(BaseModel):
    """The file as it is written.

    A role that it does not name goes to the deployment of that name, else to the model of the product's plan where
    `base_url` stands at the top; else it is not set up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: Any = None
    wire: Any = None
    api_key_env: Any = None
    bearer_env: Any = None
    connect_s: Any = None
    first_byte_s: Any = None
    timeout_s: Any = None
    roles: dict[Role, str] = {}
    deployments: dict[str, dict[str, Any]] = {}
    economise_at: Annotated[float, Field(gt=0, le=1)] | None = None
    cache_s: dict[Role, Annotated[int, Field(ge=0, le=31 * 86_400)]] = {}


def parse_config(text: str) -> Routes:
    """Raises ConfigError with everything that is wrong."""
    try:
        file = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"is not TOML: {error}"]) from None
    except ValidationError as error:
        raise ConfigError(_explained(error, "")) from None
    if not (roles := _roles(file)):
        raise ConfigError(["roles: none is set up; name a deployment for generate, reason or vision"])
    deployments, problems = _filled(file, roles)
    for role, name in roles.items():
        told = name in file.deployments or spelled(name) is not None  # why it could not be made
        if name not in deployments and not told:
            problems.append(f"roles.{role}: no deployment is called {name!r}; there are: {_list(deployments)}")
    for one in deployments.values():
        problems += _crossed(one, deployments)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Routes(deployments, roles, file.economise_at, {**CACHE_S, **file.cache_s})


def _roles(file: _File) -> dict[Role, str]:
    named = dict(file.roles)
    for role in ROLES:
        if role not in named and role in file.deployments:
            named[role] = role
        elif role not in named and file.base_url is not None:
            named[role] = PLAN[role]
    return named


def _filled(file: _File, roles: Mapping[Role, str]) -> tuple[dict[str, Deployment], list[str]]:
    """Every deployment of the file, and those of the plan that it leaves to the catalogue; and what is wrong."""
    found: dict[str, Deployment] = {}
    problems: list[str] = []
    shared = {name: getattr(file, name) for name in _SHARED if getattr(file, name) is not None}
    waiting, seen = [*file.deployments, *roles.values()], set[str]()
    while waiting:
        name = waiting.pop(0)
        if name in seen or (name not in file.deployments and spelled(name) is None):
            continue
        seen.add(name)
        own = dict(file.deployments.get(name, {}))
        model = str(own.get("model", spelled(name) or name))
        like = str(own.pop("known_as", model))
        if own.get("fallback") == "":  # of a model whose successor is not wanted
            own["fallback"] = None
        auth = {"api_key_env", "bearer_env"} if {"api_key_env", "bearer_env"} & own.keys() else set()
        facts = {**{key: value for key, value in shared.items() if key not in auth}, **known(like), **own}
        try:
            found[name] = Deployment.model_validate({**facts, "name": name, "model": model})
        except ValidationError as error:
            said_above = shared.keys() - own.keys()  # at the top of the file, and wrong there
            problems += _explained(error, f"deployments.{name}.", said_above)
            continue
        if following := found[name].fallback:
            waiting.append(following)
    return found, problems


def _crossed(one: Deployment, deployments: Mapping[str, Deployment]) -> list[str]:
    """What is wrong between fields and between deployments."""
    problems, at = list[str](), f"deployments.{one.name}"
    if one.api_key_env and one.bearer_env:
        problems.append(f"{at}: has api_key_env and bearer_env; leave out one")
    if one.fallback and one.fallback not in deployments:
        problems.append(f"{at}.fallback: no deployment is called {one.fallback!r}; there are: {_list(deployments)}")
    if one.thinking_tokens >= one.max_output_tokens:
        problems.append(f"{at}.thinking_tokens: leaves no room for an answer within max_output_tokens")
    seen, name = {one.name}, one.fallback
    while name and name in deployments and name not in seen:
        seen.add(name)
        name = deployments[name].fallback
    if name == one.name:
        problems.append(f"{at}.fallback: comes back to {one.name!r} itself")
    return problems


def _explained(error: ValidationError, prefix: str, bare: Set[str] = frozenset()) -> list[str]:
    """`field: what is wrong`, with the prefix unless the field is one of `bare`. Without the values: somebody may have
    put a key where its name belongs."""
    lines = []
    for one in error.errors(include_input=False, include_url=False):
        where = ".".join(str(part) for part in one["loc"] if part != "[key]")
        told = {"missing": "is not set", "extra_forbidden": "is no field that is known"}.get(one["type"], one["msg"])
        lines.append(f"{'' if where in bare else prefix}{where}: {told.removeprefix('Value error, ')}")
    return lines


def _list(deployments: Mapping[str, Deployment]) -> str:
    return ", ".join(sorted(deployments)) or "none"
