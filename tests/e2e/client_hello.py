# SPDX-License-Identifier: Apache-2.0
"""Builds ClientHellos octet by octet (RFC 8446 4.1.2, RFC 5246 7.4.1.2), including ones that no TLS library
would send, and reads the server's answer."""
import struct

GROUPS = {"secp256r1": 23, "secp384r1": 24, "secp521r1": 25, "x25519": 29, "x448": 30, "ffdhe2048": 256, "ffdhe3072": 257,
          "ffdhe4096": 258, "ffdhe6144": 259, "ffdhe8192": 260}
# A point of each curve (its generator), a number below each prime: a share without a known private key
SHARES = {
    "x25519": bytes([9]) + bytes(31), "x448": bytes([5]) + bytes(55),
    "secp256r1": bytes.fromhex("046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
                               "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
    "secp384r1": bytes.fromhex("04aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
                               "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f"),
    **{f"ffdhe{bits}": (1 << (bits - 2) | 12345).to_bytes(bits // 8, "big") for bits in (2048, 3072, 4096, 6144, 8192)},
}
SUITES_13, SUITES_12 = (0x1301, 0x1302, 0x1303), (0xC02B, 0xC02F, 0xC02C, 0xC030)
SIGNATURES = (0x0403, 0x0804, 0x0805, 0x0806, 0x0401, 0x0503, 0x0501, 0x0601)


def vector(octets, size=2):
    return len(octets).to_bytes(size, "big") + octets


def numbers(values):
    return b"".join(struct.pack(">H", value) for value in values)


def extension(kind, octets):
    return struct.pack(">H", kind) + vector(octets)


def share(group, octets):
    return struct.pack(">H", group) + vector(octets)


def message(groups=("x25519",), shares=None, versions=(0x0304,), suites=SUITES_13, more=b"", legacy=0x0303):
    """Returns the handshake message. `shares`: names of groups, or whole entries; default: one for the first group."""
    shares = groups[:1] if shares is None else shares
    ids = [GROUPS.get(group, group) for group in groups]
    entries = b"".join(one if isinstance(one, bytes) else share(GROUPS[one], SHARES[one]) for one in shares)
    extensions = extension(10, vector(numbers(ids))) + extension(11, b"\1\0") + extension(13, vector(numbers(SIGNATURES))) + extension(23, b"")
    if versions:
        extensions += extension(43, vector(numbers(versions), 1)) + extension(51, vector(entries))
    extensions += more
    body = struct.pack(">H", legacy) + b"r" * 32 + vector(b"s" * 32, 1) + vector(numbers(suites)) + b"\1\0" + vector(extensions)
    return b"\1" + vector(body, 3)


def records(octets, size=16384):
    """Returns the message in records of limited size."""
    return b"".join(b"\x16\3\1" + vector(octets[i:i + size]) for i in range(0, len(octets), size))


def hello(*arguments, size=16384, **options):
    return records(message(*arguments, **options), size)


# ---- answers ----

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE = 20, 21, 22


def exactly(connection, count):
    octets = b""
    while len(octets) < count:
        more = connection.recv(count - len(octets))
        if more == b"":
            raise ConnectionError
        octets += more
    return octets


def answer_of(connection):
    """Returns the next record, its type and content; None at the end."""
    try:
        header = exactly(connection, 5)
        return header[0], exactly(connection, struct.unpack(">H", header[3:])[0])
    except ConnectionError:
        return None


def is_refused(answer):
    return answer is None or (answer[0] == ALERT and answer[1][0] == 2)


def is_taken(answer):
    """True for a ServerHello that is not a HelloRetryRequest."""
    return answer is not None and answer[0] == HANDSHAKE and answer[1][0] == 2 and not answer[1][6:38].hex().startswith("cf21ad74e59a6111")
