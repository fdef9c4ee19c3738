"""The transport alone."""

import threading

from huntaze.settings import Settings
from huntaze.worker.app import build_app


def test_a_node_does_not_wait_for_ever_for_remote_control(settings: Settings) -> None:
    app = build_app(settings)
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        channel.subclient.psubscribe("a")
        channel._receive()  # the broker's word that it has subscribed
        reading = threading.Thread(target=channel._receive, daemon=True)
        reading.start()  # as after a connection was lost and made anew, without a word from the broker
        reading.join(20)
        assert not reading.is_alive(), "it waits for a word that will not come"
    app.close()
