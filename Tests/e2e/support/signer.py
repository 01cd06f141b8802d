"""An authority outside the mesh: takes a request for an issuer's certificate by HTTP and answers with the chain.

POST / with the request (PKCS #10, PEM) as `application/pkcs10` and a bearer token; the answer is
`application/pem-certificate-chain` (RFC 8555 section 9.1): the issuer, an intermediate, the root.
POST /v1/pki/root/sign-intermediate speaks as Vault's PKI engine does.
"""

import datetime
import http.server
import ipaddress
import json
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from .certificates import key_usage

PEM = serialization.Encoding.PEM


VAULT_PATH = "/v1/pki/root/sign-intermediate"


def authority(name, key, issuer=None, issuer_key=None, path_length=None, days=90, ca=True, extensions=()):
    """A certificate of an authority for `key` (a private key or a public one), signed by `issuer` or by itself."""
    public = key.public_key() if hasattr(key, "public_key") else key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    signer = (issuer_key or key).public_key()
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.subject if issuer else subject).public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=3)).not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length if ca else None), critical=True)
        .add_extension(key_usage(certificate_signing=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(issuer_key or key, hashes.SHA256())


class Signer:
    """A root with an RSA key, an intermediate with an elliptic one, and the HTTP server before them: over TLS if
    there is a directory
    for its certificate."""

    def __init__(self, token, directory=None):
        self.token, self.refused = token, []
        # Every key that was asked for, in order.
        self.keys = []
        # How it fails, if it does: a function that takes a request's public key and returns status, fields and body.
        self.failure = None
        self.days = 90
        self.use_new_root("Company root")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        scheme = "http"
        if directory:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.server_certificate(directory))
            # The handshake belongs to the connection's own thread.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def use_new_root(self, name):
        self.root_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.root = authority(name, self.root_key, path_length=2)
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.intermediate = authority("Company meshes", self.key, self.root, self.root_key, path_length=1)

    def server_certificate(self, directory):
        """For its own address, signed by its root."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.root.subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=True)
            .sign(self.root_key, hashes.SHA256()))
        chain, key_file = directory / "signer.cert.pem", directory / "signer.key.pem"
        chain.write_bytes(certificate.public_bytes(PEM))
        key_file.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return chain, key_file

    def handler(self):
        signer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                vault = self.path == VAULT_PATH
                status, fields, answer = (signer.vault if vault else signer.pem)(self.headers, body)
                self.send_response(status)
                for name, value in {"Content-Length": len(answer), **fields}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        return Handler

    def pem(self, headers, body):
        if headers.get("Authorization") != f"Bearer {self.token}":
            self.refused.append("token")
            return 401, {}, b"a token is needed\n"
        request = x509.load_pem_x509_csr(body)
        if not request.is_signature_valid:
            self.refused.append("signature")
            return 400, {}, b"no proof of possession\n"
        self.keys.append(request.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
        if self.failure:
            return self.failure(request.public_key())
        return 200, {"Content-Type": "application/pem-certificate-chain"}, self.chain(self.sign(request.public_key()))

    def vault(self, headers, body):
        def answer(status, content):
            return status, {"Content-Type": "application/json"}, json.dumps(content).encode()

        if headers.get("X-Vault-Token") != self.token:
            return answer(403, {"errors": ["permission denied"]})
        wanted = json.loads(body)
        request = x509.load_pem_x509_csr(wanted["csr"].encode())
        days = int(wanted["ttl"].removesuffix("s")) / 86400
        issuer = self.sign(request.public_key(), days=days, path_length=wanted["max_path_length"])
        issuer, intermediate, root = (c.public_bytes(PEM).decode() for c in (issuer, self.intermediate, self.root))
        return answer(200, {"data": {"certificate": issuer, "issuing_ca": intermediate, "ca_chain": [intermediate, root]}})

    def sign(self, public_key, **options):
        return authority(
            "Mesh issuer", public_key, self.intermediate, self.key, **{"path_length": 0, "days": self.days, **options})

    def chain(self, issuer, root=True):
        return b"".join(c.public_bytes(PEM) for c in [issuer, self.intermediate] + ([self.root] if root else []))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
