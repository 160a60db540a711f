# SPDX-License-Identifier: Apache-2.0
"""All situations, in the groups in which they run."""
from table_account import ACCOUNT, SERVER
from table_healthy import HEALTHY
from table_names import NAMES
from table_network import CLOUD, HOSTING, MACHINE_SIDE
from table_second import SECOND_ACCOUNT, SECOND_HEALTHY, SECOND_NAMES, SECOND_NETWORK
from table_tls import BETWEEN, TLS

PARTS = {"web hosts": HOSTING, "clouds and networks": CLOUD + SECOND_NETWORK, "this machine": MACHINE_SIDE, "names": NAMES + SECOND_NAMES, "TLS": TLS, "in between": BETWEEN, "servers": SERVER, "accounts": ACCOUNT + SECOND_ACCOUNT,
         "healthy": HEALTHY + SECOND_HEALTHY}
SITUATIONS = [situation for part in PARTS.values() for situation in part]
GROUP_SIZE = 6
GROUPS = [SITUATIONS[at:at + GROUP_SIZE] for at in range(0, len(SITUATIONS), GROUP_SIZE)]
