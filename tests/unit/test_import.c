/* SPDX-License-Identifier: Apache-2.0 */
/* Files of Postfix and Dovecot, and what becomes of them. */
#include <stdio.h>

#include "core/import/alias_target.h"
#include "core/import/import_plan.h"
#include "core/import/main_cf.h"
#include "core/import/passwd_file.h"
#include "core/import/table_text.h"
#include "unit.h"

/* ---- files ---- */

static void lines_are_joined_and_counted(void **state)
{
    struct table_text table;
    struct bytes line;
    size_t number;
    table_text_start(&table, BYTES("# head\n\na@b  c,\n\td\n  # between\n   e\r\nlast x"));
    assert_true(table_text_next(&table, &line, &number));
    assert_text(line, "a@b  c, d e");
    assert_int_equal(number, 3);
    assert_true(table_text_next(&table, &line, &number));
    assert_text(line, "last x");
    assert_int_equal(number, 7);
    assert_false(table_text_next(&table, &line, &number));
    table_text_free(&table);
}

static void keys_are_split_from_values(void **state)
{
    struct bytes key, value;
    assert_true(table_text_split(BYTES("a@b   c d"), &key, &value));
    assert_true(bytes_is(key, "a@b") && bytes_is(value, "c d"));
    assert_true(table_text_split(BYTES("\"a b@c\" x"), &key, &value) && bytes_is(key, "a b@c"));
    assert_true(table_text_split(BYTES("\"a b\"@c x"), &key, &value) && bytes_is(key, "\"a b\"@c"));
    assert_true(bytes_is(value, "x"));
    assert_false(table_text_split(BYTES("alone"), &key, &value));
    assert_true(table_text_split_alias(BYTES("\"a b\" : c:d"), &key, &value));
    assert_true(bytes_is(key, "a b") && bytes_is(value, "c:d"));
    assert_false(table_text_split_alias(BYTES("a b"), &key, &value));
    static const char *const names[][3] = {{"\"a:b\": c", "a:b", "c"},
                                           {"a\\ b : c", "a b", "c"},
                                           {"\"a \\\"q\\\" b\": \"c\"", "a \"q\" b", "\"c\""},
                                           {"a\\:b: c", "a:b", "c"}};
    struct buffer room = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        assert_true(table_text_split_alias(bytes_of_text(names[i][0]), &key, &value));
        assert_text(table_text_unquoted(key, &room), names[i][1]);
        assert_text(value, names[i][2]);
    }
    buffer_free(&room);
    assert_false(table_text_split_alias(BYTES(": b"), &key, &value));
    assert_true(table_text_split_parameter(BYTES("a="), &key, &value) && value.length == 0);
}

static void assert_targets(const char *text, const char *wanted)
{
    static const char letters[] = "and|f0i"; /* by kind */
    struct bytes rest = bytes_of_text(text);
    struct buffer room = {0}, got = {0};
    struct alias_target target;
    while (alias_target_next(&rest, &room, &target))
        buffer_add_format(&got, "%c<%.*s>", letters[target.kind], BYTES_ARG(target.text));
    assert_text(buffer_bytes(&got), wanted);
    buffer_free(&room);
    buffer_free(&got);
}

static void targets_are_told_apart(void **state)
{
    assert_targets("", "");
    assert_targets(" , ,", "");
    assert_targets("ada@example.org, bob carl@b.net", "a<ada@example.org>n<bob>a<carl@b.net>");
    assert_targets("\"|/usr/bin/x a, b\", ada", "|</usr/bin/x a, b>n<ada>");
    assert_targets("|/usr/bin/x a b, ada", "|</usr/bin/x a b>n<ada>");
    assert_targets("|\"/usr/bin/x a, b\"", "|<\"/usr/bin/x a, b\">");
    assert_targets("/dev/null", "0</dev/null>");
    assert_targets("\"/var/mail/x y\"", "f</var/mail/x y>");
    assert_targets(":include:/etc/list, \":include:/a b\"", "i</etc/list>i</a b>");
    assert_targets(":include: /etc/list, :INCLUDE:\"/a b\", x", "i</etc/list>i</a b>n<x>");
    assert_targets(":include:", "i<>");
    assert_targets("x :include:/etc/list y", "n<x>i</etc/list>n<y>");
    assert_targets("@new.example", "d<@new.example>");
    assert_targets("\\root", "n<root>");
    assert_targets("Ada L. <ada@example.org>, \"Doe, J\" <j@b.net> (away), (x (y)) z",
                   "a<ada@example.org>a<j@b.net>n<z>");
    assert_targets("\"a b\"@example.org", "a<\"a b\"@example.org>");
}

