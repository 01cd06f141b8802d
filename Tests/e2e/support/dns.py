"""A small DNS server in the process of the tests, with records that tests change."""

import collections
import ipaddress
import socket
import struct
import threading

TYPE_A, TYPE_AAAA = 1, 28


class NameServer:
    """`records` has (TTL, addresses) for each name. `answers` False: it says nothing at all. A name without records
    does not exist."""

    def __init__(self, address, port=5353):
        self.address, self.port = address, port
        self.records, self.answers, self.asked = {}, True, collections.Counter()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def flag(self):
        return f"{self.address}:{self.port}"

    def _serve(self):
        while True:
            try:
                message, client = self.socket.recvfrom(4096)
            except OSError:
                return
            name, kind, end = self._question(message)
            self.asked[name] += 1
            if self.answers:
                self.socket.sendto(self._answer(message, name, kind, end), client)

    @staticmethod
    def _question(message):
        labels, at = [], 12
        while length := message[at]:
            labels.append(message[at + 1:at + 1 + length].decode())
            at += 1 + length
        kind, = struct.unpack("!H", message[at + 1:at + 3])
        return ".".join(labels).lower(), kind, at + 5

    def _answer(self, message, name, kind, end):
        known = self.records.get(name)
        ttl, addresses = known or (0, [])
        data = [ipaddress.ip_address(one).packed for one in addresses]
        data = [one for one in data if len(one) == (4 if kind == TYPE_A else 16)] if kind in (TYPE_A, TYPE_AAAA) else []
        head = message[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, len(data), 0, 0)
        records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, ttl, len(one)) + one for one in data)
        return head + message[12:end] + records

    def stop(self):
        self.socket.close()
