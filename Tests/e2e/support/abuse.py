"""Attacks on a live proxy while an honest client, the victim, goes on: who attacks what, and how the victim is measured.

The victim asks at a constant rate by another listener of the same worker.
"""

import contextlib
import dataclasses
import json
import socket
import subprocess
import time

from support import http
from support.forward import HOST, Credentials, Forward
from support.mesh import program, resident_kib
from support.metrics import Metrics
from support.waiting import accepts, free_port, until

RATE = 100  # The victim's requests per second.
SECONDS = 1.0
# One attack's connections, streams and pools; the proxy's own idle size is not in it.
GROWTH_MIB = 32
# The same with ProxyLimits.maximumBufferedBytes full: 16 MiB for the one worker. Queues grow by doubling, and the
# allocator keeps what it had.
BUFFER_GROWTH_MIB = 48
CALM = "goaway 11"


@dataclasses.dataclass
class Case:
    name: str
    # Names in limit_hits_total that must grow, and what the attacker must have seen.
    limits: tuple = ()
    seen: tuple = ()
    target: str = "answers"
    growth: int = GROWTH_MIB
    seconds: float = SECONDS
    # "plain", "tls", or "mutual": with a client certificate, by the same code as the mesh port.
    listener: str = "plain"


CASES = [
    Case("rapid_reset", ("http2_reset_streams",), (CALM,), "stalls"),
    Case("made_you_reset", ("http2_reset_streams",), (CALM, "rst 1"), "stalls"),
    Case("continuation_flood", ("http2_continuation_frames",), (CALM,)),
    Case("large_block", ("http2_header_block_bytes",), (CALM,)),
    Case("settings_flood", ("http2_settings_frames",), (CALM,)),
    Case("settings_entries", ("http2_settings_per_frame",), (CALM,)),
    Case("ping_flood", ("http2_queued_control_frames",)),
    Case("empty_data", ("http2_empty_frames",), (CALM,), "stalls"),
    Case("priority_flood", ("http2_ignored_frames",), (CALM,)),
    Case("unknown_flood", ("http2_ignored_frames",), (CALM,)),
    Case("window_update_flood", ("http2_window_updates",), (CALM,)),
    Case("hpack_bomb", ("http2_header_list_bytes",), ("rst 11",)),
    Case("cookie_crumbs", ("http2_fields",), ("rst 11",)),
    Case("table_flapping", ("http2_table_size_updates",), ("goaway 9",)),
    Case("empty_names", ("http2_reset_streams",), (CALM, "rst 1")),
    Case("tiny_windows", ("http2_tiny_data_frames",), (CALM,), seconds=4),
    Case("refused_streams", ("http2_concurrent_streams",), ("rst 7",), "stalls", seconds=2),
    Case("window_stall", ("buffered_bytes",), ("rst 2",), seconds=2, growth=BUFFER_GROWTH_MIB),
    Case("stalled_uploads", ("buffered_bytes",), ("rst 0",), "stalls", seconds=4, growth=BUFFER_GROWTH_MIB),
    Case("unread_answers", ("queued_output_bytes",), seconds=2, growth=BUFFER_GROWTH_MIB),
    Case("stream_churn"),
    Case("connect_churn", ("turn_share",)),
    Case("chunk_extensions", ("http1_chunk_extension_bytes",), ("status 400",), "stalls"),
    Case("tiny_chunks", ("turn_share",)),
    Case("pipelining", growth=BUFFER_GROWTH_MIB),
    Case("long_head", ("http1_head_bytes",), ("status 431",)),
    *(Case(f"{what}_{ending}") for what in ("requests", "streams") for ending in ("half_close", "close", "reset")),
    Case("slow_heads", ("first_request_timeout", "header_timeout"), ("closed",), seconds=15),
    Case("tiny_records", target="stalls", listener="tls"),
    Case("left_handshakes", ("handshake_timeout",), ("closed",), seconds=12.5, listener="tls"),
    Case("rapid_reset", ("http2_reset_streams",), (CALM,), "stalls", listener="mutual"),
    Case("continuation_flood", ("http2_continuation_frames",), (CALM,), listener="mutual"),
    Case("ping_flood", ("http2_queued_control_frames",), listener="mutual"),
    Case("window_stall", ("buffered_bytes",), ("rst 2",), seconds=2, growth=BUFFER_GROWTH_MIB, listener="mutual"),
]


