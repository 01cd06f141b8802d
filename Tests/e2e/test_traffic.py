"""Real programs behind real proxies: what goes in comes out."""

import asyncio
import re
import socket
import subprocess

import pytest
from websockets.asyncio.client import connect

from support import http, manifests
from support.mesh import program
from support.waiting import free_port, until


def curl(*arguments, **options):
    return subprocess.run(["curl", "--silent", "--show-error", "--max-time", "60", *map(str, arguments)],
                          capture_output=True, text=True, check=True, **options).stdout


def test_nginx_and_pythons_http_server_answer_curl_through_the_mesh(mesh):
    files = mesh.directory / "files"
    files.mkdir()
    (files / "page.txt").write_text("a page\n")
    port = free_port()
    mesh.up()
    mesh.run("pages", ["python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", files, port], port=port)
    web = mesh.nginx("web", "from nginx")
    mesh.write("mesh.yaml", manifests.service("pages", port), manifests.service("web", web.port))
    client, pages_port, web_port = mesh.client("pages.shop:80", "web.shop:80")
    mesh.wait_until_serving(pages_port)
    mesh.wait_until_serving(web_port)

    assert curl(f"http://127.0.0.1:{pages_port}/page.txt") == "a page\n"
    assert curl(f"http://127.0.0.1:{web_port}/") == "from nginx"
    # The explicit proxy, as programs with http_proxy use it: absolute form, then a CONNECT tunnel.
    proxy = f"http://{client.address}:15001"
    assert curl("--proxy", proxy, "http://pages.shop/page.txt") == "a page\n"
    assert curl("--proxy", proxy, "http://web.shop.svc.cluster.local/") == "from nginx"
    assert curl("--proxy", proxy, "--proxytunnel", "http://pages.shop:80/page.txt") == "a page\n"


def test_programs_find_their_upstreams_in_the_environment(mesh):
    mesh.up(manifests.service("orders"))
    mesh.serve("orders")
    script = 'env | grep -i -E "proxy|^APUS_" | sort; until curl -sf $APUS_UPSTREAM_ORDERS/; do sleep 0.1; done; ' \
             'curl -sf http://orders.shop/by-proxy'
    caller = mesh.run("caller", ["sh", "-c", script], flags=["--upstream", "orders"], wait=False)
    assert caller.wait() == 0, caller.log()
    assert re.search(r"http_proxy=http://127\.66\.\d+\.\d+:15001", caller.log())
    assert "v1 /\n" in caller.log() and "v1 /by-proxy" in caller.log()
    assert "APUS_JOIN_TOKEN" not in caller.log()


def test_wrk_sees_no_error_on_two_thousand_connections(mesh):
    mesh.up()
    web = mesh.nginx("web", "hello")
    mesh.write("mesh.yaml", manifests.service("web", web.port))
    client, port = mesh.client("web.shop:80")
    mesh.wait_until_serving(port)
    output = subprocess.run(["wrk", "-t2", "-c2000", "-d5s", "--timeout", "10s", f"http://127.0.0.1:{port}/"],
                            capture_output=True, text=True, check=True, timeout=60).stdout
    assert "Non-2xx" not in output and "Socket errors" not in output, output
    assert int(re.search(r"(\d+) requests in", output).group(1)) > 2000, output
    assert client.metrics().sum("response_total", direction="outbound", status_code="200") >= 2000


def test_a_burst_on_a_cold_mesh_waits_for_streams_instead_of_failing(mesh):
    mesh.up()
    web = mesh.nginx("web", "hello")
    mesh.write("mesh.yaml", manifests.service("web", web.port))
    until(lambda: any(s["name"] == "web" and s["endpoints"] == 1 for s in mesh.json("status")["services"]), "web is ready")
    _, port = mesh.client("web.shop:80", flags=["--workers", "1"])
    # No request has gone before: configuration, the hop's handshake and its stream limit all meet this one burst.
    output = subprocess.run(["wrk", "-t1", "-c800", "-d3s", "--timeout", "10s", f"http://127.0.0.1:{port}/"],
                            capture_output=True, text=True, check=True, timeout=60).stdout
    assert "Non-2xx" not in output and "Socket errors" not in output, output


def test_a_websocket_echoes_through_both_proxies(mesh):
    mesh.up(manifests.service("echo"))
    mesh.run("echo", program("websocket_echo.py", 8080), port=8080, own_address=True)
    client, port = mesh.client("echo.shop:80")

    async def echo(**options):
        async with connect(max_size=None, open_timeout=10, **options) as peer:
            for message in ("first", b"\x00\xff", "x" * 300_000):
                await peer.send(message)
                assert await asyncio.wait_for(peer.recv(), 10) == message

    def attempt(**options):
        try:
            asyncio.run(echo(**options))
        except Exception as error:  # the endpoint may not have reached the client's proxy yet
            raise OSError(repr(error)) from error
        return True

    until(lambda: attempt(uri=f"ws://127.0.0.1:{port}/", proxy=None), "a WebSocket by the mapped port")
    until(lambda: attempt(uri="ws://echo.shop/", proxy=f"http://{client.address}:15001"), "a WebSocket by CONNECT")


