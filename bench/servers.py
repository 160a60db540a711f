# SPDX-License-Identifier: Apache-2.0
"""The measured servers, in one list, and how one is started."""
import contextlib

from mail_servers import Exim, NothingStored, OpenSmtpd, OpenSmtpdWide, OurServer, OurServerDelivering, Postfix
from trust_servers import TRUST_SERVERS

SERVERS = {kind.name: kind for kind in (OurServer, Postfix, OpenSmtpd, OpenSmtpdWide, Exim, NothingStored, OurServerDelivering, *TRUST_SERVERS)}
MEASURED = ["mailboat", "postfix", "nothing-stored", "opensmtpd", "opensmtpd-wide", "exim", *(kind.name for kind in TRUST_SERVERS)]  # in this order, if there is not time for all


@contextlib.contextmanager
def started(kind, folder, mode, to=None, **options):
    """Starts a server of this kind; it is stopped in any case."""
    server = kind(folder, **options)
    try:
        server.start(mode, to)
        yield server
    finally:
        server.stop()
