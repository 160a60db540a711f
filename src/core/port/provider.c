/* SPDX-License-Identifier: Apache-2.0 */
#include "core/port/provider.h"

#include "core/dns/dns_name.h"

#define ADDRESS "your full mail address"
#define APPLICATION_PASSWORD "an application password made in the account's settings"

// clang-format off
const struct provider providers[] = {
    {"SendGrid", "twilio sendgrid,twilio", "smtp.sendgrid.net", {587, 2525}, {465}, "the word apikey",
     "the API key", "apikey", "", "", "api.sendgrid.com", "", "twilio.com/docs/sendgrid", 'A'},
    {"Mailgun", "", "smtp.mailgun.org,smtp.eu.mailgun.org", {587, 2525}, {465},
     "the full SMTP address of the domain, as postmaster@mg.example.org", "its SMTP password", NULL, "", "",
     "api.mailgun.net", "accounts in Europe use smtp.eu.mailgun.org", "documentation.mailgun.com", 'A'},
    {"Postmark", "", "smtp.postmarkapp.com,smtp-broadcasts.postmarkapp.com", {587, 2525}, {0},
     "the server token", "the same server token", NULL, "", "", "api.postmarkapp.com",
     "465 is silent there: it does not exist; it is not blocked", "postmarkapp.com/support", 'A'},
    {"Amazon SES", "ses,aws ses,aws,amazon,amazon simple email service", "email-smtp.*.amazonaws.com",
     {587, 2587}, {465, 2465}, "the SMTP user name made in the SES console (not the access key)",
     "its SMTP password", NULL, "", "", "email.REGION.amazonaws.com",
     "2525 does not exist there; 2587 is the alternative", "docs.aws.amazon.com/ses", 'A'},
    {"Resend", "", "smtp.resend.com", {587, 2587}, {465, 2465}, "the word resend", "the API key", "resend",
     "", "", "api.resend.com", "2525 does not exist there; 2587 is the alternative", "resend.com/docs", 'A'},
    {"SparkPost", "bird,sparkpost (bird)", "smtp.sparkpostmail.com,smtp.eu.sparkpostmail.com", {587, 2525},
     {0}, "the word SMTP_Injection", "an API key with permission to send by SMTP", "SMTP_Injection", "", "",
     "api.sparkpost.com", "there is no 465", "developers.sparkpost.com", 'A'},
    {"Brevo", "sendinblue", "smtp-relay.brevo.com,smtp-relay.sendinblue.com", {587, 2525}, {465},
     "the SMTP login shown in the account", "an SMTP key (not the account's password)", NULL, "", "",
     "api.brevo.com", "", "developers.brevo.com", 'A'},
    {"Mailjet", "", "in-v3.mailjet.com", {587, 2525, 588, 80}, {465}, "the API key", "the secret key", NULL,
     "", "", "api.mailjet.com", "", "dev.mailjet.com", 'B'},
    {"SMTP2GO", "", "mail.smtp2go.com", {587, 2525, 8025, 80}, {465, 8465, 443}, "the SMTP user",
     "its password", NULL, "", "", "api.smtp2go.com", "", "developers.smtp2go.com", 'A'},
    {"Elastic Email", "elasticemail", "smtp.elasticemail.com", {587, 2525}, {465},
     "the SMTP user, usually the account's address", "the SMTP password", NULL, "", "",
     "api.elasticemail.com", "", "help.elasticemail.com", 'A'},
    {"Mandrill", "mailchimp,mailchimp transactional", "smtp.mandrillapp.com", {587, 2525}, {465},
     "any text, usually the account's address", "an API key", NULL, "", "", "mandrillapp.com", "",
     "mailchimp.com/developer", 'A'},
    {"MailChannels", "", "smtp.mailchannels.net", {587, 2525}, {465}, "the account", "its SMTP password",
     NULL, "", "", "api.mailchannels.net", "", "docs.mailchannels.net", 'A'},
    {"Oracle Cloud Email Delivery", "oracle,oci,oracle email delivery,oci email delivery",
     "smtp.email.*.oci.oraclecloud.com", {587}, {0}, "the SMTP credential's user name", "its password", NULL,
     "", "", "", "", "docs.oracle.com", 'B'},
    {"Gmail", "google,googlemail,google mail,google workspace,workspace,g suite,gsuite",
     "smtp.gmail.com,smtp-relay.gmail.com", {587}, {465}, ADDRESS,
     APPLICATION_PASSWORD " (2-step verification must be on), or OAuth2", NULL, "gmail.com,googlemail.com",
     "google.com,googlemail.com", "gmail.googleapis.com", "", "support.google.com/mail", 'A'},
    {"Microsoft 365",
     "office 365,office365,m365,o365,outlook,outlook.com,hotmail,live,microsoft,exchange online",
     "smtp.office365.com,smtp-mail.outlook.com", {587}, {0}, ADDRESS,
     "OAuth2: passwords end in 2026 and 2027 (550 5.7.30)", NULL,
     "outlook.com,hotmail.com,live.com,msn.com,windowslive.com,outlook.de,outlook.fr,outlook.es,outlook.it,hotmail.de,hotmail.fr,hotmail.es,hotmail.it,hotmail.co.uk,live.de,live.fr,live.co.uk",
     "mail.protection.outlook.com,mx.microsoft,olc.protection.outlook.com", "graph.microsoft.com",
     "465 is silent there: it does not exist; it is not blocked", "learn.microsoft.com/exchange", 'B'},
    {"iCloud", "apple,icloud mail,me.com", "smtp.mail.me.com", {587}, {0}, ADDRESS, APPLICATION_PASSWORD,
     NULL, "icloud.com,me.com,mac.com", "mail.icloud.com", "", "there is no 465", "support.apple.com", 'B'},
    {"Yahoo", "yahoo mail,ymail", "smtp.mail.yahoo.com", {587}, {465}, ADDRESS, APPLICATION_PASSWORD, NULL,
     "yahoo.com,ymail.com,rocketmail.com,myyahoo.com,yahoo.co.uk,yahoo.de,yahoo.fr,yahoo.it,yahoo.es,yahoo.se,yahoo.co.in,yahoo.co.nz,yahoo.com.au,yahoo.com.ar,yahoo.com.br,yahoo.com.mx",
     "yahoodns.net", "", "", "help.yahoo.com", 'B'},
    {"AOL", "aol mail", "smtp.aol.com", {0}, {465}, ADDRESS, APPLICATION_PASSWORD, NULL,
     "aol.com,aim.com,netscape.net,compuserve.com,aol.de,aol.fr,aol.it,aol.es,aol.co.uk",
     "mx-aol.mail.gm0.yahoodns.net", "", "", "Mozilla's database of mail servers", 'B'},
    {"Fastmail", "", "smtp.fastmail.com", {587}, {465}, ADDRESS, APPLICATION_PASSWORD, NULL,
     "fastmail.com,fastmail.fm", "messagingengine.com", "api.fastmail.com", "", "fastmail.help", 'C'},
    {"Zoho", "zoho mail", "smtp.zoho.com,smtppro.zoho.com", {587}, {465}, ADDRESS,
     "the password, or " APPLICATION_PASSWORD, NULL, "zoho.com,zohomail.com", "zoho.com", "mail.zoho.com",
     "paid accounts with a domain of their own use smtppro.zoho.com; each region has its own hosts",
     "zoho.com/mail/help", 'B'},
    {"Zoho Europe", "zoho,zoho mail", "smtp.zoho.eu,smtppro.zoho.eu", {587}, {465}, ADDRESS,
     "the password, or " APPLICATION_PASSWORD, NULL, "zoho.eu,zohomail.eu", "zoho.eu", "mail.zoho.eu",
     "paid accounts with a domain of their own use smtppro.zoho.eu", "zoho.com/mail/help", 'B'},
    {"Zoho India", "zoho,zoho mail", "smtp.zoho.in,smtppro.zoho.in", {587}, {465}, ADDRESS,
     "the password, or " APPLICATION_PASSWORD, NULL, "zoho.in,zohomail.in", "zoho.in", "mail.zoho.in",
     "paid accounts with a domain of their own use smtppro.zoho.in", "zoho.com/mail/help", 'B'},
};
// clang-format on
const size_t provider_count = ARRAY_LENGTH(providers);

