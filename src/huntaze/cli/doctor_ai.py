"""What `huntaze doctor` says of the models: who answers, who has a key and a price, and whose end is near."""

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime

import httpx

from huntaze.cli.findings import Finding
from huntaze.clients.ai.build import secrets_of
from huntaze.clients.ai.configured import SANDBOX, guessed_price, routes_of
from huntaze.pipelines.ai.calls import ROLES
from huntaze.pipelines.ai.deployments import WARN_AHEAD, Deployment, Retirement, Routes, retirements
from huntaze.setting_groups import AISettings

_SEE = "See docs/ai.md."


def examine_ai(settings: AISettings) -> Iterator[Finding]:
    """Asks no model anything: a question would cost money."""
    routes = routes_of(settings)
    for role in ROLES:
        if role not in routes.roles:
            yield Finding("ai", False, f"no model is set up for the role {role}", f"Name one in the file. {_SEE}", True)
    used = {name: routes.deployments[name] for name in routes.used()}
    yield from _servers(used, routes)
    yield from _readiness(used.values(), secrets_of(settings))
    if guessed_price(settings):
        fix = (
            "Set HUNTAZE_AI_INPUT_MICRO_USD_PER_MILLION and HUNTAZE_AI_OUTPUT_MICRO_USD_PER_MILLION; 0 if it is yours."
        )
        told = f"the prices for {settings.model} are not set; those of Phi-4 Multimodal are counted"
        yield Finding("ai prices", False, told, fix, warning=True)
    yield from retirement_findings(routes, datetime.now(UTC).date())


def _servers(used: dict[str, Deployment], routes: Routes) -> Iterator[Finding]:
    """Whether somebody answers at each address."""
    for url in dict.fromkeys(one.base_url for one in used.values()):
        own = [one for one in used.values() if one.base_url == url]
        roles = sorted({role for one in own for role in routes.used()[one.name]}, key=ROLES.index)
        label = " (SANDBOX: no model is asked)" if all(one.model.startswith(SANDBOX) for one in own) else ""
        names = ", ".join(dict.fromkeys(one.model for one in own))
        told = f"{url} answers, for {', '.join(roles)}: {names}{label}"
        try:
            status = httpx.get(url, timeout=5, trust_env=False, follow_redirects=False).status_code
        except httpx.HTTPError as error:
            yield Finding("ai", False, f"{url}: {type(error).__name__}", f"Is it running? {_SEE}")
            continue
        yield Finding("ai", status < 500, told, f"It answered {status}: look at that server.")


def _readiness(used: Collection[Deployment], secret: Callable[[str], str | None]) -> Iterator[Finding]:
    """What would refuse every call."""
    for key in dict.fromkeys(one.bearer_env or one.api_key_env for one in used):
        if key is not None and not (secret(key) or "").strip():
            names = ", ".join(one.name for one in used if key in (one.bearer_env, one.api_key_env))
            yield Finding("ai key", False, f"{key} is not set, for {names}", "Set it, in the environment or in .env.")
    for one in used:
        if not one.priced:
            told = f"{one.name}: the price of {one.model} is not known, so it is not asked"
            yield Finding("ai prices", False, told, f"Set input_ and output_micro_usd_per_million for it. {_SEE}")


def retirement_findings(routes: Routes, today: date) -> Iterator[Finding]:
    """What the vendor ends within 60 days, or has ended."""
    near = [one for one in retirements(routes, today) if one.days <= WARN_AHEAD.days]
    if not near:
        yield Finding("ai models", True, f"none in use ends within {WARN_AHEAD.days} days")
    for one in near:
        yield _retirement(one)


def _retirement(one: Retirement) -> Finding:
    when = f"in {one.days} days, on {one.retires_at}" if one.days > 0 else f"since {one.retires_at}"
    who = f"{one.deployment} ({', '.join(one.roles)})"
    if one.successor is None:
        told = f"{who} is shut down {when}, and nothing follows it"
        return Finding("ai models", False, told, f"Deploy its successor and name it as fallback. {_SEE}", one.days > 0)
    told = f"{who} is shut down {when}; {one.successor} answers then"
    if one.days <= 0:
        told = f"{who} is shut down {when}; {one.successor} answers"
    fix = f"Try {one.successor} out, and put the role on it. {_SEE}"
    return Finding("ai models", False, told, fix, warning=True)
