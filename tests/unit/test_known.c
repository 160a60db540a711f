/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of providers and networks, and the lookup of a mail address's server. */
#include "core/port/discovery.h"
#include "core/port/interceptor.h"
#include "core/port/network.h"
#include "core/port/port_facts.h"
#include "core/port/web_host.h"
#include "io/autoconfig.h"
#include "unit.h"

/* ---- providers ---- */

static const char *name_of(const struct provider *provider)
{
    return provider == NULL ? "nobody" : provider->name;
}

struct asked {
    const char *text, *answer;
};

static void check_all(const struct asked *cases, size_t count, const struct provider *(*look)(struct bytes))
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name_of(look(bytes_of_text(cases[i].text))), cases[i].answer) != 0)
            fail_msg("%s is of %s", cases[i].text, name_of(look(bytes_of_text(cases[i].text))));
}

static void hosts_find_their_provider(void **state)
{
    static const struct asked cases[] = {
        {"smtp.sendgrid.net", "SendGrid"},
        {"SMTP.SendGrid.Net.", "SendGrid"},
        {"SMTP.Gmail.com.", "Gmail"},
        {"smtp-relay.gmail.com", "Google Workspace relay"},
        {"email-smtp.eu-west-1.amazonaws.com", "Amazon SES"},
        {"email-smtp.us-gov-west-1.amazonaws.com.", "Amazon SES"},
        {"smtp.email.uk-london-1.oci.oraclecloud.com", "Oracle Cloud Email Delivery"},
        {"smtp-mail.outlook.com", "Outlook.com"},
        {"smtppro.zoho.eu", "Zoho Europe"},
        {"smtp.eu.mailgun.org", "Mailgun"},
        {"", "nobody"},
        {".", "nobody"},
        {"..", "nobody"},
        {"sendgrid.net", "nobody"},
        {"evilsmtp.gmail.com", "nobody"},
        {"a.smtp.sendgrid.net", "nobody"},
        {"smtp.sendgrid.net.evil.example", "nobody"},
        {"smtp.sendgrid.net..", "nobody"},
        {"email-smtp.amazonaws.com", "nobody"},
        {"email-smtp..amazonaws.com", "nobody"},
        {"email-smtp.a.b.amazonaws.com", "nobody"},
        {"email-smtp..amazonaws.com.evil", "nobody"},
        {"email-smtp.eu-west-1.amazonaws.com.example", "nobody"},
        {"smtp.gmail", "nobody"},
    };
    check_all(cases, ARRAY_LENGTH(cases), provider_by_host);
}

static void domains_find_their_provider(void **state)
{
    static const struct asked cases[] = {
        {"gmail.com", "Gmail"},
        {"GoogleMail.com.", "Gmail"},
        {"outlook.com", "Outlook.com"},
        {"hotmail.com", "Outlook.com"},
        {"live.com", "Outlook.com"},
        {"icloud.com", "iCloud"},
        {"me.com", "iCloud"},
        {"mac.com", "iCloud"},
        {"yahoo.com", "Yahoo"},
        {"yahoo.co.uk", "Yahoo"},
        {"fastmail.com", "Fastmail"},
        {"zoho.com", "Zoho"},
        {"zohomail.eu", "Zoho Europe"},
        {"aol.com", "AOL"},
        {"evilgmail.com", "nobody"},
        {"mail.gmail.com", "nobody"},
        {"gmail.com.example", "nobody"},
        {"gmail", "nobody"},
        {"google.com", "nobody"},
        {"", "nobody"},
        {".", "nobody"},
    };
    check_all(cases, ARRAY_LENGTH(cases), provider_by_domain);
}

