# SPDX-License-Identifier: Apache-2.0
"""Makes certificates in memory: a public CA with an intermediate, as most servers have, or other chains on
request."""
import datetime
import functools
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.utcnow()
KEY = ec.generate_private_key(ec.SECP256R1())  # of every server: the tests do not depend on the key
KEY_PEM = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
KINDS = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "C": NameOID.COUNTRY_NAME}


def name_of(text):
    """ "O=Fortinet, CN=FGT60" as a name; plain text is a CN."""
    parts = [part.split("=", 1) for part in text.split(", ")] if "=" in text else [["CN", text]]
    return x509.Name([x509.NameAttribute(KINDS[kind], value) for kind, value in parts])


def issue(subject, issuer, key, issuer_key, names=(), ca=False, days=(-30, 60)):
    builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(NOW + days[0] * DAY).not_valid_after(NOW + days[1] * DAY)
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """A CA; with a parent, an intermediate one."""

    def __init__(self, name, parent=None):
        self.name, self.key, self.parent = name_of(name), ec.generate_private_key(ec.SECP256R1()), parent
        self.certificate = issue(self.name, (parent or self).name, self.key, (parent or self).key, ca=True, days=(-400, 3000))

    def chain(self, root):
        """Returns the CA certificates that a server sends."""
        if self.parent is None:
            return [self.certificate] if root else []
        return [self.certificate, *self.parent.chain(root)]


ROOT = Authority("C=US, O=Internet Security Research Group, CN=ISRG Root X1 (test)")
PUBLIC = Authority("C=US, O=Let's Encrypt, CN=R11 (test)", ROOT)
OTHER_ROOT = Authority("C=US, O=Google Trust Services LLC, CN=GTS Root R1 (test)")
LONG = Authority("C=US, O=Long Chain, CN=Issuing CA 5", Authority("C=US, O=Long Chain, CN=Policy CA 4", Authority(
    "C=US, O=Long Chain, CN=Policy CA 3", Authority("C=US, O=Long Chain, CN=Policy CA 2", ROOT))))
BUNDLE = pem(ROOT.certificate) + pem(OTHER_ROOT.certificate)  # the CA certificates that the machine trusts


@functools.lru_cache(maxsize=None)
def chain_of(names, by, days, whole, root):
    if by == "itself":
        return pem(issue(name_of(names[0]), name_of(names[0]), KEY, KEY, names, days=days))
    leaf = issue(name_of(names[0]), by.name, KEY, by.key, names, days=days)
    return pem(leaf) + b"".join(pem(ca) for ca in by.chain(root)) if whole else pem(leaf)


class Certificate:
    """`names`: default: the host's; `by`: the issuer ("itself": self-signed); `days`: validity, from and to, from now;
    `whole`: the intermediate certificates are sent; `root`: the root, too; `old`: nothing newer than TLS 1.1."""

    def __init__(self, *names, by=PUBLIC, days=(-30, 60), whole=True, root=False, old=False, newest=None):
        self.names, self.by, self.days, self.whole, self.root, self.old, self.newest = names, by, days, whole, root, old, newest

    def context(self, host, by=None):
        """Returns the context for a server of that name; `by`: another CA that issues it in transit."""
        return self._context(host, by or self.by)

    @functools.lru_cache(maxsize=None)
    def _context(self, host, by):
        chain = chain_of(self.names or (host,), by, self.days, self.whole, self.root or (by != "itself" and by.parent is None))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(chain + KEY_PEM)
            file.flush()
            context.load_cert_chain(file.name)
        if self.old:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        if self.newest:
            context.maximum_version = self.newest
        return context