/* Does the name match, where one "*" stands for one label? */
static bool matches(struct bytes name, struct bytes pattern)
{
    size_t star = bytes_find(pattern, '*');
    if (star == SIZE_MAX)
        return bytes_equal_nocase(name, pattern);
    struct bytes head = bytes_first(pattern, star), tail = bytes_from(pattern, star + 1);
    if (name.length <= head.length + tail.length)
        return false;
    struct bytes region = bytes_of(name.at + head.length, name.length - head.length - tail.length);
    return bytes_equal_nocase(bytes_first(name, head.length), head) &&
           bytes_equal_nocase(bytes_from(name, name.length - tail.length), tail) &&
           bytes_find(region, '.') == SIZE_MAX;
}

static bool is_in_list(struct bytes name, const char *list)
{
    for (struct bytes rest = bytes_of_text(list); rest.length > 0;)
        if (matches(name, bytes_split(&rest, ',')))
            return true;
    return false;
}

/* The length of the longest in the list that it is, or is
 * below: "evilgoogle.com" is not below "google.com". */
static size_t below_list(struct bytes name, const char *list)
{
    size_t longest = 0;
    for (struct bytes rest = bytes_of_text(list); rest.length > 0;) {
        struct bytes suffix = bytes_split(&rest, ',');
        if (suffix.length <= longest || name.length < suffix.length)
            continue;
        size_t more = name.length - suffix.length;
        bool at_border = more == 0 || (more > 1 && name.at[more - 1] == '.');
        if (at_border && bytes_equal_nocase(bytes_from(name, more), suffix))
            longest = suffix.length;
    }
    return longest;
}