static void an_exchanger_tells_where_a_domain_is_hosted(void **state)
{
    static const struct asked cases[] = {
        {"aspmx.l.google.com", "Gmail"},
        {"ALT1.ASPMX.L.GOOGLE.COM.", "Gmail"},
        {"aspmx2.googlemail.com", "Gmail"},
        {"smtp.google.com", "Gmail"},
        {"example-org.mail.protection.outlook.com.", "Microsoft 365"},
        {"example-org.k-v1.mx.microsoft", "Microsoft 365"},
        {"outlook-com.olc.protection.outlook.com", "Outlook.com"},
        {"in1-smtp.messagingengine.com", "Fastmail"},
        {"mx01.mail.icloud.com", "iCloud"},
        {"mx.zoho.com", "Zoho"},
        {"mx2.zoho.eu", "Zoho Europe"},
        {"mx3.zoho.in", "Zoho India"},
        {"mta5.am0.yahoodns.net", "Yahoo"},
        {"mx-apac.mail.gm0.yahoodns.net", "Yahoo"},
        {"mx-aol.mail.gm0.yahoodns.net", "AOL"},
        {"evilgoogle.com", "nobody"},
        {"mx.evilgoogle.com", "nobody"},
        {"google.com.example", "nobody"},
        {".google.com", "nobody"},
        {"oogle.com", "nobody"},
        {"protection.outlook.com", "nobody"},
        {"mx.example.org", "nobody"},
        {"", "nobody"},
        {".", "nobody"},
    };
    check_all(cases, ARRAY_LENGTH(cases), provider_by_mx);
}

static void people_find_providers_by_what_they_call_them(void **state)
{
    static const struct asked cases[] = {
        {"gmail", "Gmail"},
        {"Google Workspace", "Gmail"},
        {"ses", "Amazon SES"},
        {"aws ses", "Amazon SES"},
        {"sendinblue", "Brevo"},
        {"office 365", "Microsoft 365"},
        {"hotmail", "Outlook.com"},
        {"aol", "AOL"},
        {"", "nobody"},
        {"send", "nobody"},
        {"sendgridx", "nobody"},
        {",", "nobody"},
    };
    check_all(cases, ARRAY_LENGTH(cases), provider_by_name);
    for (size_t i = 0; i < provider_count; i++)
        assert_ptr_equal(provider_by_name(bytes_of_text(providers[i].name)), &providers[i]);
}

/* A name of the list; "*" is a label that only the customer knows. */
static bool is_host(struct bytes text)
{
    char room[DOMAIN_NAME_MAX];
    if (text.length > sizeof room)
        return false;
    memcpy(room, text.at, text.length);
    for (size_t i = 0; i < text.length; i++)
        room[i] = room[i] == '*' ? 'x' : room[i];
    return host_parse(bytes_of(room, text.length), false) == HOST_NAME && bytes_find(text, '.') != SIZE_MAX;
}

static void check_list(const struct provider *p, const char *list,
                       const struct provider *(*look)(struct bytes))
{
    for (struct bytes rest = bytes_of_text(list); rest.length > 0;) {
        struct bytes one = bytes_split(&rest, ',');
        /* and nothing belongs to two */
        if (!is_host(one) || (bytes_find(one, '*') == SIZE_MAX && look(one) != p))
            fail_msg("%s: %.*s", p->name, BYTES_ARG(one));
    }
}

