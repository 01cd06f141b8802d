"""Routes for connections against real proxies: TCPRoute and TLSRoute, over mutual TLS and in plaintext.

The routes are in manifests/connections.yaml; a service for each of their parents stands beside them.
"""

import collections
import pathlib
import socket
import ssl

import pytest

from support import manifests
from support.certificates import Authority
from support.mesh import PROXY_PORT, Mesh, program
from support.waiting import accepts, free_port, until

ROUTES = pathlib.Path(__file__).resolve().parent / "manifests" / "connections.yaml"
BACKENDS, SECURE = ["db-v1", "db-v2"], ["tls-v1", "tls-v2"]
PARENTS = {"weights": "tcp", "half": "http", "closed": "tcp", "empty": "tcp", "outside": "tcp",
           "secure": "tls", "secure-any": "tls"}


class ConnectionMesh(Mesh):
    """`ports` has a local port for each service; `strangers` those of a client in another namespace."""

    client_workload, ports, strangers = None, {}, {}

    def connect_to(self, names, namespace="shop"):
        targets = [f"{name}.shop:5432" for name in names]
        workload, *ports = self.client(*targets, namespace=namespace)
        return workload, dict(zip(names, ports))

    def start_secure_programs(self):
        """Each has a certificate of its own, which the mesh does not know."""
        authority = Authority.foreign()
        self.certificates = {}
        for name in SECURE:
            files = authority.issue(self.directory, name, f"https://{name}.example/")
            self.certificates[ssl.PEM_cert_to_DER_cert(files[0].read_text())] = name[-2:]
            self.run(name, program("greeter.py", 5432, name[-2:], *files), port=5432, own_address=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.load_verify_locations(cadata=authority.pem().decode())

    def start_programs(self):
        for name in BACKENDS:
            self.run(name, program("greeter.py", 5432, name[-2:]), port=5432, own_address=True)
        legacy = free_port()
        self.start("legacy", program("greeter.py", legacy, "legacy"))
        until(lambda: accepts("127.0.0.1", legacy), "the program outside the mesh accepts")
        return legacy


def slice_of(service, *addresses_and_ports):
    return [manifests.text(f"""
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {{ name: {service}-{index}, namespace: shop, labels: {{ kubernetes.io/service-name: {service} }} }}
        addressType: IPv4
        endpoints: [{{ addresses: ["{address}"] }}]
        ports: [{{ name: main, port: {port} }}]
        """) for index, (address, port) in enumerate(addresses_and_ports)]


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    mesh = ConnectionMesh(tmp_path_factory.mktemp("connections"))
    services = [manifests.service(name, 5432, port=5432, app_protocol=protocol)
                for name, protocol in {**dict.fromkeys([*BACKENDS, *SECURE], "tcp"), **PARENTS}.items()]
    try:
        mesh.up(*services, ROUTES.read_text())
        legacy = mesh.start_programs()
        mesh.start_secure_programs()
        mesh.write("slices.yaml", *slice_of("legacy", ("127.0.0.1", legacy), ("127.66.255.250", 9)))
        mesh.client_workload, mesh.ports = mesh.connect_to([*BACKENDS, *PARENTS])
        _, mesh.strangers = mesh.connect_to(["weights"], namespace="consumer")
        for name in (*BACKENDS, "outside"):
            until(lambda: greeting(mesh.ports[name]), f"{name} answers")
        for name in ("one.example", "x.example"):
            until(lambda: server(mesh, "secure", name), f"{name} answers")
        until(lambda: greeting(mesh.strangers["weights"]), "the stranger is served")
        yield mesh
    finally:
        mesh.stop()


@pytest.fixture
def mesh(routed, request):
    request.node.apus_mesh = routed
    return routed


def greeting(port):
    """Who answers a connection, once it has sent back what it was sent; nothing if it was reset or closed."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection, connection.makefile("rwb") as stream:
            name = stream.readline().decode().strip()
            stream.write(b"ping\n")
            stream.flush()
            return name if stream.readline() == b"ping\n" else ""
    except ConnectionError:
        return ""


def greetings(port, count):
    return collections.Counter(greeting(port) for _ in range(count))


def responses(mesh, route, **labels):
    return mesh.client_workload.metrics().sum("response_total", direction="outbound", route_name=route, **labels)


# MARK: TCPRoute

def test_connections_are_shared_out_by_weight_and_a_share_of_0_gets_none(mesh):
    counted = greetings(mesh.ports["weights"], 100)
    # Shares are dealt out evenly by each worker, so a few connections are all that they may differ by.
    assert set(counted) == {"v1", "v2"} and abs(counted["v1"] - 70) <= 6, counted
    route = "tcproute/shop/weights#canary"
    until(lambda: responses(mesh, route) >= 100, "every connection is counted at its end")
    by_backend = mesh.client_workload.metrics().by(
        "backend", "response_total", direction="outbound", route_name=route, tls="true", status_code="200")
    assert by_backend == {"db-v1": counted["v1"], "db-v2": counted["v2"]}


def test_the_share_of_a_backend_that_does_not_exist_is_reset_and_counted(mesh):
    counted = greetings(mesh.ports["half"], 40)
    assert set(counted) == {"v1", ""} and abs(counted[""] - 20) <= 6, counted
    route = "tcproute/shop/half#0"
    until(lambda: responses(mesh, route, response_flag="NC") == counted[""], "every refusal has its reason")


@pytest.mark.parametrize("route, flag", [("closed", "NC"), ("empty", "UH")])
def test_a_rule_without_a_backend_that_serves_resets_every_connection(mesh, route, flag):
    with pytest.raises(ConnectionResetError):
        with socket.create_connection(("127.0.0.1", mesh.ports[route]), timeout=20) as connection:
            said = connection.recv(1)
            pytest.fail(f"closed in order, as if the program had nothing more to say than {said}")
    until(lambda: responses(mesh, f"tcproute/shop/{route}#0", response_flag=flag) >= 1, "the refusal is counted")


def test_a_program_outside_the_mesh_is_reached_in_plaintext_past_an_address_that_refuses(mesh):
    assert greetings(mesh.ports["outside"], 12) == {"legacy": 12}
    until(lambda: responses(mesh, "tcproute/shop/outside#0", tls="no_identity", backend="legacy") >= 12, "counted")


def test_a_consumer_route_is_for_the_connections_of_its_namespace(mesh):
    assert greetings(mesh.strangers["weights"], 8) == {"v2": 8}


def test_the_status_says_what_each_route_does(mesh):
    found = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in mesh.json("get", "tcproute")["items"]}
    names = ("weights", "half", "closed", "empty", "outside")
    assert set(found) == {("consumer", "weights"), *(("shop", name) for name in names)}

    def condition(name, kind):
        conditions = found["shop", name]["status"]["parents"][0]["conditions"]
        return next((it["status"], it["reason"], it["message"]) for it in conditions if it["type"] == kind)

    assert condition("weights", "Accepted") == ("True", "Accepted", "attached to port 5432 of shop/weights")
    assert condition("weights", "ResolvedRefs")[:2] == ("False", "BackendNotFound")
    assert "; its share is closed" in condition("half", "ResolvedRefs")[2]
    assert condition("closed", "ResolvedRefs")[:2] == ("False", "BackendNotFound")
    assert condition("outside", "ResolvedRefs")[:2] == ("True", "ResolvedRefs")


# MARK: TLSRoute

def server(mesh, service, name, connection=None):
    """Which program's certificate a TLS client sees that asks for that name; nothing if it was reset."""
    try:
        connection = connection or socket.create_connection(("127.0.0.1", mesh.ports[service]), timeout=20)
        with connection, mesh.context.wrap_socket(connection, server_hostname=name) as secure, secure.makefile("rwb") as stream:
            said = stream.readline().decode().strip()
            seen = mesh.certificates[secure.getpeercert(binary_form=True)]
            stream.write(b"ping\n")
            stream.flush()
            assert (said, stream.readline()) == (seen, b"ping\n")
            return seen
    except ConnectionError:
        return ""


@pytest.mark.parametrize("name, expected", [
    ("one.example", "v1"), ("ONE.example", "v1"), ("two.example", "v2"), ("a.b.example", "v2"),
    # Of two routes with the same name the first by age has it, then the first by name.
    ("both.example", "v1"),
    ("example", ""), ("one.example.com", ""), (None, "")])
def test_a_tls_connection_goes_by_the_server_that_its_client_asks_for(mesh, name, expected):
    assert server(mesh, "secure", name) == expected


def test_a_route_without_hostnames_takes_every_tls_connection_and_nothing_else(mesh):
    assert [server(mesh, "secure-any", name) for name in ("one.example", "x", None)] == ["v2"] * 3
    with pytest.raises(ConnectionResetError):
        with socket.create_connection(("127.0.0.1", mesh.ports["secure-any"]), timeout=20) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            pytest.fail(f"answered with {connection.recv(100)}")
    count = lambda **labels: mesh.client_workload.metrics().sum("response_total", **labels)
    until(lambda: count(dst_service="secure-any", response_flag="DPE") == 1, "the refusal has its reason")
    assert server(mesh, "secure", "example") == ""
    until(lambda: count(dst_service="secure", response_flag="NR") >= 1, "and so has this one")


def test_a_greeting_that_comes_byte_by_byte_finds_its_server(mesh):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secure = mesh.context.wrap_bio(incoming, outgoing, server_hostname="two.example")
    with pytest.raises(ssl.SSLWantReadError):
        secure.do_handshake()
    with socket.create_connection(("127.0.0.1", mesh.ports["secure"]), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in outgoing.read():
            connection.sendall(bytes([byte]))
        while True:
            incoming.write(connection.recv(65536))
            try:
                secure.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
        assert mesh.certificates[secure.getpeercert(binary_form=True)] == "v2"


def test_a_program_that_asks_its_proxy_for_a_tunnel_is_routed_by_server_name_too(mesh):
    with socket.create_connection((mesh.client_workload.address, PROXY_PORT), timeout=20) as connection:
        connection.sendall(b"CONNECT secure.shop:5432 HTTP/1.1\r\nHost: secure.shop:5432\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert server(mesh, "secure", "deep.two.example", connection) == "v2"


def test_the_status_of_tls_routes_says_who_has_a_name_that_two_want(mesh):
    routes = {it["metadata"]["name"]: it["status"]["parents"][0]["conditions"] for it in mesh.json("get", "tlsroute")["items"]}
    assert {name: [it["status"] for it in conditions] for name, conditions in routes.items()} == {
        name: ["True", "True"] for name in ("one", "wild", "rest")}
    assert "the older TLSRoute shop/one takes the connections for both.example" in routes["wild"][0]["message"]
