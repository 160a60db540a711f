/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery of a mail address's server, and a domain's published settings. */
#include "core/port/discovery.h"
#include "io/autoconfig.h"
#include "unit.h"

/* ---- discovery ---- */

static struct discovery d;

static bool asks_dns(enum dns_type type, const char *name)
{
    struct discovery_question question;
    return discovery_next(&d, &question) && question.kind == DISCOVERY_DNS && question.type == type &&
           bytes_is(question.name, name);
}

static bool asks_url(const char *url)
{
    struct discovery_question question;
    return discovery_next(&d, &question) && question.kind == DISCOVERY_FETCH && bytes_is(question.url, url);
}

static bool is_done(void)
{
    struct discovery_question question;
    return !discovery_next(&d, &question);
}

static void records_of_services_come_first(void **state)
{
    const struct dns_record tls[] = {{.preference = 10, .port = 465, .name = BYTES("mail.example.org")}};
    const struct dns_record starttls[] = {{.preference = 20, .port = 587, .name = BYTES("mail.example.org")},
                                          {.preference = 10, .port = 2525, .name = BYTES("mail.example.org")},
                                          {.preference = 30, .port = 25, .name = BYTES("mail.example.org")}};
    assert_true(discovery_start(&d, BYTES("ada@example.org")));
    assert_true(asks_dns(DNS_SRV, "_submissions._tcp.example.org"));
    discovery_learn_records(&d, tls, 1);
    assert_true(asks_dns(DNS_SRV, "_submission._tcp.example.org"));
    discovery_learn_records(&d, starttls, 3);
    assert_true(is_done());
    assert_string_equal(d.host, "mail.example.org");
    assert_string_equal(d.user, "ada@example.org");
    assert_int_equal(d.port_count, 3); /* never 25 */
    assert_int_equal(d.ports[0].port, 2525);
    assert_int_equal(d.ports[1].port, 465);
    assert_int_equal(d.ports[1].tls, CLIENT_TLS_IMPLICIT);
    assert_int_equal(d.ports[2].port, 587);
}

static void the_better_of_two_services_gives_the_host(void **state)
{
    const struct dns_record tls[] = {{.preference = 10, .port = 465, .name = BYTES("old.example.org")}};
    const struct dns_record starttls[] = {{.preference = 0, .port = 587, .name = BYTES("new.example.org")}};
    discovery_start(&d, BYTES("ada@example.org"));
    asks_dns(DNS_SRV, "");
    discovery_learn_records(&d, tls, 1);
    asks_dns(DNS_SRV, "");
    discovery_learn_records(&d, starttls, 1);
    assert_true(is_done());
    assert_string_equal(d.host, "new.example.org");
    assert_int_equal(d.port_count, 1);
}

static void a_domain_may_say_that_it_has_none(void **state)
{
    const struct dns_record none = {.name = bytes_none()};
    discovery_start(&d, BYTES("ada@example.org"));
    asks_dns(DNS_SRV, "");
    discovery_learn_records(&d, &none, 1);
    asks_dns(DNS_SRV, "");
    discovery_learn_records(&d, &none, 1);
    assert_true(d.none_offered && d.host[0] == '\0');
}

static void a_known_provider_is_not_asked(void **state)
{
    discovery_start(&d, BYTES("ada@gmail.com"));
    asks_dns(DNS_SRV, "");
    discovery_learn_nothing(&d);
    asks_dns(DNS_SRV, "");
    discovery_learn_nothing(&d);
    assert_true(is_done());
    assert_string_equal(d.host, "smtp.gmail.com");
    assert_string_equal(d.provider->name, "Gmail");
}