static void each_provider_is_whole(void **state)
{
    for (size_t i = 0; i < provider_count; i++) {
        const struct provider *p = &providers[i];
        bool none = p->starttls[0] == 0 && p->implicit[0] == 0;
        assert_int_equal(none, !provider_has_smtp(p));
        assert_int_equal(none, p->hosts[0] == '\0');
        assert_true(none || p->starttls[0] == 587 || p->starttls[0] == 2525 || p->implicit[0] == 465);
        assert_true(p->implicit[0] == 465 || p->implicit[0] == 0);
        assert_int_equal(p->starttls[PROVIDER_PORTS_MAX - 1], 0); /* each list has its end */
        assert_int_equal(p->implicit[PROVIDER_PORTS_MAX - 1], 0);
        assert_false(provider_offers(p, 25)); /* nobody submits on 25 */
        assert_false(provider_offers(p, 0));
        for (size_t k = 0; k < PROVIDER_PORTS_MAX && p->starttls[k] != 0; k++)
            assert_int_equal(port_tls(p->starttls[k]), CLIENT_TLS_REQUIRED);
        for (size_t k = 0; k < PROVIDER_PORTS_MAX && p->implicit[k] != 0; k++)
            assert_int_equal(port_tls(p->implicit[k]), CLIENT_TLS_IMPLICIT);
        assert_true(p->source[0] != '\0' && p->user[0] != '\0' && p->password[0] != '\0');
        assert_true(p->confidence == 'A' || p->confidence == 'B');
        assert_int_equal(p->unclear[PROVIDER_PORTS_MAX - 1], 0);
        for (size_t k = 0; k < PROVIDER_PORTS_MAX && p->unclear[k] != 0; k++)
            assert_true(!provider_offers(p, p->unclear[k]) && !provider_lacks(p, p->unclear[k]) &&
                        port_tls_is_known(p->unclear[k]));
        check_list(p, p->hosts, provider_by_host);
        check_list(p, p->domains, provider_by_domain);
        check_list(p, p->mx, provider_by_mx);
        assert_true(p->https[0] == '\0' || is_host(bytes_of_text(p->https)));
    }
    assert_false(provider_offers(provider_by_name(BYTES("postmark")), 465));
    assert_true(provider_lacks(provider_by_name(BYTES("gmail")), 2525));
    assert_false(provider_lacks(provider_by_name(BYTES("mailersend")), 2525));
    assert_false(provider_has_smtp(provider_by_domain(BYTES("tuta.com"))));
    assert_true(provider_offers(provider_by_name(BYTES("ses")), 2465));
    assert_int_equal(provider_host(provider_by_name(BYTES("ses"))).length, 0);
}

