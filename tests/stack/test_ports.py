import socket

from huntaze.cli.stack.ports import HeldPort, is_free


def test_preferred_port_is_given_where_it_is_free() -> None:
    with HeldPort() as any_port:
        number = any_port.number
    with HeldPort(number) as port:
        assert port.number == number


def test_another_port_is_given_where_the_preferred_one_is_taken() -> None:
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.create_server((address, 0)) as taken:
            number = taken.getsockname()[1]
            assert not is_free(number)
            with HeldPort(number) as port:
                assert port.number != number
                assert is_free(port.number)


def test_port_of_root_is_replaced_for_others() -> None:
    with HeldPort(1) as port:
        assert port.number > 0


def test_held_port_is_kept_from_others_but_not_from_its_service() -> None:
    with HeldPort() as port:
        for _ in range(200):
            with HeldPort() as other:
                assert other.number != port.number
        with socket.create_server(("127.0.0.1", port.number)) as service:
            port.release()
            assert service.getsockname()[1] == port.number
            assert not is_free(port.number)
