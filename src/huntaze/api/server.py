"""The process: uvicorn around the application, logs as JSON lines."""

import socket

import uvicorn
from fastapi import FastAPI

from huntaze import logs
from huntaze.api.edge import MAX_BODY_BYTES
from huntaze.api.streams import Streams
from huntaze.setting_groups import ApiSettings

GRACE_S = 5  # seconds that requests under way get at a stop


class Server(uvicorn.Server):
    """Ends the streams first: they would otherwise hold up every stop until the grace is over."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._streams.close()
        await super().shutdown(sockets)


def build_server(app: FastAPI) -> Server:
    """A server for the app and the address in its settings. `run()` blocks until SIGTERM or SIGINT."""
    address: ApiSettings = app.state.settings.api
    config = uvicorn.Config(
        app,
        host=address.host,
        port=address.port,
        log_config=None,
        access_log=False,  # `edge.Edge` writes one line a request, by route template
        server_header=False,
        ws_max_size=MAX_BODY_BYTES,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config, app.state.streams)


def configure_logs() -> None:
    """JSON lines on stderr, as everywhere in the fleet."""
    # What uvicorn and websockets add to their lines: the line again with a terminal's colours, and the connection.
    logs.configure(without={"color_message", "websocket"})
