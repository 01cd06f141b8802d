"""TLS sessions as `openssl s_client -sess_out` writes them, made to promise early data that the server never promised."""

import base64

# SSL_SESSION's `max_early_data [15] EXPLICIT INTEGER` (OpenSSL, ssl/ssl_asn1.c); fields stand in the order of their tags.
MAX_EARLY_DATA = 0xAF


def _items(content):
    """(tag, the whole item) of each DER item."""
    at = 0
    while at < len(content):
        size, head = content[at + 1], 2
        if size & 0x80:
            head += size & 0x7F
            size = int.from_bytes(content[at + 2:at + head], "big")
        yield content[at], content[at:at + head + size]
        at += head + size


def _sequence(content):
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([0x30, 0x80 | len(length)]) + length + content


def promise(pem, size=16384):
    """The session with early data of `size` bytes allowed."""
    lines = pem.split("-----")[2]
    der = base64.b64decode(lines)
    head = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    number = size.to_bytes(size.bit_length() // 8 + 1, "big")
    field = bytes([MAX_EARLY_DATA, len(number) + 2, 2, len(number)]) + number
    items = [(tag, item) for tag, item in _items(der[head:]) if tag != MAX_EARLY_DATA]
    before = [item for tag, item in items if tag < MAX_EARLY_DATA]
    after = [item for tag, item in items if tag > MAX_EARLY_DATA]
    text = base64.encodebytes(_sequence(b"".join([*before, field, *after]))).decode()
    return f"-----BEGIN SSL SESSION PARAMETERS-----\n{text}-----END SSL SESSION PARAMETERS-----\n"
