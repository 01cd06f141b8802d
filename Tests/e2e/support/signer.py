"""An authority outside the mesh: takes a request for an issuer's certificate by HTTP and answers with the chain.

POST / with the request (PKCS #10, PEM) as `application/pkcs10` and a bearer token; the answer is
`application/pem-certificate-chain` (RFC 8555 section 9.1): the issuer, an intermediate, the root. As step-ca and
Vault's PKI engine do it behind a small adapter.
"""

import datetime
import http.server
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from .certificates import key_usage

PEM = serialization.Encoding.PEM


def authority(name, key, issuer=None, issuer_key=None, path_length=None, days=90):
    """A certificate of an authority for `key` (a private key or a public one), signed by `issuer` or by itself."""
    public = key.public_key() if hasattr(key, "public_key") else key
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    signer = (issuer_key or key).public_key()
    return (x509.CertificateBuilder()
            .subject_name(subject).issuer_name(issuer.subject if issuer else subject).public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=3)).not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(key_usage(certificate_signing=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
            .sign(issuer_key or key, hashes.SHA256()))


class Signer:
    """A root with an RSA key, an intermediate with an elliptic one, and the HTTP server before them."""

    def __init__(self, token):
        self.token, self.refused = token, []
        self.root_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.root = authority("Company root", self.root_key, path_length=2)
        self.key = ec.generate_private_key(ec.SECP384R1())
        self.intermediate = authority("Company meshes", self.key, self.root, self.root_key, path_length=1)
        signer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, answer = signer.answer(self.headers, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/pem-certificate-chain" if status == 200 else "text/plain")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, headers, body):
        if headers.get("Authorization") != f"Bearer {self.token}":
            self.refused.append("token")
            return 401, b"a token is needed\n"
        request = x509.load_pem_x509_csr(body)
        if not request.is_signature_valid:
            self.refused.append("signature")
            return 400, b"no proof of possession\n"
        return 200, self.chain(self.sign(request.public_key()))

    def sign(self, public_key, **options):
        return authority("Mesh issuer", public_key, self.intermediate, self.key, **{"path_length": 0, **options})

    def chain(self, issuer, root=True):
        return b"".join(c.public_bytes(PEM) for c in [issuer, self.intermediate] + ([self.root] if root else []))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
