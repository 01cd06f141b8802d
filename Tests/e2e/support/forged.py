"""Certificates that no authority of a mesh should make, signed with its key all the same: the work of a thief or of a
broken issuer."""

import dataclasses
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .certificates import NO_ENCRYPTION, Authority, key_usage

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
KEYS = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
}


@dataclasses.dataclass
class Leaf:
    identities: tuple = ()
    key: str = "p256"
    starts: float = -60.0
    ends: float = 3600.0
    is_authority: bool = False
    may_sign: bool = False
    purposes: tuple = (CLIENT, SERVER)
    # Between the leaf and the mesh's root: an authority of the mesh's that may sign these URI hosts only.
    constrained_to: str | None = None
    # Signed by another leaf instead of an authority.
    by_leaf: str | None = None
    is_self_signed: bool = False


def build(subject, public_key, issuer, issuer_key, extensions, starts=-60.0, ends=3600.0):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(seconds=starts)).not_valid_after(now + datetime.timedelta(seconds=ends)))
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    digest = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(issuer_key, digest)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def authority_below(parent, constrained_to):
    key = KEYS["p256"]()
    permitted = x509.NameConstraints([x509.UniformResourceIdentifier(constrained_to)], None)
    certificate = build(named("a limited authority"), key.public_key(), parent.certificate.subject, parent.key, [
        (x509.BasicConstraints(ca=True, path_length=0), True), (key_usage(certificate_signing=True), True), (permitted, True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)])
    return Authority(key, certificate)


def forge(authority, directory, name, leaf):
    """Writes chain and key of `leaf`. Returns their paths and the leaf's serial number."""
    key, chain, issuer = KEYS[leaf.key](), [], authority
    if leaf.constrained_to:
        issuer = authority_below(authority, leaf.constrained_to)
        chain = [issuer.certificate]
    if leaf.by_leaf:
        # A leaf that is used as if it were an authority.
        path, key_path, _ = forge(authority, directory, f"{name}-signer", Leaf((leaf.by_leaf,)))
        issuer = Authority(
            serialization.load_pem_private_key(key_path.read_bytes(), None), x509.load_pem_x509_certificate(path.read_bytes()))
        chain = [issuer.certificate]
    subject = named(name)
    issuer_name, issuer_key = (subject, key) if leaf.is_self_signed else (issuer.certificate.subject, issuer.key)
    extensions = [
        (x509.BasicConstraints(ca=leaf.is_authority, path_length=None), True),
        (key_usage(certificate_signing=leaf.may_sign), True), (x509.ExtendedKeyUsage(list(leaf.purposes)), False)]
    if leaf.identities:
        uris = [x509.UniformResourceIdentifier(identity) for identity in leaf.identities]
        extensions.append((x509.SubjectAlternativeName(uris), True))
    certificate = build(subject, key.public_key(), issuer_name, issuer_key, extensions, leaf.starts, leaf.ends)
    chain_file, key_file = directory / f"{name}.cert.pem", directory / f"{name}.key.pem"
    pem = serialization.Encoding.PEM
    chain_file.write_bytes(b"".join(one.public_bytes(pem) for one in [certificate, *chain]))
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, NO_ENCRYPTION))
    return chain_file, key_file, certificate.serial_number
