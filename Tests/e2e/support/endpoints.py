"""Endpoints outside the mesh that can be told to misbehave (programs/moody.py)."""

import socket

from .mesh import program
from .waiting import accepts, until


def set_mood(address, port, mood):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as orders:
        orders.settimeout(1)
        orders.connect((address, port))

        def obeys():
            orders.send(mood.encode())
            return orders.recv(64) == mood.encode()

        until(obeys, f"{address} is {mood}")


class Plain:
    """An endpoint outside the mesh."""

    def __init__(self, mesh, address, port):
        self.address = address
        self.process = mesh.start(f"plain-{address}", program("moody.py", port, address))
        until(lambda: accepts(address, port), "the endpoint accepts")
