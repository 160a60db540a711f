# SPDX-License-Identifier: Apache-2.0
"""ARC sets made by Mail::DKIM (Perl), for messages that come sealed."""
import subprocess

import pytest

PROGRAM = """use Mail::DKIM::ARC::Signer; use Mail::DKIM::PrivateKey;
my ($file, $domain, $id, $key) = @ARGV; open(my $message, '<:raw', $file);
my $signer = Mail::DKIM::ARC::Signer->new(Algorithm => 'rsa-sha256', Chain => 'none', Domain => $domain, SrvId => $id, Selector => 's',
    Key => Mail::DKIM::PrivateKey->load(File => $key));
$signer->PRINT(do { local $/; <$message> }); $signer->CLOSE; die $signer->result if $signer->result ne 'sealed'; print $signer->as_string;"""


def with_first_set(folder, message, domain, host, key):
    """Returns the message with the first set of a chain, sealed for `domain` with the selector s. The results in it
    are those that the message has from `host`; `key` is a file with an RSA key (PKCS #1)."""
    if subprocess.run(["perl", "-MMail::DKIM::ARC::Signer", "-e", "1"], capture_output=True).returncode != 0:
        pytest.skip("Mail::DKIM is not installed")
    (folder / "unsealed.eml").write_bytes(message)
    done = subprocess.run(["perl", "-e", PROGRAM, folder / "unsealed.eml", domain, host, key], capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + message
