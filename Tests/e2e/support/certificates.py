"""Certificates that the mesh would not issue: expired, foreign, of another account. Made with the mesh's own key or
another's."""

import datetime
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NO_ENCRYPTION = serialization.NoEncryption()


class Authority:
    def __init__(self, key, certificate):
        self.key, self.certificate = key, certificate

    @classmethod
    def of_mesh(cls, state):
        key = serialization.load_pem_private_key((state / "ca" / "root.key.pem").read_bytes(), None)
        return cls(key, x509.load_pem_x509_certificate((state / "ca" / "root.cert.pem").read_bytes()))

    @classmethod
    def foreign(cls, path_length=None):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another authority")])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(key_usage(certificate_signing=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256()))
        return cls(key, certificate)

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, directory, name, identity, starts=-60.0, ends=3600.0, hosts=()):
        """A leaf with this SPIFFE id (None: without) and these DNS names, valid from `starts` to `ends` seconds from
        now. Returns file paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.certificate.subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(seconds=starts))
            .not_valid_after(now + datetime.timedelta(seconds=ends))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(certificate_signing=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False))
        names = [x509.DNSName(host) for host in hosts] + ([x509.UniformResourceIdentifier(identity)] if identity else [])
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        certificate = builder.sign(self.key, hashes.SHA256())
        chain, key_file = directory / f"{name}.cert.pem", directory / f"{name}.key.pem"
        chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, NO_ENCRYPTION))
        return chain, key_file


def key_usage(certificate_signing):
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=certificate_signing, crl_sign=certificate_signing, encipher_only=False,
        decipher_only=False)


def client_context(state, files=None):
    """A TLS 1.3 client that trusts the mesh and shows `files`, checking no name (a SPIFFE id is not one)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.load_verify_locations(str(state / "ca" / "root.cert.pem"))
    context.set_alpn_protocols(["h2"])
    if files:
        context.load_cert_chain(*map(str, files))
    return context


def server_context(state, files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(str(state / "ca" / "root.cert.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(*map(str, files))
    return context
