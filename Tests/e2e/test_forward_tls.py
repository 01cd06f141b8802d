"""TLS on forward listeners: versions, ALPN, client certificates, and clear words about files that cannot be used."""

import os
import socket
import ssl
import subprocess

import h2.config
import h2.connection
import h2.events
import pytest

from support.forward import HOST, Credentials, Forward, TestBackend, command
from support.waiting import free_port, until


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("forward-tls")


@pytest.fixture(scope="module")
def credentials(directory):
    return Credentials.make(directory)


@pytest.fixture(scope="module")
def backend(directory):
    with TestBackend(directory) as running:
        yield running.port


@pytest.fixture(scope="module")
def secure(backend, credentials, directory):
    with Forward(backend, directory / "secure.log", *credentials.flags) as proxy:
        yield proxy


def dial(proxy, context):
    raw = socket.create_connection((HOST, proxy.port), timeout=10)
    return context.wrap_socket(raw)


def http1_get(secured):
    secured.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answer = b""
    while piece := secured.recv(65536):
        answer += piece
    return answer


def http2_get(connection, path="/hello", extra=()):
    engine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    engine.initiate_connection()
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", path), *extra]
    engine.send_headers(1, fields, end_stream=True)
    connection.sendall(engine.data_to_send())
    fields, body = {}, b""
    while data := connection.recv(65536):
        for event in engine.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                fields = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                body += event.data
            elif isinstance(event, h2.events.StreamEnded):
                return int(fields[b":status"]), fields, body
            assert not isinstance(event, h2.events.ConnectionTerminated), event
        connection.sendall(engine.data_to_send())
    raise ConnectionError("closed without an answer")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def test_http2_and_http1_are_negotiated_over_both_versions(secure, credentials, version):
    with dial(secure, credentials.context(["h2", "http/1.1"], version)) as secured:
        assert (secured.selected_alpn_protocol(), secured.version()) == ("h2", version.name.replace("_", "."))
        assert http2_get(secured)[::2] == (200, b"v1 /hello\n")
    with dial(secure, credentials.context(["http/1.1"], version)) as secured:
        assert secured.selected_alpn_protocol() == "http/1.1"
        assert b"v1 /hello\n" in http1_get(secured)


def test_the_listeners_order_counts_not_the_clients(secure, credentials):
    with dial(secure, credentials.context(["http/1.1", "h2"])) as secured:
        assert secured.selected_alpn_protocol() == "h2"


def test_a_client_without_alpn_speaks_http1(secure, credentials):
    with dial(secure, credentials.context([])) as secured:
        assert secured.selected_alpn_protocol() is None
        assert b"v1 /hello\n" in http1_get(secured)


