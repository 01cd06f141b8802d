"""What is on the wire: every TCP segment on the loopback interface, by a raw packet socket (needs root)."""

import collections
import socket
import struct
import threading

ETH_P_ALL, ETH_P_IP, PACKET_OUTGOING = 0x0003, 0x0800, 4


class Capture:
    """Segments with a payload between `with` and its end, as (source, destination, payload)."""

    def __init__(self):
        self.segments, self.stopping = [], threading.Event()
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
        self.socket.bind(("lo", 0))
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        while not self.stopping.is_set():
            try:
                frame, address = self.socket.recvfrom(1 << 17)
            except TimeoutError:
                continue
            # Loopback shows each packet twice, on its way out and on its way in.
            if address[1] != ETH_P_IP or address[2] != PACKET_OUTGOING:
                continue
            packet = frame[14:]
            header = (packet[0] & 0x0F) * 4
            if packet[9] != socket.IPPROTO_TCP:
                continue
            source, destination = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
            tcp = packet[header:]
            payload = tcp[(tcp[12] >> 4) * 4:]
            if payload:
                ports = struct.unpack("!HH", tcp[:4])
                self.segments.append(((source, ports[0]), (destination, ports[1]), bytes(payload)))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        self.socket.close()

    def flows(self, port):
        """{(source, destination): first payload} of every direction of every connection to or from a port."""
        first = collections.OrderedDict()
        for source, destination, payload in self.segments:
            if port in (source[1], destination[1]):
                first.setdefault((source, destination), payload)
        return first

    def ports_with(self, needle):
        """Every pair of ports between which these bytes were seen in the clear."""
        return {(source[1], destination[1]) for source, destination, payload in self.segments if needle in payload}