static bool is_named(const struct provider *provider, struct bytes name)
{
    return bytes_is_nocase(name, provider->name) || is_in_list(name, provider->aliases);
}

bool provider_is_called(const struct provider *provider, struct bytes name)
{
    return is_named(provider, name) || is_in_list(dns_name_without_dot(name), provider->hosts) ||
           is_in_list(dns_name_without_dot(name), provider->domains);
}

const struct provider *provider_by_name(struct bytes name)
{
    for (size_t i = 0; i < provider_count; i++)
        if (is_named(&providers[i], name))
            return &providers[i];
    return NULL;
}

const struct provider *provider_by_host(struct bytes host)
{
    for (size_t i = 0; i < provider_count; i++)
        if (is_in_list(dns_name_without_dot(host), providers[i].hosts))
            return &providers[i];
    return NULL;
}

const struct provider *provider_by_domain(struct bytes domain)
{
    for (size_t i = 0; i < provider_count; i++)
        if (is_in_list(dns_name_without_dot(domain), providers[i].domains))
            return &providers[i];
    return NULL;
}

/* The closest wins: AOL's exchangers stand below Yahoo's. */
const struct provider *provider_by_mx(struct bytes host)
{
    const struct provider *closest = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < provider_count; i++) {
        size_t length = below_list(dns_name_without_dot(host), providers[i].mx);
        if (length > longest) {
            closest = &providers[i];
            longest = length;
        }
    }
    return closest;
}

struct bytes provider_host(const struct provider *provider)
{
    struct bytes rest = bytes_of_text(provider->hosts);
    struct bytes first = bytes_split(&rest, ',');
    return bytes_find(first, '*') == SIZE_MAX ? first : bytes_none();
}

static bool has_port(const uint16_t *ports, uint16_t port)
{
    for (size_t i = 0; i < PROVIDER_PORTS_MAX && ports[i] != 0; i++)
        if (ports[i] == port)
            return true;
    return false;
}

bool provider_offers(const struct provider *provider, uint16_t port)
{
    return has_port(provider->starttls, port) || has_port(provider->implicit, port);
}