def test_a_client_that_expects_100_continue_is_told_to_go_on(mesh):
    mesh.up(manifests.service("orders"))
    mesh.serve("orders")
    _, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    upload = mesh.directory / "upload"
    upload.write_bytes(b"0123456789" * 500_000)
    completed = subprocess.run(
        ["curl", "--silent", "--verbose", "--max-time", "15", "--expect100-timeout", "20", "-H", "Expect: 100-continue",
         "--data-binary", f"@{upload}", f"http://127.0.0.1:{port}/upload"], capture_output=True, text=True, check=True)
    assert completed.stdout.startswith("5000000 ")
    assert "HTTP/1.1 100 Continue" in completed.stderr
    assert completed.stderr.index("100 Continue") < completed.stderr.index("HTTP/1.1 200")


def test_hop_by_hop_fields_stay_on_their_hop_and_the_meshs_own_fields_inside_it(mesh):
    mesh.up(manifests.service("orders"))
    mesh.serve("orders")
    client, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    seen = curl("-H", "X-Custom: kept", "-H", "Connection: X-Private, keep-alive", "-H", "X-Private: secret",
                "-H", "Proxy-Authorization: Basic eA==", "-H", "x-apus-target-port: 1", f"http://127.0.0.1:{port}/headers")
    assert "kept" in seen and "secret" not in seen and "eA==" not in seen and "x-apus" not in seen.lower()
    answer = http.via_proxy(client.address, "http://orders.shop/headers")
    assert "orders.shop" in answer.text


def converse(port, data, ends_with=None):
    """Sends bytes on a fresh connection and returns what comes until the peer closes or `ends_with` is the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(data)
        answer = b""
        while piece := raw.recv(65536):
            answer += piece
            if ends_with and answer.endswith(ends_with):
                break
    return answer


def test_old_clients_pipelined_requests_and_head_are_served(mesh):
    mesh.up(manifests.service("orders"))
    mesh.serve("orders")
    _, port = mesh.client("orders.shop:80")
    mesh.wait_until_serving(port)
    # HTTP/1.0 without Host: the listener knows the service; the connection ends with the answer.
    old = converse(port, b"GET /old HTTP/1.0\r\n\r\n")
    assert old.startswith(b"HTTP/1.1 200") and old.endswith(b"v1 /old\n"), old
    # Pipelined requests are answered in their order, though the first takes longest.
    paths = [b"/slow/0.3", b"/two", b"/three"]
    requests = b"".join(b"GET " + path + b" HTTP/1.1\r\nHost: orders.shop\r\n\r\n" for path in paths)
    answers = converse(port, requests, ends_with=b"v1 /three\n")
    positions = [answers.index(b"v1 " + path + b"\n") for path in paths]
    assert positions == sorted(positions) and answers.count(b"HTTP/1.1 200") == 3
    # A HEAD's length is that of the body it does not have; the next answer follows at once.
    head = converse(port, b"HEAD /bytes/5 HTTP/1.1\r\nHost: a\r\n\r\nGET /end HTTP/1.1\r\nHost: a\r\n\r\n",
                    ends_with=b"v1 /end\n")
    first = head.split(b"\r\n\r\n")[0]
    assert b"200" in first and head.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("request_bytes", [
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Name : space\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: bare\rreturn\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: one\r\n folded\r\n\r\n",
], ids=["two-hosts", "length-and-chunked", "two-lengths", "space-before-colon", "bare-cr", "obs-fold"])
def test_an_ambiguous_request_is_answered_400_and_the_connection_closed(mesh, request_bytes):
    mesh.up(manifests.service("orders"))
    client, port = mesh.client("orders.shop:80")
    answer = converse(port, request_bytes)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert b"server: apus" in answer.lower()
    assert client.metrics().sum("protocol_errors_total") >= 1


def test_failures_say_what_to_check_next(mesh):
    mesh.up(manifests.service("empty"))
    client, port = mesh.client("empty.shop:80")
    empty = http.get("127.0.0.1", port)
    assert empty.status == 503 and empty.headers["server"] == "apus" and "no endpoint" in empty.text
    unknown = http.via_proxy(client.address, "http://nowhere.shop/")
    assert unknown.status == 404 and "apus status" in unknown.text
    until(lambda: client.metrics().sum("response_total", response_flag="UH", status_code="503") == 1, "the flag UH counted")
