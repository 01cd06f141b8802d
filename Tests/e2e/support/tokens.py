"""JSON Web Tokens and key sets, good ones and forged ones, and the server of an identity provider."""

import base64
import hashlib
import hmac
import http.server
import json
import ssl
import threading
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER, AUDIENCE = "https://issuer.example", "orders"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def segment(value):
    return b64(value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode())


class Key:
    """A private key of `kind`: rsa, ec or ed."""

    def __init__(self, kind, kid, bits=2048):
        self.kind, self.kid = kind, kid
        self.private = {
            "rsa": lambda: rsa.generate_private_key(65537, bits), "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
            "ed": ed25519.Ed25519PrivateKey.generate}[kind]()
        self.algorithm = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}[kind]

    @property
    def public_pem(self):
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def jwk(self, **more):
        public = self.private.public_key()
        if self.kind == "rsa":
            numbers = public.public_numbers()
            fields = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        elif self.kind == "ec":
            numbers = public.public_numbers()
            fields = {"kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}
        else:
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            fields = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
        return {**fields, "kid": self.kid, "use": "sig", **more}

    def sign(self, message, algorithm):
        if algorithm == "RS256":
            return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if algorithm == "PS256":
            return self.private.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        if algorithm == "ES256":
            r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return self.private.sign(message)

    def token(self, claims=None, header=None, algorithm=None, **changes):
        """A token with good claims, but for `changes`; a change to None takes the claim away."""
        algorithm = algorithm or self.algorithm
        if claims is None:
            claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": int(time.time()) + 600}
            claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        header = header or {"alg": algorithm, "kid": self.kid, "typ": "JWT"}
        text = f"{segment(header)}.{segment(claims)}"
        return f"{text}.{b64(self.sign(text.encode(), algorithm))}"


def hmac_token(secret, claims, kid):
    text = f"{segment({'alg': 'HS256', 'kid': kid, 'typ': 'JWT'})}.{segment(claims)}"
    return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def key_set(*jwks):
    return json.dumps({"keys": list(jwks)})


class KeyServer:
    """Serves `text` at every path, with `status` and `headers`; counts the requests. `files`: certificate and key,
    for https."""

    def __init__(self, address, text, port=8088, files=None):
        self.text, self.status, self.headers, self.requests = text, 200, {}, 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.requests += 1
                body = owner.text.encode()
                self.send_response(owner.status)
                for name, value in {"Content-Length": str(len(body)), **owner.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                connection, peer = super().get_request()
                if files:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(*files)
                    connection.settimeout(5)
                    connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=True)
                return connection, peer

            def handle_error(self, request, address):
                """A client that refuses the certificate is what some tests are about."""

        self.server = Server((address, port), Handler)
        scheme = "https" if files else "http"
        self.url = f"{scheme}://{address}:{port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