static void parameters_refer_to_each_other(void **state)
{
    struct arena arena = {0};
    struct main_cf cf;
    main_cf_read(
        &cf, &arena,
        BYTES("myhostname = mx.a.org\na = x\na = y # z\nmydestination = $myhostname\n , ${a} $(a)$$\n"
              "tables = $default_database_type:${config_directory}/a hash:$data_directory/b\n"
              "loop = $loop1\nloop1 = $loop x\nset = ${a?yes}${none?no}${none:or}${a?{one}:{two}}"
              "${none?{one}:{two}}\n"));
    assert_text(main_cf_value(&cf, "mydestination"), "mx.a.org , y # z y # z$");
    assert_text(main_cf_value(&cf, "set"), "yesoronetwo");
    assert_true(main_cf_value(&cf, "loop").length < 100);
    assert_text(main_cf_value(&cf, "alias_maps"), "hash:/etc/aliases");
    assert_text(main_cf_value(&cf, "tables"), "hash:/etc/postfix/a hash:/var/lib/postfix/b");
    assert_text(main_cf_value(&cf, "nothing"), "");
    assert_true(main_cf_has(&cf, "a") && !main_cf_has(&cf, "alias_maps"));
    main_cf_free(&cf);
    arena_clear(&arena);
}

static void hops_are_read_as_postfix_reads_them(void **state)
{
    struct main_cf_hop hop;
    assert_true(main_cf_read_hop(BYTES("[smtp.a.net]:587"), &hop));
    assert_true(bytes_is(hop.host, "smtp.a.net") && hop.port == 587 && !hop.is_domain);
    assert_true(main_cf_read_hop(BYTES("a.net"), &hop) && hop.is_domain && hop.port == 0);
    assert_true(main_cf_read_hop(BYTES("[ipv6:2001:db8::1]:smtps"), &hop));
    assert_true(bytes_is(hop.host, "2001:db8::1") && hop.port == 465);
    assert_true(main_cf_read_hop(BYTES(""), &hop) && hop.host.length == 0);
    assert_false(main_cf_read_hop(BYTES("[a.net"), &hop));
    assert_false(main_cf_read_hop(BYTES("a.net:0"), &hop));
    assert_false(main_cf_read_hop(BYTES("a.net:65536"), &hop));
}

/* ---- passwords ---- */

#define SHA512 \
    "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"

static enum stored_password_kind kind_of(const char *text)
{
    return stored_password_read(bytes_of_text(text), false).kind;
}

static void stored_passwords_are_told_from_typed_ones(void **state)
{
    assert_int_equal(kind_of(SHA512), STORED_HASH);
    assert_int_equal(kind_of("{SHA512-CRYPT}" SHA512), STORED_HASH);
    assert_int_equal(kind_of("{sha512-crypt}" SHA512), STORED_HASH);
    assert_int_equal(kind_of("{CRYPT}" SHA512), STORED_HASH);
    assert_int_equal(kind_of("{CRYPT}$6$rounds=9000$salt$x"), STORED_DAMAGED);
    assert_int_equal(kind_of("{BLF-CRYPT}$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe"),
                     STORED_HASH);
    assert_int_equal(kind_of("{PLAIN}secret"), STORED_PLAIN);
    assert_int_equal(kind_of("{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$abc$def"), STORED_FOREIGN);
    assert_int_equal(kind_of("{SSHA512}abcd"), STORED_FOREIGN);
    assert_int_equal(kind_of("{PLAIN.b64}abcd"), STORED_FOREIGN);
    assert_int_equal(kind_of("{SHA512-CRYPT}" SHA512 "x"), STORED_DAMAGED);
    /* what a person may choose */
    assert_int_equal(kind_of("{smile}secret"), STORED_NOT);
    assert_int_equal(kind_of("$6$ short"), STORED_NOT);
    assert_int_equal(kind_of("abcdefghijklm"), STORED_NOT);
    assert_int_equal(kind_of(""), STORED_NOT);
    assert_int_equal(stored_password_read(BYTES("abcdefghijklm"), true).kind, STORED_HASH);
}