def test_a_client_with_foreign_protocols_only_is_refused(secure, credentials):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        dial(secure, credentials.context(["spdy/3"]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_1_1_and_plaintext_are_refused(secure, credentials):
    context = credentials.context(["h2"])
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        dial(secure, context)
    with socket.create_connection((HOST, secure.port), timeout=10) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"HTTP/" not in raw.recv(4096)


def test_a_listener_may_ask_for_tls_1_3(backend, credentials, directory):
    with Forward(backend, directory / "tls13.log", *credentials.flags, "--forward-tls-min-version", "1.3") as proxy:
        with dial(proxy, credentials.context(["h2"])) as secured:
            assert secured.version() == "TLSv1.3" and http2_get(secured)[2] == b"v1 /hello\n"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            dial(proxy, credentials.context(["h2"], ssl.TLSVersion.TLSv1_2))
        until(lambda: "refused: unsupported_version:" in proxy.log_path.read_text(), "a line in the log")


def test_tls_1_2_offers_no_suite_that_http2_forbids(secure, credentials):
    context = credentials.context(["h2"], ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        dial(secure, context)


def test_with_a_client_authority_only_its_clients_come_in(backend, credentials, directory):
    strangers = directory / "strangers"
    strangers.mkdir()
    other = Credentials.make(strangers)
    flags = [*credentials.flags, "--forward-tls-client-ca", credentials.authority]
    with Forward(backend, directory / "client-ca.log", *flags) as proxy:
        with dial(proxy, credentials.context(["h2"], shows_certificate=True)) as secured:
            assert http2_get(secured)[::2] == (200, b"v1 /hello\n")
        refused = [credentials.context(["h2"])]
        stranger = credentials.context(["h2"])
        stranger.load_cert_chain(*map(str, other.client_files))
        refused.append(stranger)
        for context in refused:
            # Under TLS 1.3 the client learns of it with its first read.
            with pytest.raises((ssl.SSLError, ConnectionError)), dial(proxy, context) as secured:
                http2_get(secured)


def test_a_tls_client_is_no_peer_of_the_mesh(secure, credentials, directory):
    """What proxies of the mesh tell each other is neither believed from this client nor told to it."""
    with dial(secure, credentials.context(["h2"])) as secured:
        status, _, body = http2_get(secured, "/headers", [("x-apus-target-port", "1"), ("x-apus-service", "a.b:1")])
        assert status == 200 and b"x-apus" not in body.lower()
    with Forward(free_port(), directory / "dead.log", *credentials.flags) as proxy:
        with dial(proxy, credentials.context(["h2"])) as secured:
            status, fields, _ = http2_get(secured)
            assert status == 503 and not [name for name in fields if name.startswith(b"x-apus")]


def test_http2_with_prior_knowledge_to_the_upstream(backend, credentials, directory):
    # The upstream is another proxy of ours, which tells HTTP/2 by its preface.
    with Forward(backend, directory / "upstream.log") as upstream, \
            Forward(upstream.port, directory / "http2.log", "--forward-protocol", "http2", *credentials.flags) as proxy:
        with dial(proxy, credentials.context(["h2"])) as secured:
            assert http2_get(secured)[2] == b"v1 /hello\n"
        with dial(proxy, credentials.context(["http/1.1"])) as secured:
            assert b"v1 /hello\n" in http1_get(secured)


def test_files_that_cannot_be_used_are_named_at_the_start(credentials, directory):
    mapping = f"{HOST}:{free_port()}={HOST}:1"
    nothing = directory / "nothing.pem"
    nothing.write_text("")
    cases = {
        ("--forward-tls-certificate", "/nonexistent.pem", "--forward-tls-key", credentials.key): "cannot read /nonexistent.pem",
        ("--forward-tls-certificate", nothing, "--forward-tls-key", credentials.key): "TLS of the forward listeners",
        ("--forward-tls-certificate", credentials.certificate, "--forward-tls-key", credentials.client_files[1]):
            "the private key does not belong to the first certificate",
        (*credentials.flags, "--forward-tls-client-ca", nothing): "there is no trust anchor",
    }
    for flags, words in cases.items():
        ended = subprocess.run(command("--forward", mapping, *flags), capture_output=True, text=True, timeout=20)
        assert ended.returncode == 1 and words in ended.stderr, (flags, ended)


def test_where_validated_algorithms_are_asked_for_and_missing_nothing_is_served(credentials, directory):
    """A machine-wide `fips=yes` is followed, not gone around: the default provider's algorithms are not validated ones."""
    configuration = directory / "fips.cnf"
    configuration.write_text(
        "openssl_conf = init\n[init]\nproviders = providers\nalg_section = algorithms\n[providers]\ndefault = on\n"
        "[on]\nactivate = 1\n[algorithms]\ndefault_properties = fips=yes\n")
    arguments = command("--forward", f"{HOST}:{free_port()}={HOST}:1", *credentials.flags)
    environment = {**os.environ, "OPENSSL_CONF": str(configuration)}
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=20, env=environment)
    assert ended.returncode == 1 and "TLS of the forward listeners" in ended.stderr, ended


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_resumes_on_any_worker(backend, credentials, directory, version):
    with Forward(backend, directory / "workers.log", *credentials.flags, "--workers", 3) as proxy:
        context = credentials.context(protocols=("http/1.1",), version=version)
        with dial(proxy, context) as first:
            assert b"200 OK" in http1_get(first)
            assert not first.session_reused
            session = first.session
        # The kernel spreads connections over three workers: ten of them on one is unlikely (1 in 20,000).
        for _ in range(10):
            raw = socket.create_connection((HOST, proxy.port), timeout=10)
            with context.wrap_socket(raw, session=session) as again:
                assert again.session_reused
                assert b"200 OK" in http1_get(again)
