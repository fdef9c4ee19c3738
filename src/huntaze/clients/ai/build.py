"""From settings to a gateway: once a process, after any fork. Opens no connection yet."""

import os
from collections.abc import Callable

from dotenv import dotenv_values

from huntaze.clients.ai.answers import RedisAnswers
from huntaze.clients.ai.breaker import RedisBreaker
from huntaze.clients.ai.configured import KEY, routes_of
from huntaze.clients.ai.gateway import Gateway
from huntaze.clients.ai.ports import Budget
from huntaze.clients.ai.shaping import RedisShaper
from huntaze.clients.ai.shared_state import SharedState
from huntaze.clients.ai.wire import HttpWire, Token
from huntaze.setting_groups import AISettings, RedisSettings


def build_gateway(
    settings: AISettings, redis: RedisSettings, budget: Budget, *, tokens: dict[str, Token] | None = None
) -> Gateway:
    """`budget`: the ledger, whose place is beside the models. `tokens`: where a bearer token that is fetched anew comes
    from, by the name that `bearer_env` gives it. Raises ConfigError."""
    routes, shared = routes_of(settings), SharedState(redis)
    return Gateway(
        routes,
        HttpWire(secrets_of(settings), tokens),
        budget,
        answers=RedisAnswers(shared),
        breaker=RedisBreaker(shared),
        shaper=RedisShaper(shared, routes.deployments),
        close=shared.close,
    )


def secrets_of(settings: AISettings) -> Callable[[str], str | None]:
    """Finds a key by the name of its variable, in the environment or in `.env`."""
    written = {name: value for name, value in dotenv_values(".env").items() if value}
    if settings.api_key is not None:
        written[KEY] = settings.api_key.get_secret_value()
    return lambda name: written[KEY] if name == KEY and KEY in written else os.environ.get(name) or written.get(name)
