/* SPDX-License-Identifier: Apache-2.0 */
/* What a systemd unit lets its service read and write. */
#include "core/text/unit_protection.h"
#include "unit.h"

static const char unit[] = "[Unit]\nDescription=x\n[Service]\n# ProtectSystem=no\n; PrivateTmp=no\n"
                           "StateDirectory=mailboat\n ProtectSystem = strict \nProtectHome=true\n"
                           "PrivateTmp=yes\n";

static void check(const char *drop_in, const char *path, bool reads, bool writes)
{
    struct unit_protection protection = {0};
    unit_protection_read(&protection, bytes_of_text(unit));
    unit_protection_read(&protection, bytes_of_text(drop_in));
    assert_int_equal(unit_protection_allows_read(&protection, bytes_of_text(path)), reads);
    assert_int_equal(unit_protection_allows_write(&protection, bytes_of_text(path)), writes);
    unit_protection_free(&protection);
}

static void test_paths(void **state)
{
    check("", "/var/lib/mailboat", true, true);
    check("", "/var/lib/mailboat/", true, true);
    check("", "/var/lib/mailboat/queue", true, true);
    check("", "/var/lib/mailboats", true, false);
    check("", "/var/lib", true, false);
    check("", "/srv/mail", true, false);
    check("", "/home/ada/key.pem", false, false);
    check("", "/homes", true, false);
    check("", "/root", false, false);
    check("", "/run/user/1000/x", false, false);
    check("", "/tmp/x", false, false);
    check("", "/var/tmp", false, false);
}

static void test_drop_ins(void **state)
{
    check("[Service]\nReadWritePaths=/srv/mail -/opt/x +/y\n", "/srv/mail/queue", true, true);
    check("[Service]\nReadWritePaths=/srv/mail -/opt/x +/y\n", "/opt/x", true, true);
    check("[Service]\nReadWritePaths=/srv/mail -/opt/x +/y\n", "/y", true, true);
    check("ReadWritePaths=/srv/\n", "/srv/mail", true, true);
    check("ReadWritePaths=/\n", "/anything", true, true);
    check("ReadWritePaths=/srv\nReadWritePaths=\n", "/srv", true, false);
    check("ReadWritePaths=/srv\nReadWritePaths=/opt\n", "/srv", true, true);
    check("StateDirectory=mail:alias other\n", "/var/lib/other", true, true);
    check("StateDirectory=mail:alias other\n", "/var/lib/mail", true, true);
    check("ProtectSystem=full\n", "/srv/mail", true, true);
    check("ProtectHome=read-only\n", "/home/ada/key.pem", true, false);
    check("ProtectSystem=no\nProtectHome=read-only\n", "/home/ada", true, false);
    check("ProtectHome=no\nPrivateTmp=off\nProtectSystem=false\n", "/home/ada", true, true);
    check("ProtectHome=tmpfs\n", "/home/ada", false, false);
    check("nonsense\n=\n==\n\n   \nReadWritePaths=/srv", "/srv", true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_drop_ins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
