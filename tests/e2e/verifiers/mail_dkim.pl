# SPDX-License-Identifier: Apache-2.0
# Verifies the signature (dkim) or the ARC sets (arc) of files with Mail::DKIM; prints a result per line.
use strict;
use warnings;
use Mail::DKIM::Verifier;
use Mail::DKIM::ARC::Verifier;

my $kind = shift;
for my $name (@ARGV) {
    my $verifier = $kind eq 'arc' ? Mail::DKIM::ARC::Verifier->new : Mail::DKIM::Verifier->new;
    open(my $file, '<:raw', $name) or die "$name: $!";
    local $/;
    $verifier->PRINT(scalar <$file>);
    $verifier->CLOSE;
    print $verifier->result eq 'pass' ? 'pass' : $verifier->result_detail, "\n";
}
