"""An application that hangs: stall.py PORT accepts connections and never reads or answers."""

import select
import socket
import sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
# Small segments keep the kernel's buffers small: on the loopback they take megabytes otherwise.
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
poller, held = select.epoll(), {}
poller.register(listener, select.EPOLLIN)
while True:
    for descriptor, _ in poller.poll():
        if descriptor == listener.fileno():
            connection, _ = listener.accept()
            held[connection.fileno()] = connection
            poller.register(connection, select.EPOLLRDHUP)
        else:
            poller.unregister(descriptor)
            held.pop(descriptor).close()
