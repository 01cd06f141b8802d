"""An HTTP/1.1 endpoint with moods: moody.py PORT [ADDRESS].

A datagram to its address and port names the mood; it is sent back once the mood is in force.

good      answers at once
slow      answers after two seconds
failing   answers 503
wavering  answers 503 to every other request
resetting resets the connection on which a request comes
mute      accepts and reads, and never answers
vanished  reads nothing and takes no new connection: the kernel drops whoever asks for one
"""

import heapq
import itertools
import os
import select
import socket
import struct
import sys
import time

ADDRESS = (sys.argv[2] if len(sys.argv) > 2 else os.environ.get("APUS_WORKLOAD_ADDRESS", "127.0.0.1"), int(sys.argv[1]))
SLOW_SECONDS = 2.0
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"
FAILING = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbad\n"
BACKLOG = 1024


def requests(buffer):
    """Takes whole requests off the buffer and returns their number. Bodies have a length."""
    count = 0
    while (end := buffer.find(b"\r\n\r\n")) >= 0:
        at = buffer[:end].lower().find(b"content-length:")
        length = int(buffer[at + 15:end].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(buffer) < end + 4 + length:
            break
        del buffer[:end + 4 + length]
        count += 1
    return count


class Endpoint:
    def __init__(self):
        self.listener = socket.create_server(ADDRESS, backlog=BACKLOG)
        self.moods = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.moods.bind(ADDRESS)
        self.poll, self.clients, self.late, self.fillers, self.mood = select.epoll(), {}, [], [], "good"
        self.serials = itertools.count()
        for each in (self.listener, self.moods):
            each.setblocking(False)
            self.poll.register(each.fileno(), select.EPOLLIN)

    def turn(self):
        timeout = max(0.0, self.late[0][0] - time.monotonic()) if self.late else -1
        for descriptor, _ in self.poll.poll(timeout):
            if descriptor == self.moods.fileno():
                self.change()
            elif descriptor == self.listener.fileno():
                self.accept()
            elif descriptor in self.clients:
                self.read(descriptor)
        while self.late and self.late[0][0] <= time.monotonic():
            _, _, client = heapq.heappop(self.late)
            if client.fileno() >= 0:
                self.answer(client, GOOD)

    def change(self):
        text, sender = self.moods.recvfrom(64)
        mood = text.decode()
        if (mood == "vanished") != (self.mood == "vanished"):
            self.vanish() if mood == "vanished" else self.appear()
        self.mood = mood
        self.moods.sendto(text, sender)

    def vanish(self):
        """A full queue of connections makes the kernel drop every further SYN."""
        for descriptor in self.clients:
            self.poll.modify(descriptor, 0)
        self.poll.unregister(self.listener.fileno())
        self.listener.listen(0)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(ADDRESS)
            self.fillers.append(filler)

    def appear(self):
        for filler in self.fillers:
            filler.close()
        self.fillers = []
        self.listener.listen(BACKLOG)
        self.poll.register(self.listener.fileno(), select.EPOLLIN)
        for descriptor in self.clients:
            self.poll.modify(descriptor, select.EPOLLIN)

    def accept(self):
        try:
            client, _ = self.listener.accept()
        except OSError:
            return
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.clients[client.fileno()] = (client, bytearray())
        self.poll.register(client.fileno(), select.EPOLLIN)

    def read(self, descriptor):
        client, buffer = self.clients[descriptor]
        try:
            data = client.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            return self.drop(client)
        buffer += data
        for _ in range(requests(buffer)):
            if client.fileno() >= 0:
                self.serve(client)

    def serve(self, client):
        if self.mood == "good":
            self.answer(client, GOOD)
        elif self.mood in ("failing", "wavering"):
            self.answer(client, FAILING if self.mood == "failing" or next(self.serials) % 2 else GOOD)
        elif self.mood == "slow":
            heapq.heappush(self.late, (time.monotonic() + SLOW_SECONDS, next(self.serials), client))
        elif self.mood == "resetting":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.drop(client)

    def answer(self, client, bytes):
        try:
            client.send(bytes)
        except OSError:
            self.drop(client)

    def drop(self, client):
        self.poll.unregister(client.fileno())
        del self.clients[client.fileno()]
        client.close()


endpoint = Endpoint()
while True:
    endpoint.turn()