/* The longest address with every octet escaped, at the longest domain. */
static void a_url_is_never_cut(void **state)
{
    struct discovery_question question;
    struct buffer address = {0};
    while (address.length < 2 * DISCOVERY_TEXT_MAX - 1 - 240)
        buffer_add_octet(&address, '+');
    buffer_add_octet(&address, '@');
    while (address.length < 2 * DISCOVERY_TEXT_MAX - 1 - 7)
        buffer_add_text(&address, "a.");
    buffer_add_text(&address, "example");
    assert_true(discovery_start(&d, buffer_bytes(&address)));
    asks_dns(DNS_SRV, "");
    discovery_learn_nothing(&d);
    asks_dns(DNS_SRV, "");
    discovery_learn_nothing(&d);
    assert_true(discovery_next(&d, &question) && question.kind == DISCOVERY_FETCH);
    assert_true(bytes_starts_nocase(question.url, "https://autoconfig.a.a.") &&
                bytes_ends_nocase(question.url, ".example"));
    assert_true(bytes_search(question.url, BYTES("%2B%40a.a.")) != SIZE_MAX);
    buffer_free(&address);
}

/* DNS_A for "smtp." before a domain of maximum length: no such host can exist. */
static void a_name_that_became_too_long_is_no_host(void **state)
{
    const struct dns_record record = {.address = {192, 0, 2, 1}};
    struct discovery_question question;
    struct buffer domain = {0};
    while (domain.length < 244)
        buffer_add_text(&domain, "a.");
    buffer_add_text(&domain, "example"); /* 251 octets */
    assert_true(discovery_start(&d, buffer_bytes(&domain)));
    while (discovery_next(&d, &question))
        if (question.kind == DISCOVERY_DNS && question.type == DNS_A &&
            !bytes_equal(question.name, buffer_bytes(&domain)))
            discovery_learn_records(&d, &record, 1);
        else
            discovery_learn_nothing(&d);
    assert_string_equal(d.host, "");
    buffer_free(&domain);
}

static void settings_then_the_exchanger_then_the_usual_names(void **state)
{
    const struct dns_record mx = {.preference = 10, .name = BYTES("mx.elsewhere.example")};
    discovery_start(&d, BYTES("ada+x@example.org"));
    asks_dns(DNS_SRV, "");
    discovery_learn_nothing(&d);
    asks_dns(DNS_SRV, "");
    discovery_learn_records(&d, NULL, 0);
    assert_true(
        asks_url("https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=ada%2Bx%40example.org"));
    discovery_learn_nothing(&d);
    assert_true(asks_url("https://example.org/.well-known/autoconfig/mail/config-v1.1.xml"));
    discovery_learn_nothing(&d);
    assert_true(asks_dns(DNS_MX, "example.org"));
    discovery_learn_records(&d, &mx, 1);
    assert_true(asks_dns(DNS_A, "smtp.example.org"));
    discovery_learn_nothing(&d);
    assert_true(asks_dns(DNS_A, "mail.example.org"));
    discovery_learn_records(&d, &mx, 1);
    assert_true(is_done());
    assert_string_equal(d.host, "mail.example.org");
    assert_int_equal(d.port_count, 0);
}

static void nothing_may_be_found_and_bad_names_are_refused(void **state)
{
    struct discovery_question question;
    unsigned questions = 0;
    discovery_start(&d, BYTES("ada@example.org"));
    for (; discovery_next(&d, &question) && questions < 20; questions++)
        discovery_learn_nothing(&d);
    assert_int_equal(questions, 8);
    assert_string_equal(d.host, "");
    assert_false(discovery_start(&d, BYTES("ada@")));
    assert_false(discovery_start(&d, BYTES("ada@exa mple.org")));
    assert_false(discovery_start(&d, BYTES("ada@a/b.org")));
}

/* ---- the published file ---- */