def nginx(directory, name):
    port = free_port()
    home = directory / name
    (home / "tmp").mkdir(parents=True)
    home.chmod(0o755)
    (home / "large").write_bytes(b"x" * 65536)
    (home / "larger").write_bytes(b"x" * 3 * 65536)
    temporary = " ".join(f"{kind}_temp_path {home}/tmp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (home / "nginx.conf").write_text(f"""
        # One process: no worker of another user, who could not read this test's files, and none left behind by a kill.
        master_process off; daemon off; pid {home}/nginx.pid; error_log stderr crit;
        events {{ worker_connections 8192; }}
        http {{ access_log off; keepalive_requests 100000000; {temporary}
          server {{ listen {HOST}:{port} backlog=4096; root {home};
            location / {{ default_type text/plain; return 200 ok; }}
            location /header {{ add_header x-large {"~" * 3500}; return 204; }}
            location /upload {{ client_max_body_size 0; proxy_pass http://{HOST}:{port}/; }}
            location /large {{ default_type text/plain; }}
            location /larger {{ default_type text/plain; }} }} }}""")
    return port, subprocess.Popen(["nginx", "-c", str(home / "nginx.conf")])


class Proxy:
    """One worker with a listener for the victim, one before an application that answers, one before one that hangs."""

    def __init__(self, ports, log, *flags, credentials=None, is_mutual=False):
        self.credentials, self.is_mutual, self.metrics_port = credentials, is_mutual, free_port()
        self.listeners = {name: free_port() for name in ports}
        extra = [f"{HOST}:{self.listeners[name]}={HOST}:{port}" for name, port in ports.items() if name != "victim"]
        self.forward = Forward(ports["victim"], log, "--metrics-port", self.metrics_port, *flags,
                               *(word for mapping in extra for word in ("--forward", mapping)))
        self.listeners["victim"] = self.forward.port

    def metrics(self):
        return Metrics(http.get(HOST, self.metrics_port, "/metrics").text)

    def hits(self):
        return self.metrics().by("limit", "limit_hits_total")

    @property
    def pid(self):
        return self.forward.process.pid

    def dial(self):
        raw = socket.create_connection((HOST, self.listeners["victim"]), timeout=10)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.credentials:
            return raw
        return self.credentials.context(("http/1.1",), shows_certificate=self.is_mutual).wrap_socket(raw)

    def attack(self, name, target, seconds):
        arguments = [name, HOST, self.listeners[target], seconds]
        if self.credentials:
            arguments.append(self.credentials.authority)
        if self.is_mutual:
            arguments.extend(self.credentials.client_files)
        return subprocess.Popen(program("attacker.py", *arguments), stdout=subprocess.PIPE, text=True)


@contextlib.contextmanager
def arena(directory):
    """Proxies by kind of listener, their applications behind them, and the processes of the applications."""
    ports, processes = {"stalls": free_port()}, []
    with contextlib.ExitStack() as stack:
        for name in ("victim", "answers"):
            ports[name], process = nginx(directory, name)
            processes.append(process)
        processes.append(subprocess.Popen(program("stall.py", ports["stalls"])))
        for process in processes:
            stack.callback(process.wait)
            stack.callback(process.kill)
        for port in ports.values():
            until(lambda port=port: accepts(HOST, port), "the applications listen")
        tls = {"credentials": Credentials.make(directory)}
        flags = tls["credentials"].flags
        proxies = {
            "plain": Proxy(ports, directory / "plain.log"),
            "tls": Proxy(ports, directory / "tls.log", *flags, **tls),
            "mutual": Proxy(ports, directory / "mutual.log", *flags, "--forward-tls-client-ca", tls["credentials"].authority,
                            **tls, is_mutual=True),
        }
        # On the way out each must drain within its time and end with 0, after all it went through.
        for proxy in proxies.values():
            stack.enter_context(proxy.forward)
        yield proxies, processes


def victim(proxy, attacker):
    """Asks at a constant rate until the attacker ends. Latencies count from when a request was due, so that a stall is
    not counted once; returns them with the greatest memory seen."""
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    latencies, resident, start = [], 0, time.monotonic()
    with proxy.dial() as link:
        while attacker.poll() is None or len(latencies) < 20:
            due = start + len(latencies) / RATE
            time.sleep(max(0, due - time.monotonic()))
            link.sendall(request)
            answer = b""
            while not answer.endswith(b"\r\n\r\nok"):
                piece = link.recv(4096)
                assert piece, f"the victim lost its connection after {len(latencies)} requests"
                answer += piece
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            latencies.append(time.monotonic() - due)
            if len(latencies) % 10 == 0:
                resident = max(resident, resident_kib(proxy.pid))
    return latencies, resident


def p99(latencies):
    return sorted(latencies)[int(len(latencies) * 0.99) - 1]


def beside_harmless(proxy, seconds):
    """The victim's 99th percentile beside a harmless load by the same program, so that what the machine costs both is
    not blamed on the proxy."""
    return p99(victim(proxy, proxy.attack("harmless", "answers", seconds))[0])


def attacked(case, proxy, seconds):
    attacker = proxy.attack(case.name, case.target, seconds)
    try:
        latencies, resident = victim(proxy, attacker)
        output, _ = attacker.communicate(timeout=10)
    finally:
        attacker.kill()
        attacker.wait()
    assert attacker.returncode == 0, "the attacker itself failed"
    return p99(latencies), resident, json.loads(output)
