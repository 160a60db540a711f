/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/web_host.h"

enum { MAIL = BLOCKS_25 | BLOCKS_465 | BLOCKS_587, SUBMISSION = BLOCKS_465 | BLOCKS_587 };

#define PHP_MAIL "PHP's mail()"

const struct web_host web_hosts[] = {
    {"cPanel SMTP Restrictions", "cpanel,whm,smtp restrictions,smtp tweak", WEB_HOST_REDIRECTS, MAIL,
     BLOCKS_2525, "the machine's own mail server, with a mailbox made there", "",
     "by the server's owner: WHM, Security Center, SMTP Restrictions, Disable",
     "its own Exim answers, greeting us by the machine's own address, with a certificate for the web host's "
     "name",
     "", "support.cpanel.net 360052429614", 'A'},
    {"csf SMTP_BLOCK", "csf,configserver firewall,juggernaut,smtp_block", WEB_HOST_REFUSES, MAIL, 0,
     "the machine's own mail server, with a mailbox made there", "",
     "by the server's owner: SMTP_BLOCK or SMTP_ALLOWUSER in csf.conf",
     "with SMTP_REDIRECT = 1 they are redirected instead; 2525 passes where TCP_OUT names it", "",
     "csf.conf; docs.danami.com/juggernaut", 'A'},
    {"csf TCP_OUT", "tcp_out,csf list of ports", WEB_HOST_REFUSES, BLOCKS_465 | BLOCKS_2525,
     BLOCKS_25 | BLOCKS_587, "", "",
     "by the server's owner: add 465,2525 to TCP_OUT and TCP6_OUT in csf.conf",
     "on by default; 587 passes, 465 and 2525 are refused on IPv4 and IPv6 alike", "",
     "csf.conf; craftcms/cms#3834", 'A'},
    {"GoDaddy, cPanel plans", "godaddy", WEB_HOST_REDIRECTS, MAIL, 0,
     "localhost port 25, or relay-hosting.secureserver.net port 25, without sign-in or TLS", "", "", "",
     "secureserver.net", "PHPMailer#1488, #1472", 'B'},
    {"GoDaddy, WordPress and Windows plans", "godaddy,godaddy wordpress,managed wordpress", WEB_HOST_REFUSES,
     MAIL, 0, "relay-hosting.secureserver.net port 25, without sign-in or TLS, from there only", "", "never",
     PHP_MAIL " works; their own smtpout.secureserver.net is refused, too", "", "PHPMailer#770, #1427, #2974",
     'B'},
    {"GoDaddy, VPS and dedicated servers", "godaddy,godaddy vps", WEB_HOST_BLOCKED, BLOCKS_25, 0,
     "a relay of theirs for port 25", "1000 messages a day, 5000 when asked", "through a support ticket", "",
     "", "godaddy.com/help/3399", 'B'},
    {"HostGator", "", WEB_HOST_REDIRECTS, MAIL, 0, "mail.DOMAIN on 465, 587 or 26", "", "", "on shared plans",
     "hostgator.com", "PHPMailer#1531, #1327", 'B'},
    {"Bluehost", "", WEB_HOST_OPEN, 0, MAIL, "mail.DOMAIN on 465", "500 messages an hour and domain", "", "",
     "bluehost.com", "nanopo.st/hosting/bluehost", 'B'},
    {"Namecheap shared hosting", "namecheap", WEB_HOST_UNKNOWN, 0, 0, "serverN.web-hosting.com on 465 or 587",
     "", "", "use that very name: the certificate has it", "web-hosting.com", "PHPMailer#3263, #1115", 'B'},
    {"Natro", "", WEB_HOST_REDIRECTS, MAIL, 0, "", "", "", "", "natrohost.com", "greetings quoted in reports",
     'B'},
    {"IONOS shared hosting", "ionos,1&1,1und1", WEB_HOST_BLOCKED, MAIL, 0, PHP_MAIL, "", "",
     "to all servers, its own included; the sender must be of a domain of the contract, else \"Sender "
     "address is not allowed\"",
     "", "PHPMailer#816, #910; ionos.de/hilfe for the sender", 'B'},
    {"DreamHost shared hosting", "dreamhost", WEB_HOST_BLOCKED, BLOCKS_25, BLOCKS_587,
     "smtp.dreamhost.com on 587 or 465",
     "100 recipients an hour and address: \"Policy Rejection - Quota Exceeded\"", "",
     "the sender must be of a domain hosted there, else 5.7.1 \"Sender domain not allowed\"", "dreamhost.com",
     "nanopo.st; help.dreamhost.com 215036118 for the sender", 'B'},
    {"WP Engine", "wpengine", WEB_HOST_BLOCKED, BLOCKS_25 | BLOCKS_587, 0, PHP_MAIL ", by MailChannels",
     "not published", "", "they advise a sending service's HTTPS API", "",
     "PHPMailer#987, howto.tinyfrog.com", 'B'},
    {"Kinsta", "", WEB_HOST_BLOCKED, BLOCKS_25, SUBMISSION | BLOCKS_2525, PHP_MAIL ", by MailChannels",
     "150, 1000 or 3000 messages a day, by plan", "",
     "an older text of the same page has 465 and 587 blocked", "",
     "nanopo.st/hosting/kinsta; kinsta.com/docs for the limits", 'B'},
    {"Flywheel", "getflywheel", WEB_HOST_UNKNOWN, 0, 0, PHP_MAIL ", by partners", "by month and site", "", "",
     "", "getflywheel.com", 'A'},
    {"Pantheon", "", WEB_HOST_OPEN, 0, MAIL, "a local Postfix, unreliable", "", "",
     "its addresses change and have no reverse names: they advise a sending service's HTTPS API", "",
     "nanopo.st/hosting/pantheon", 'B'},
    {"Upsun", "platform.sh,platformsh", WEB_HOST_BLOCKED, BLOCKS_25, SUBMISSION,
     "$PLATFORM_SMTP_HOST port 25, without sign-in", "12000 messages a month and environment", "",
     "environment:info enable_smtp true; off except in production", "", "platformsh-docs", 'A'},
    {"OVH web hosting", "ovh,ovhcloud", WEB_HOST_OPEN, 0, MAIL, PHP_MAIL ", or ssl0.ovh.net", "", "",
     PHP_MAIL " is stopped when the control panel shows Bounce or SPAM", "", "docs.ovhcloud.com", 'A'},
    {"lima-city", "", WEB_HOST_BLOCKED, BLOCKS_25, BLOCKS_587, "", "", "never", "since 1 April 2016", "",
     "blog.lima-city.de", 'A'},
    {"(mt) Media Temple Grid", "media temple,mediatemple", WEB_HOST_BLOCKED, BLOCKS_25, SUBMISSION,
     "localhost", "", "", "", "", "its own page", 'A'},
    {"UnderHost", "", WEB_HOST_BLOCKED, BLOCKS_25, SUBMISSION, "localhost", "", "", "", "", "its own page",
     'A'},
};
const size_t web_host_count = ARRAY_LENGTH(web_hosts);