static void a_mistyped_host_is_near_to_the_one_that_was_meant(void **state)
{
    static const struct asked cases[] = {
        {"smtp.gmial.com", "smtp.gmail.com"},
        {"smtp.gmal.com", "smtp.gmail.com"},
        {"SMTP.GMAILL.COM.", "smtp.gmail.com"},
        {"smtp.gmail.co", "smtp.gmail.com"},
        {"smtp.gmail.con", "smtp.gmail.com"},
        {"stmp.gmail.com", "smtp.gmail.com"},
        {"smpt.gmail.com", "smtp.gmail.com"},
        {"imap.gmail.com", "smtp.gmail.com"},
        {"pop.gmail.com", "smtp.gmail.com"},
        {"imap.gmial.com", "smtp.gmail.com"},
        {"mail.google.com", "smtp.gmail.com"},
        {"smtp.office356.com", "smtp.office365.com"},
        {"smtp.ofice365.com", "smtp.office365.com"},
        {"outlook.office365.com", "smtp.office365.com"},
        {"smtp.mail.yaho.com", "smtp.mail.yahoo.com"},
        {"imap.mail.me.com", "smtp.mail.me.com"},
        {"imap.web.de", "smtp.web.de"},
        {"smtp.sendgird.net", "smtp.sendgrid.net"},
        {"smtp.sendgrid.ne", "smtp.sendgrid.net"},
        {"smtp.zoho.com.au", ""},
        {"imap.zoho.com.au", "smtp.zoho.com.au"},
        /* a provider's own, another's, or nobody's slip */
        {"smtp.gmail.com", ""},
        {"smtp.office365.com", ""},
        {"smtp-mail.outlook.com", ""},
        {"gmail.com", ""},
        {"smtp.mail.com", ""},
        {"smtp.email.com", ""},
        {"smtp.ymail.com", ""},
        {"smtp.libera.it", ""},
        {"smtp.gmail.com.example.org", ""},
        {"smtp.gmail.de", ""},
        {"smtp.yahoo.co.jp", ""},
        {"www.gmail.com", ""},
        {"smtp.gm.com", ""},
        {"smtp.gmxxl.com", ""},
        {"mail.example.org", ""},
        {"smtp.weg.de", ""},
        {"gmial.com", ""},
        {"localhost", ""},
        {"192.0.2.1", ""},
        {"", ""},
        {".", ""},
        {"...", ""},
        {"smtp..com", ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bytes near = provider_near(bytes_of_text(cases[i].text));
        if (!bytes_is(near, cases[i].answer))
            fail_msg("%s is near to '%.*s'", cases[i].text, BYTES_ARG(near));
    }
    for (size_t i = 0; i < provider_count; i++) /* none is near to another */
        for (struct bytes rest = bytes_of_text(providers[i].hosts); rest.length > 0;)
            assert_int_equal(provider_near(bytes_split(&rest, ',')).length, 0);
}

/* ---- web hosts, scanners ---- */

static const char *web_host_name(const struct web_host *host)
{
    return host == NULL ? "nobody" : host->name;
}

static void a_web_host_gives_itself_away(void **state)
{
    static const struct asked cases[] = {
        {"220-p3plcpnl0001.prod.phx3.secureserver.net ESMTP Exim 4.96 #2", "GoDaddy, cPanel plans"},
        {"*.prod.phx3.secureserver.net, prod.phx3.secureserver.net", "GoDaddy, cPanel plans"},
        {"220 gator4123.HostGator.com. ESMTP", "HostGator"},
        {"server212.web-hosting.com", "Namecheap shared hosting"},
        {"250-box5501.bluehost.com Hello host [192.0.2.1]", "Bluehost"},
        {"220 smtp.gmail.com ESMTP", "nobody"},
        {"220 evilsecureserver.net ESMTP", "nobody"},
        {"220 secureserver.net.example.org ESMTP", "nobody"},
        {"", "nobody"},
        {"220-", "nobody"},
        {"...", "nobody"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (strcmp(web_host_name(web_host_by_answer(bytes_of_text(cases[i].text))), cases[i].answer) != 0)
            fail_msg("%s is of %s", cases[i].text,
                     web_host_name(web_host_by_answer(bytes_of_text(cases[i].text))));
    for (size_t i = 0; i < web_host_count; i++) {
        const struct web_host *h = &web_hosts[i];
        assert_ptr_equal(web_host_by_name(bytes_of_text(h->name)), h);
        assert_true(h->source[0] != '\0' && (h->confidence == 'A' || h->confidence == 'B'));
        assert_int_equal(h->blocked & h->open, 0);
        assert_int_equal(h->blocked == 0, h->mechanism == WEB_HOST_OPEN || h->mechanism == WEB_HOST_UNKNOWN);
        assert_true(web_host_mechanism_words(h->mechanism)[0] != '\0');
        for (struct bytes rest = bytes_of_text(h->names); rest.length > 0;)
            assert_ptr_equal(web_host_by_answer(bytes_split(&rest, ',')), h);
    }
    assert_string_equal(web_host_name(web_host_by_name(BYTES("cPanel"))), "cPanel SMTP Restrictions");
    assert_null(web_host_by_name(BYTES("")));
}

static void a_scanner_names_itself_in_the_issuer(void **state)
{
    static const struct {
        const char *issuer, *host, *answer;
    } cases[] = {
        {"OU=generated by Avast Antivirus for SSL/TLS scanning, O=Avast Web/Mail Shield, CN=Avast Web/Mail "
         "Shield Root",
         "smtp.gmail.com", "Avast"},
        {"O=AVG Web/Mail Shield, CN=AVG Web/Mail Shield Root", "smtp.gmail.com", "AVG"},
        {"O=FORTINET, OU=Certificate Authority, CN=FGT60E0000000000", "smtp.gmail.com", "Fortinet FortiGate"},
        {"O=Fortinet, CN=Fortinet CA", "mail.fortinet.com", NULL},
        {"O=Fortinet, CN=Fortinet CA", "mail.fortinetfans.example", "Fortinet FortiGate"},
        {"O=Zscaler Inc., CN=Zscaler Intermediate Root CA (zscloud.net) (t)", "mail.example.org", "Zscaler"},
        {"O=AO Kaspersky Lab, CN=Kaspersky Anti-Virus Personal Root Certificate", "smtp.web.de", "Kaspersky"},
        {"O=Let's Encrypt, CN=R3", "smtp.gmail.com", NULL},
        {"O=Ravgen, CN=Ravgen CA", "smtp.gmail.com", NULL},
        {"", "smtp.gmail.com", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct interceptor *found = interceptor_by_issuer(bytes_of_text(cases[i].issuer),
                                                                bytes_of_text(cases[i].host));
        if (found == NULL ? cases[i].answer != NULL
                          : cases[i].answer == NULL || strcmp(found->name, cases[i].answer) != 0)
            fail_msg("%s", cases[i].issuer);
    }
    for (size_t i = 0; i < interceptor_count; i++) {
        const struct interceptor *n = &interceptors[i];
        assert_true(n->words[0] != '\0' && n->own[0] != '\0' && n->source[0] != '\0');
        assert_true(n->confidence == 'A' || n->confidence == 'B');
        assert_ptr_equal(interceptor_by_name(bytes_of_text(n->name)), n);
        assert_true(interceptor_kind_words(n->kind)[0] != '\0' && interceptor_advice(n->kind)[0] != '\0');
    }
}

/* ---- ports ---- */

static void the_mode_of_known_ports_is_no_guess(void **state)
{
    static const uint16_t known[] = {25, 80, 443, 465, 587, 588, 2465, 2525, 2587, 8025, 8465};
    static const uint16_t implicit[] = {443, 465, 2465, 8465, 10465};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        assert_true(port_tls_is_known(known[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(implicit); i++)
        assert_int_equal(port_tls(implicit[i]), CLIENT_TLS_IMPLICIT);
    assert_false(port_tls_is_known(10465) || port_tls_is_known(1587) || port_tls_is_known(0));
    assert_int_equal(port_tls(25), CLIENT_TLS_OPPORTUNISTIC);
    assert_int_equal(port_tls(8025), CLIENT_TLS_REQUIRED);
    assert_int_equal(port_tls(1587), CLIENT_TLS_REQUIRED);
    for (size_t i = 0; i < ARRAY_LENGTH(port_facts); i++)
        assert_true(port_facts[i].source[0] != '\0' && port_facts[i].confidence >= 'A' &&
                    port_facts[i].confidence <= 'C');
    for (const struct port_other *o = port_others; o->port != 0; o++)
        assert_true(o->source[0] != '\0' && o->confidence >= 'A' && o->confidence <= 'C' &&
                    port_facts_of(o->port) == NULL);
    for (size_t i = 0; i < provider_count; i++) /* every port of every provider can be asked for */
        for (size_t k = 0; k < PROVIDER_PORTS_MAX; k++)
            assert_true((providers[i].starttls[k] == 0 || port_tls_is_known(providers[i].starttls[k])) &&
                        (providers[i].implicit[k] == 0 || port_tls_is_known(providers[i].implicit[k])));
}

/* ---- networks ---- */

/* One letter a port, in the order 25, 465, 587, 2525: 'a' answers, 's' silent, '-' neither. */
static struct port_pattern pattern_of(const char *letters)
{
    static const uint16_t ports[] = {25, 465, 587, 2525};
    struct port_pattern pattern = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(ports); i++) {
        pattern.silent |= letters[i] == 's' ? network_bit(ports[i]) : 0;
        pattern.answers |= letters[i] == 'a' ? network_bit(ports[i]) : 0;
    }
    return pattern;
}

#define ALL_SILENT                                                                                     \
    "all four are silent: either there is no mail server, or this network blocks outgoing mail, like " \
    "Railway, Cloudzy or MMITech; use HTTPS: "
#define MOST_AND_ALL \
    "the usual block of DigitalOcean, Linode, Scaleway, Render, Railway, Cloudzy or MMITech; "

static const struct {
    const char *seen, *provider, *sentence;
} patterns[] = {
    {"sssa", "",
     "25, 465 and 587 are silent, 2525 answers: the usual block of DigitalOcean, Linode, Scaleway or "
     "Render"},
    /* 25 is not tried to submit */
    {"-ssa", "",
     "465 and 587 are silent, 2525 answers: the usual block of DigitalOcean, Linode, Scaleway or Render"},
    {"ssaa", "",
     "25 and 465 are silent, 587 and 2525 answer: the usual block of Hetzner Cloud, Zerops or ZHnet"},
    {"-saa", "", "465 is silent, 587 and 2525 answer: the usual block of Hetzner Cloud, Zerops or ZHnet"},
    {"saaa", "",
     "only 25 is silent: nearly every cloud and home network blocks it; submission does not need it"},
    /* "only" would be a guess */
    {"s---", "", "25 is silent: nearly every cloud and home network blocks it; submission does not need it"},
    {"ssss", "", ALL_SILENT "a sending service accepts mail through its HTTPS API"},
    {"ssss", "sendgrid", ALL_SILENT "SendGrid accepts mail at https://api.sendgrid.com"},
    {"ssss", "yahoo",
     "25, 465 and 587 are silent: " MOST_AND_ALL
     "use HTTPS: a sending service accepts mail through its HTTPS API"},
    {"ssss", "smtp2go",
     ALL_SILENT
     "SMTP2GO accepts mail at https://api.smtp2go.com; SMTP2GO also listens on 8025, 80, 8465 and 443"},
    /* Amazon has no 2525: that it is silent says nothing. */
    {"ssss", "ses",
     "25, 465 and 587 are silent: " MOST_AND_ALL
     "use HTTPS: Amazon SES accepts mail at https://email.REGION.amazonaws.com; Amazon SES also listens on "
     "2587 and 2465"},
    {"-ss-", "", "465 and 587 are silent: " MOST_AND_ALL "most of them let 2525 through"},
    /* Postmark has no 465, Microsoft neither 465 nor 2525. */
    {"asaa", "postmark", ""},
    {"-saa", "postmark", ""},
    {"ssaa", "postmark",
     "only 25 is silent: nearly every cloud and home network blocks it; submission does not need it"},
    {"-sas", "microsoft", ""},
    {"-sss", "microsoft",
     "587 is silent: " MOST_AND_ALL "use HTTPS: Microsoft 365 accepts mail at https://graph.microsoft.com"},
    /* No match: nothing is claimed. */
    {"aaaa", "", ""},
    {"----", "", ""},
    {"aaas", "", ""},
    {"asss", "", ""},
    {"sasa", "", ""},
    {"aasa", "", ""},
    {"--s-", "", ""},
    {"--s-", "sendgrid", ""},
    {"---s", "", ""},
    {"-s--", "", ""},
    {"saas", "", ""},
    {"ssas", "", ""},
    {"assa", "", ""},
};

static void a_pattern_is_a_signature(void **state)
{
    for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) {
        struct port_pattern pattern = pattern_of(patterns[i].seen);
        struct buffer out = {0};
        network_explain(&pattern, provider_by_name(bytes_of_text(patterns[i].provider)), &out);
        if (strcmp(buffer_text(&out), patterns[i].sentence) != 0)
            fail_msg("%s %s: %s", patterns[i].seen, patterns[i].provider, buffer_text(&out));
        buffer_free(&out);
    }
    assert_int_equal(network_bit(2587), 0);
    assert_int_equal(network_bit(0), 0);
}

static const char *network_name(const struct network *network)
{
    return network == NULL ? "nobody" : network->name;
}

static void networks_are_found_by_name(void **state)
{
    for (size_t i = 0; i < network_count; i++) {
        const struct network *n = &networks[i];
        assert_ptr_equal(network_by_name(bytes_of_text(n->name)), n);
        assert_true(n->silent == 0 || (n->silent & BLOCKS_25) != 0);
        assert_true(n->lifted[0] != '\0' && n->source[0] != '\0');
        assert_true(n->confidence == 'A' || n->confidence == 'B');
        for (struct bytes rest = bytes_of_text(n->environment); rest.length > 0;)
            assert_ptr_equal(network_by_environment(bytes_split(&rest, ',')), n);
        for (struct bytes rest = bytes_of_text(n->vendors); rest.length > 0;)
            assert_ptr_equal(network_by_vendor(bytes_split(&rest, ',')), n);
    }
    assert_string_equal(network_name(network_by_name(BYTES("digital ocean"))), "DigitalOcean");
    assert_string_equal(network_name(network_by_name(BYTES("GCP"))), "Google Cloud");
    assert_null(network_by_name(BYTES("")));
    assert_null(network_by_name(BYTES("ocean")));
    assert_null(network_by_environment(BYTES("render")));
    assert_null(network_by_environment(BYTES("")));
}

static void firmware_tells_the_cloud(void **state)
{
    static const struct asked cases[] = {
        {"DigitalOcean Droplet", "DigitalOcean"},
        {"Amazon EC2 t3.micro", "AWS"},
        {"Xen HVM domU Xen 4.11.amazon", "AWS"},
        {"Google Google Compute Engine", "Google Cloud"},
        {"Microsoft Corporation Virtual Machine 7783-7084-3265-9085-8269-3286-77", "Azure"},
        {"Hetzner vServer", "Hetzner Cloud"},
        {"Vultr VC2", "Vultr"},
        {"Linode Compute Instance", "Linode"},
        {"Akamai Compute Instance", "Linode"},
        {"Scaleway SCW-PLAY2", "Scaleway"},
        {"QEMU Standard PC OracleCloud.com", "Oracle Cloud"},
        {"", "nobody"},
        {"QEMU Standard PC (i440FX + PIIX, 1996)", "nobody"},
        {"Microsoft Corporation Surface Laptop 4", "nobody"},
        {"Microsoft Corporation Virtual Machine", "nobody"}, /* Hyper-V on somebody's own machine */
        {"Google Eve", "nobody"},
        {"innotek GmbH VirtualBox Oracle Corporation", "nobody"},
        {"LENOVO 20XW", "nobody"},
        {"HUAWEICLOUD", "Huawei Cloud"},
        {"HUAWEI MateBook", "nobody"},
        {"Alibaba Cloud ECS", "Alibaba Cloud"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        if (strcmp(network_name(network_by_vendor(bytes_of_text(cases[i].text))), cases[i].answer) != 0)
            fail_msg("%s is of %s", cases[i].text,
                     network_name(network_by_vendor(bytes_of_text(cases[i].text))));
    assert_null(network_by_vendor(bytes_none()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_find_their_provider),
        cmocka_unit_test(domains_find_their_provider),
        cmocka_unit_test(an_exchanger_tells_where_a_domain_is_hosted),
        cmocka_unit_test(people_find_providers_by_what_they_call_them),
        cmocka_unit_test(each_provider_is_whole),
        cmocka_unit_test(a_mistyped_host_is_near_to_the_one_that_was_meant),
        cmocka_unit_test(a_web_host_gives_itself_away),
        cmocka_unit_test(a_scanner_names_itself_in_the_issuer),
        cmocka_unit_test(the_mode_of_known_ports_is_no_guess),
        cmocka_unit_test(a_pattern_is_a_signature),
        cmocka_unit_test(networks_are_found_by_name),
        cmocka_unit_test(firmware_tells_the_cloud),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
