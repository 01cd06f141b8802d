"""Sends back what it gets, to any number of clients: tcp_echo.py PORT, at the workload's own address."""

import os
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer((os.environ["APUS_WORKLOAD_ADDRESS"], int(sys.argv[1])), Echo).serve_forever()