bool web_host_is_called(const struct web_host *host, struct bytes name)
{
    if (bytes_is_nocase(name, host->name))
        return true;
    for (struct bytes rest = bytes_of_text(host->aliases); rest.length > 0;)
        if (bytes_equal_nocase(name, bytes_split(&rest, ',')))
            return true;
    return false;
}

const struct web_host *web_host_by_name(struct bytes name)
{
    for (size_t i = 0; i < web_host_count; i++)
        if (web_host_is_called(&web_hosts[i], name))
            return &web_hosts[i];
    return NULL;
}

/* ---- names in a text ---- */

static bool is_of_name(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '.';
}

/* Returns the next run of host name characters; "220-host" begins with a code. */
static struct bytes next_word(struct bytes *text)
{
    size_t from = 0;
    while (from < text->length && !is_of_name(text->at[from]))
        from++;
    size_t to = from;
    while (to < text->length && is_of_name(text->at[to]))
        to++;
    struct bytes word = bytes_of(text->at + from, to - from);
    *text = bytes_from(*text, to);
    if (word.length > 4 && ascii_is_digit(word.at[0]) && ascii_is_digit(word.at[1]) &&
        ascii_is_digit(word.at[2]) && word.at[3] == '-')
        word = bytes_from(word, 4);
    while (word.length > 0 && word.at[word.length - 1] == '.')
        word = bytes_first(word, word.length - 1);
    return word;
}

static bool is_below(struct bytes name, struct bytes domain)
{
    if (name.length < domain.length)
        return false;
    size_t more = name.length - domain.length;
    return bytes_equal_nocase(bytes_from(name, more), domain) && (more == 0 || name.at[more - 1] == '.');
}

static bool has_name(const struct web_host *host, struct bytes text)
{
    while (text.length > 0) {
        struct bytes word = next_word(&text);
        for (struct bytes rest = bytes_of_text(host->names); word.length > 0 && rest.length > 0;)
            if (is_below(word, bytes_split(&rest, ',')))
                return true;
    }
    return false;
}

const struct web_host *web_host_by_answer(struct bytes text)
{
    for (size_t i = 0; i < web_host_count; i++)
        if (has_name(&web_hosts[i], text))
            return &web_hosts[i];
    return NULL;
}

const char *web_host_mechanism_words(enum web_host_mechanism mechanism)
{
    switch (mechanism) {
    case WEB_HOST_UNKNOWN: return "not known";
    case WEB_HOST_OPEN: return "not blocked";
    case WEB_HOST_BLOCKED: return "blocked";
    case WEB_HOST_REDIRECTS: return "redirected to the machine's own mail server";
    case WEB_HOST_REFUSES: return "refused at once";
    }
    return "";
}