static const char settings[] =
    "<?xml version='1.0'?><clientConfig version='1.1'><emailProvider "
    "id='example.org'><domain>example.org</domain>"
    "<incomingServer type='imap'><hostname>imap.example.org</hostname><port>993</port></incomingServer>"
    "<outgoingServer "
    "type='smtp'><hostname>mail.example.org</hostname><port>25</port><socketType>plain</socketType></"
    "outgoingServer>"
    "<outgoingServer type='smtp'><hostname> mail.example.org "
    "</hostname><port>465</port><socketType>SSL</socketType><username>%EMAILLOCALPART%</username></"
    "outgoingServer>"
    "<outgoingServer "
    "type='smtp'><hostname>mail.example.org</hostname><port>587</port><socketType>STARTTLS</socketType></"
    "outgoingServer>"
    "</emailProvider></clientConfig>";

static struct autoconfig found;

static void a_published_file_is_read(void **state)
{
    struct discovery_question question;
    assert_true(autoconfig_read(&found, bytes_of_text(settings)));
    assert_int_equal(found.count, 3);
    discovery_start(&d, BYTES("ada@example.org"));
    for (int i = 0; i < 3; i++) {
        assert_true(discovery_next(&d, &question));
        if (i < 2)
            discovery_learn_nothing(&d);
    }
    discovery_learn_settings(&d, found.servers, found.count);
    assert_true(is_done());
    assert_string_equal(d.host, "mail.example.org");
    assert_string_equal(d.user, "ada");
    assert_int_equal(d.port_count, 2); /* servers without TLS are skipped */
    assert_int_equal(d.ports[0].port, 465);
    assert_int_equal(d.ports[1].port, 587);
}

/* One outgoing server, and what is made of it for Ada.Lovelace@example.org; host "": it is passed over. */
static const struct {
    const char *fields, *host, *user;
    uint16_t port;
    enum client_tls tls;
} published[] = {
    {"<hostname>smtp.%EMAILDOMAIN%</hostname><port>587</port><socketType>STARTTLS</socketType>",
     "smtp.example.org", "Ada.Lovelace@example.org", 587, CLIENT_TLS_REQUIRED},
    {"<hostname>\n\t  %emaillocalpart%.mail.%EMAILHOSTNAME%\n  </hostname><port>\n 465 \n</port>"
     "<socketType>\n    ssl\n  </socketType><username>\n  %EMAILLOCALPART%+%EMAILDOMAIN%\n</username>",
     "Ada.Lovelace.mail.example.org", "Ada.Lovelace+example.org", 465, CLIENT_TLS_IMPLICIT},
    {"<hostname>a.example</hostname><port>587</port><socketType>starttls</socketType>"
     "<username>%EMAILADDRESS%</username>",
     "a.example", "Ada.Lovelace@example.org", 587, CLIENT_TLS_REQUIRED},
    {"<hostname>a.example</hostname><port>465</port><socketType>SSL/TLS</socketType>", "a.example",
     "Ada.Lovelace@example.org", 465, CLIENT_TLS_IMPLICIT},
    {"<socketType>TLS</socketType><hostname>a.example</hostname><port>465</port>", "a.example",
     "Ada.Lovelace@example.org", 465, CLIENT_TLS_IMPLICIT},
    {"<hostname>a.example</hostname><port>587</port><socketType>tls</socketType>", "a.example",
     "Ada.Lovelace@example.org", 587, CLIENT_TLS_REQUIRED},
    {"<hostname>a.example</hostname><port>587</port><socketType>Start-TLS</socketType>", "a.example",
     "Ada.Lovelace@example.org", 587, CLIENT_TLS_REQUIRED},
    {"<hostname>a.example</hostname><port>587</port><socketType>START_TLS</socketType>", "a.example",
     "Ada.Lovelace@example.org", 587, CLIENT_TLS_REQUIRED},
    {"<hostname>a.example</hostname><port>465</port><socketType>ssl-tls</socketType>", "a.example",
     "Ada.Lovelace@example.org", 465, CLIENT_TLS_IMPLICIT},
    {"<hostname>a.example</hostname><port>465</port><socketType>Implicit TLS</socketType>", "a.example",
     "Ada.Lovelace@example.org", 465, CLIENT_TLS_IMPLICIT},
    {"<hostname>a.example</hostname><port>2525</port><socketType>TLS/STARTTLS</socketType>", "a.example",
     "Ada.Lovelace@example.org", 2525, CLIENT_TLS_REQUIRED},
    {"<hostname>a.example</hostname><port>587</port><socketType><![CDATA[ STARTTLS ]]></socketType>",
     "a.example", "Ada.Lovelace@example.org", 587, CLIENT_TLS_REQUIRED},
    {"<hostname><!-- ours -->a.<![CDATA[exam]]>&#112;le<!-- --></hostname><port>587</port>"
     "<socketType>&#x53;SL</socketType><username>o&apos;neil &amp; co</username>",
     "a.example", "o'neil & co", 587, CLIENT_TLS_IMPLICIT},
    {"<hostname>\xc2\xa0 a.example\xe2\x80\x8b</hostname><port>\xc2\xa0"
     "587\xc2\xa0</port>"
     "<socketType>\xef\xbb\xbfSTARTTLS</socketType>",
     "a.example", "Ada.Lovelace@example.org", 587, CLIENT_TLS_REQUIRED},
    {"<hostname>a.example</hostname><port>587</port><socketType>STARTTLS if possible</socketType>", "", "", 0,
     0},
    {"<hostname>a.example</hostname><port>587</port><socketType>no-ssl</socketType>", "", "", 0, 0},
    {"<hostname>a.example</hostname><port>587</port><socketType>plain</socketType>", "", "", 0, 0},
    {"<hostname>a.example</hostname><port>587</port><socketType>PLAIN</socketType>", "", "", 0, 0},
    {"<hostname>a.example</hostname><port>587</port><socketType>none</socketType>", "", "", 0, 0},
    {"<hostname>a.example</hostname><port>587</port><socketType></socketType>", "", "", 0, 0},
    {"<hostname>a.example</hostname><port>587</port>", "", "", 0, 0},
    {"<hostname>a.example</hostname><port>25</port><socketType>TLS</socketType>", "", "", 0, 0},
    {"<hostname>%REALNAME%.example</hostname><port>587</port><socketType>STARTTLS</socketType>", "", "", 0,
     0},
};

