"""Waiting for a condition with a deadline: the only way these tests wait."""

import itertools
import socket
import time


def until(condition, what, seconds=15.0, interval=0.05):
    """The first truthy value of `condition()`. An OSError or a failed assertion counts as not yet."""
    deadline, last = time.monotonic() + seconds, None
    while True:
        try:
            value = condition()
            if value:
                return value
        except (OSError, AssertionError, KeyError, IndexError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}" + (f" (last: {last!r})" if last else ""))
        time.sleep(interval)


def accepts(address, port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


# Below the ports that the kernel gives to outgoing connections (32768 and up), one of which could have been in the way of the
# program
# that is to listen. Each is handed out once in a round.
PORTS = itertools.cycle(range(20_000, 32_000))


def free_port(address="127.0.0.1"):
    for port in itertools.islice(PORTS, 12_000):
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError:
                continue
    raise AssertionError(f"no free port on {address}")