static void users_of_dovecot_are_read(void **state)
{
    struct bytes rest = BYTES(
        "# users\nada@a.org:{PLAIN}x:1000:1000::/home::quota=1\n\nbob\ncarl:*:\neve:!$6$x:\r\n");
    struct passwd_file_user user;
    size_t line = 0;
    assert_true(passwd_file_next(&rest, &line, &user));
    assert_true(bytes_is(user.name, "ada@a.org") && user.has_password && line == 2);
    assert_true(user.password.kind == STORED_PLAIN && bytes_is(user.password.value, "x"));
    for (size_t i = 0; i < 3; i++)
        assert_true(passwd_file_next(&rest, &line, &user) && !user.has_password);
    assert_true(bytes_is(user.name, "eve") && line == 6);
    assert_false(passwd_file_next(&rest, &line, &user));
}

static void accounts_of_docker_mailserver_are_read(void **state)
{
    struct bytes rest = BYTES("ada@a.org|"
                              "{SHA512-CRYPT}" SHA512 "\nbob@a.org|{PLAIN}a:b|quota=1G\r\n"
                              "odd|name:{PLAIN}x\n");
    struct passwd_file_user user;
    size_t line = 0;
    assert_true(passwd_file_next(&rest, &line, &user) && bytes_is(user.name, "ada@a.org"));
    assert_true(user.password.kind == STORED_HASH && bytes_is(user.password.value, SHA512));
    assert_true(passwd_file_next(&rest, &line, &user) && bytes_is(user.name, "bob@a.org"));
    assert_true(user.password.kind == STORED_PLAIN && bytes_is(user.password.value, "a:b"));
    assert_true(passwd_file_next(&rest, &line, &user) && bytes_is(user.name, "odd|name"));
    assert_true(bytes_is(user.password.value, "x") && line == 3);
}

/* ---- plans ---- */

static struct import_plan plan;

/* "u ada@a.org", "d a.org", "a x@a.org y@a.org"; in capitals: here already. */
static void make_plan(const char *text)
{
    struct bytes rest = bytes_of_text(text);
    import_plan_start(&plan);
    while (rest.length > 0) {
        struct bytes line = bytes_split(&rest, '\n'), kind = bytes_split(&line, ' '),
                     name = bytes_split(&line, ' ');
        enum import_kind which = ascii_lower(kind.at[0]) == 'd'   ? IMPORT_DOMAIN
                                 : ascii_lower(kind.at[0]) == 'u' ? IMPORT_USER
                                                                  : IMPORT_ALIAS;
        if (kind.at[0] < 'a')
            import_plan_know(&plan, which, name, line);
        else
            import_plan_add(&plan, &(struct import_entry){.kind = which, .name = name, .target = line});
    }
    import_plan_make(&plan);
}

static enum import_verdict verdict_of(const char *name, const char *target)
{
    for (size_t i = 0; i < plan.count; i++)
        if (!plan.entries[i].known && bytes_is(plan.entries[i].name, name) &&
            bytes_is(plan.entries[i].target, target))
            return plan.entries[i].verdict;
    fail_msg("%s is not in the plan", name);
    return IMPORT_VERDICTS;
}

static void what_is_here_stays(void **state)
{
    make_plan(
        "D a.org\nU ada@a.org\nA x@a.org ada@a.org\nd a.org\nu ada@a.org\na x@a.org ada@a.org\nu bob@b.org\n"
        "u bob@b.org");
    assert_int_equal(verdict_of("a.org", ""), IMPORT_EXISTS);
    assert_int_equal(verdict_of("ada@a.org", ""), IMPORT_EXISTS);
    assert_int_equal(verdict_of("x@a.org", "ada@a.org"), IMPORT_EXISTS);
    assert_int_equal(verdict_of("b.org", ""), IMPORT_NEW); /* of a user */
    assert_int_equal(import_plan_count(&plan, IMPORT_USER, IMPORT_NEW), 1);
    import_plan_free(&plan);
}