/* What stands around the document, as scripts and editors write it. */
static void each_file_is_read_as_people_write_it(void **state)
{
    static const struct {
        const char *before, *prefix, *after;
    } files[] = {
        {"\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>", "", ""},
        {"\r\n \n<?xml version='1.0'?>\n<!-- by hand -->", "", "\n<!-- end -->\n"},
        {"<?xml version='1.0' encoding='windows-1252'?><?xml-stylesheet href='a.css'?>", "", ""},
        {"<?xml version='1.0' encoding='iso-8859-15'?>", "", "\xef\xbb\xbf"},
        {"", "m:", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        struct buffer text = {0};
        const char *p = files[i].prefix;
        buffer_add_format(&text,
                          "%s<%sclientConfig xmlns:m='urn:x' version='1.1'><%soutgoingServer type='smtp'>"
                          "<%shostname>a.example</%shostname><%sport>587</%sport><%ssocketType>STARTTLS"
                          "</%ssocketType></%soutgoingServer></%sclientConfig>%s",
                          files[i].before, p, p, p, p, p, p, p, p, p, p, files[i].after);
        if (!autoconfig_read(&found, buffer_bytes(&text)))
            fail_msg("%s", buffer_text(&text));
        assert_int_equal(found.count, 1);
        assert_text(found.servers[0].host, "a.example");
        assert_int_equal(found.servers[0].port, 587);
        assert_int_equal(found.servers[0].tls, CLIENT_TLS_REQUIRED);
        buffer_free(&text);
    }
}

static void each_field_is_read_as_people_write_it(void **state)
{
    struct discovery_question question;
    for (size_t i = 0; i < ARRAY_LENGTH(published); i++) {
        struct buffer text = {0};
        buffer_add_format(&text,
                          "<clientConfig><outgoingServer type=' SMTP'>%s</outgoingServer></clientConfig>",
                          published[i].fields);
        assert_true(autoconfig_read(&found, buffer_bytes(&text)));
        assert_int_equal(found.count, 1);
        discovery_start(&d, BYTES("Ada.Lovelace@example.org"));
        for (int k = 0; k < 3; k++) {
            assert_true(discovery_next(&d, &question));
            if (k < 2)
                discovery_learn_nothing(&d);
        }
        discovery_learn_settings(&d, found.servers, found.count);
        if (strcmp(d.host, published[i].host) != 0 || strcmp(d.user, published[i].user) != 0)
            fail_msg("%s: %s %s", published[i].fields, d.host, d.user);
        assert_int_equal(d.port_count, published[i].port == 0 ? 0 : 1);
        assert_int_equal(d.ports[0].port, published[i].port);
        assert_int_equal(d.ports[0].tls, published[i].tls);
        buffer_free(&text);
    }
}

static void hostile_files_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "no xml",
        "<html><body>not found</body></html>",
        "<clientConfig>",
        "<!DOCTYPE c [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><clientConfig>&b;</clientConfig>",
        "<!DOCTYPE c SYSTEM 'file:///etc/passwd'><clientConfig/>"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(autoconfig_read(&found, bytes_of_text(bad[i])));
    /* At the limits. */
    struct buffer text = {0};
    buffer_add_text(&text, "<clientConfig><outgoingServer type='smtp'><hostname>");
    for (int i = 0; i < AUTOCONFIG_TEXT_MAX; i++)
        buffer_add_octet(&text, 'a');
    size_t before = text.length;
    buffer_add_text(&text, "</hostname></outgoingServer></clientConfig>");
    assert_true(autoconfig_read(&found, buffer_bytes(&text)));
    assert_int_equal(found.servers[0].host.length, AUTOCONFIG_TEXT_MAX);
    text.length = before;
    buffer_add_text(&text, "a</hostname></outgoingServer></clientConfig>");
    assert_true(autoconfig_read(&found, buffer_bytes(&text)));
    assert_int_equal(found.servers[0].host.length, 0);
    buffer_clear(&text);
    buffer_add_text(&text, "<clientConfig>");
    for (int i = 0; i < AUTOCONFIG_SERVERS_MAX + 1; i++)
        buffer_add_text(&text, "<outgoingServer type='smtp'><hostname>a.example</hostname></outgoingServer>");
    buffer_add_text(&text, "</clientConfig>");
    assert_true(autoconfig_read(&found, buffer_bytes(&text)));
    assert_int_equal(found.count, AUTOCONFIG_SERVERS_MAX);
    while (text.length <= AUTOCONFIG_SIZE_MAX)
        buffer_add_octet(&text, ' ');
    assert_false(autoconfig_read(&found, buffer_bytes(&text)));
    text.length = AUTOCONFIG_SIZE_MAX;
    assert_true(autoconfig_read(&found, buffer_bytes(&text)));
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_services_come_first),
        cmocka_unit_test(the_better_of_two_services_gives_the_host),
        cmocka_unit_test(a_domain_may_say_that_it_has_none),
        cmocka_unit_test(a_known_provider_is_not_asked),
        cmocka_unit_test(a_url_is_never_cut),
        cmocka_unit_test(a_name_that_became_too_long_is_no_host),
        cmocka_unit_test(settings_then_the_exchanger_then_the_usual_names),
        cmocka_unit_test(nothing_may_be_found_and_bad_names_are_refused),
        cmocka_unit_test(a_published_file_is_read),
        cmocka_unit_test(each_file_is_read_as_people_write_it),
        cmocka_unit_test(each_field_is_read_as_people_write_it),
        cmocka_unit_test(hostile_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
