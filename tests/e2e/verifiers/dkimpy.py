# SPDX-License-Identifier: Apache-2.0
"""Verifies the signature (dkim) or the ARC sets (arc) of files with dkimpy; prints a result per line."""
import sys
from pathlib import Path

import dkim

for name in sys.argv[2:]:
    content = Path(name).read_bytes()
    if sys.argv[1] == "arc":
        result = (dkim.arc_verify(content)[0] or b"none").decode()
    else:
        try:
            result = "pass" if dkim.verify(content) else "fail"
        except dkim.DKIMException as error:
            result = f"fail: {error}"
    print(result)