static void aliases_must_arrive(void **state)
{
    make_plan(
        "d a.org\nu ada@a.org\na one@a.org two@a.org\na two@a.org ada+tag@a.org\na out@a.org x@there.net\n"
        "a lost@a.org ghost@a.org\na lost2@a.org lost@a.org\na half@a.org ghost@a.org\na half@a.org "
        "ada@a.org\n"
        "a x@unknown.org ada@a.org\na ada@a.org ada@a.org\na self@a.org self@a.org\na pm@a.org "
        "postmaster@a.org\n"
        "a ghost2@a.org ada@a.org");
    assert_int_equal(verdict_of("one@a.org", "two@a.org"), IMPORT_NEW);
    assert_int_equal(verdict_of("two@a.org", "ada+tag@a.org"), IMPORT_NEW);
    assert_int_equal(verdict_of("out@a.org", "x@there.net"), IMPORT_NEW);
    assert_int_equal(verdict_of("lost@a.org", "ghost@a.org"), IMPORT_NO_TARGET);
    assert_int_equal(verdict_of("lost2@a.org", "lost@a.org"), IMPORT_NO_TARGET);
    assert_int_equal(verdict_of("half@a.org", "ghost@a.org"), IMPORT_NO_TARGET);
    assert_int_equal(verdict_of("half@a.org", "ada@a.org"), IMPORT_NEW);
    assert_int_equal(verdict_of("x@unknown.org", "ada@a.org"), IMPORT_NOT_HOSTED);
    assert_int_equal(verdict_of("ada@a.org", "ada@a.org"), IMPORT_EXISTS); /* the user */
    assert_int_equal(verdict_of("self@a.org", "self@a.org"), IMPORT_OWN_NAME);
    assert_int_equal(verdict_of("pm@a.org", "postmaster@a.org"), IMPORT_NEW);
    import_plan_free(&plan);
}

static void circles_are_left_out(void **state)
{
    make_plan(
        "d a.org\nu ada@a.org\na p@a.org q@a.org\na q@a.org p@a.org\na r@a.org s@a.org\na s@a.org r@a.org\n"
        "a s@a.org ada@a.org");
    assert_int_equal(verdict_of("p@a.org", "q@a.org"), IMPORT_LEADS_BACK);
    assert_int_equal(verdict_of("q@a.org", "p@a.org"), IMPORT_LEADS_BACK);
    /* one of the two goes, and mail arrives by both */
    assert_int_equal(verdict_of("s@a.org", "ada@a.org"), IMPORT_NEW);
    assert_true((verdict_of("r@a.org", "s@a.org") == IMPORT_LEADS_BACK) !=
                (verdict_of("s@a.org", "r@a.org") == IMPORT_LEADS_BACK));
    import_plan_free(&plan);
}

static void domains_can_be_another_one(void **state)
{
    make_plan(
        "d a.org\nd b.org\nd c.org\nu ada@a.org\na @b.org @a.org\na @c.org @b.org\na x@a.org ada@c.org\n"
        "a y@a.org ghost@c.org\na @b.org ada@a.org\na @a.org @c.org\na @d.org @a.org");
    assert_int_equal(verdict_of("@b.org", "ada@a.org"), IMPORT_DOMAIN_MIXED);
    assert_int_equal(verdict_of("@d.org", "@a.org"), IMPORT_NOT_HOSTED);
    assert_int_equal(verdict_of("@a.org", "@c.org"), IMPORT_LEADS_BACK);
    import_plan_free(&plan);
    make_plan("d a.org\nd b.org\nu ada@a.org\na @b.org @a.org\na x@a.org ada@b.org\na y@a.org ghost@b.org");
    assert_int_equal(verdict_of("@b.org", "@a.org"), IMPORT_NEW);
    assert_int_equal(verdict_of("x@a.org", "ada@b.org"), IMPORT_NEW);
    assert_int_equal(verdict_of("y@a.org", "ghost@b.org"), IMPORT_NO_TARGET);
    import_plan_free(&plan);
}

/* Time and memory stay in proportion. */
static void many_aliases_are_planned(void **state)
{
    struct buffer text = {0};
    buffer_add_text(&text, "d a.org\nu n0@a.org");
    for (int i = 1; i <= 20000; i++)
        buffer_add_format(&text, "\na n%d@a.org n%d@a.org", i, i % 100 == 0 ? 0 : i % 100 < 20 ? i - 1 : 0);
    make_plan(buffer_text(&text));
    assert_int_equal(import_plan_count(&plan, IMPORT_ALIAS, IMPORT_NEW), 20000);
    import_plan_free(&plan);
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_joined_and_counted),
        cmocka_unit_test(keys_are_split_from_values),
        cmocka_unit_test(targets_are_told_apart),
        cmocka_unit_test(parameters_refer_to_each_other),
        cmocka_unit_test(hops_are_read_as_postfix_reads_them),
        cmocka_unit_test(stored_passwords_are_told_from_typed_ones),
        cmocka_unit_test(users_of_dovecot_are_read),
        cmocka_unit_test(accounts_of_docker_mailserver_are_read),
        cmocka_unit_test(what_is_here_stays),
        cmocka_unit_test(aliases_must_arrive),
        cmocka_unit_test(circles_are_left_out),
        cmocka_unit_test(domains_can_be_another_one),
        cmocka_unit_test(many_aliases_are_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
