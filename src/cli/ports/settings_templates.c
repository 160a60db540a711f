/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ports/settings_templates.h"

#define IN_WORDS(where)                                                                                      \
    where "\n\n  Server       @HOST@\n  Port         @PORT@\n  Encryption   @TLS:STARTTLS|SSL/TLS@\n  Sign " \
          "in by   password\n  User name    @USER@\n"

const struct settings_template templates[] = {
    {"apple", "Apple Mail", false,
     "open FILE in Keychain Access and set Trust to Always Trust; on an iPhone, install it as a profile and "
     "enable it in Certificate Trust Settings",
     IN_WORDS("Mail > Settings > Accounts > Server Settings > Outgoing Mail Account (SMTP) >\nEdit SMTP "
              "Server List > +; take the tick from \"Automatically manage connection\nsettings\", and set "
              "one at \"Use TLS/SSL\"; Authentication: Password.")},
    {"outlook", "Outlook", false, "import FILE under Trusted Root Certification Authorities (certmgr.msc)",
     IN_WORDS("File > Account Settings > Manage Profiles > Email Accounts > Change > More\nSettings: on "
              "\"Outgoing Server\" set the tick at \"My outgoing server (SMTP) requires\nauthentication\"; "
              "on \"Advanced\" the port and the encryption.")},
    {"thunderbird", "Thunderbird", false,
     "confirm the security exception when the first message is sent, after comparing the fingerprint",
     IN_WORDS("Account Settings > Outgoing Server (SMTP) > Add; Authentication method: Normal\npassword.")},
    {"wordpress", "WordPress (WP Mail SMTP)", true,
     "set openssl.cafile=FILE in php.ini; leave the verification on",
     "// in wp-config.php, above \"That's all, stop editing!\"; the plugin WP Mail SMTP reads them\n"
     "define( 'WPMS_ON', true );\ndefine( 'WPMS_MAILER', 'smtp' );\ndefine( 'WPMS_MAIL_FROM', '@FROM@' );\n"
     "define( 'WPMS_MAIL_FROM_FORCE', true ); // plugins set other senders, which the server rejects\n"
     "define( 'WPMS_SMTP_HOST', '@HOST@' );\ndefine( 'WPMS_SMTP_PORT', @PORT@ );\ndefine( 'WPMS_SSL', "
     "'@TLS:tls|ssl@' );\n"
     "define( 'WPMS_SMTP_AUTOTLS', true );\ndefine( 'WPMS_SMTP_AUTH', true );\ndefine( 'WPMS_SMTP_USER', "
     "'@USER@' );\ndefine( 'WPMS_SMTP_PASS', 'PASSWORD' );\n"},
    {"phpmailer", "PHPMailer", true, "add: $mail->SMTPOptions = ['ssl' => ['cafile' => 'FILE']];",
     "$mail->isSMTP();\n$mail->Host = '@HOST@';\n$mail->Port = @PORT@;\n$mail->SMTPSecure = "
     "'@TLS:tls|ssl@';\n$mail->SMTPAuth = true;\n"
     "$mail->Username = '@USER@';\n$mail->Password = 'PASSWORD';\n$mail->setFrom('@FROM@');\n"},
    {"nodemailer", "nodemailer", true, "add to the options: tls: { ca: require('fs').readFileSync('FILE') }",
     "const transport = require('nodemailer').createTransport({\n  host: '@HOST@',\n  port: @PORT@,\n  "
     "secure: @TLS:false|true@,\n  requireTLS: true,\n"
     "  auth: { user: '@USER@', pass: 'PASSWORD' },\n});\n"},
    {"django", "Django", true, "set SSL_CERT_FILE=FILE in the environment of the application",
     "EMAIL_BACKEND = 'django.core.mail.backends.smtp.EmailBackend'\nEMAIL_HOST = '@HOST@'\nEMAIL_PORT = "
     "@PORT@\nEMAIL_USE_TLS = @TLS:True|False@\n"
     "EMAIL_USE_SSL = @TLS:False|True@\nEMAIL_HOST_USER = '@USER@'\nEMAIL_HOST_PASSWORD = "
     "'PASSWORD'\nDEFAULT_FROM_EMAIL = '@FROM@'\nSERVER_EMAIL = '@FROM@'\n"},
    {"python", "Python's smtplib", true, "use ssl.create_default_context(cafile='FILE')",
     "import smtplib, ssl\n\ndef submit(message):\n    with smtplib.@TLS:SMTP|SMTP_SSL@('@HOST@', "
     "@PORT@@TLS:|, context=ssl.create_default_context()@) as server:\n"
     "@TLS:        server.starttls(context=ssl.create_default_context())\n|@        server.login('@USER@', "
     "'PASSWORD')\n        server.send_message(message)\n"},
    {"rails", "Rails", true, "add to smtp_settings: ca_file: 'FILE'",
     "config.action_mailer.delivery_method = :smtp\nconfig.action_mailer.smtp_settings = {\n  address: "
     "'@HOST@',\n  port: @PORT@,\n  @TLS:enable_starttls|tls@: true,\n"
     "  authentication: :plain,\n  user_name: '@USER@',\n  password: 'PASSWORD'\n}\n"},
    {"spring", "Spring Boot", false,
     "import FILE with keytool into a trust store, and set -Djavax.net.ssl.trustStore",
     "spring.mail.host=@HOST@\nspring.mail.port=@PORT@\nspring.mail.username=@USER@\nspring.mail.password="
     "PASSWORD\nspring.mail.properties.mail.smtp.auth=true\n"
     "@TLS:spring.mail.properties.mail.smtp.starttls.enable=true\nspring.mail.properties.mail.smtp.starttls."
     "required=true|spring.mail.properties.mail.smtp.ssl.enable=true@\n"
     "spring.mail.properties.mail.smtp.ssl.checkserveridentity=true\n"},
    {"msmtp", "msmtp", false, "add: tls_trust_file FILE",
     "# ~/.msmtprc, mode 0600\naccount default\nhost @HOST@\nport @PORT@\ntls on\ntls_starttls "
     "@TLS:on|off@\nauth on\nuser @USER@\npassword PASSWORD\nfrom @FROM@\n"},
    {"postfix", "Postfix as a null client", false,
     "set smtp_tls_CAfile = FILE, and smtp_tls_security_level = verify",
     "# /etc/postfix/main.cf; /etc/postfix/sasl_passwd, mode 0600, has one line:\n#   [@HOST@]:@PORT@ "
     "@USER@:PASSWORD\n"
     "inet_interfaces = loopback-only\nmydestination =\nmyorigin = @DOMAIN@\nrelayhost = "
     "[@HOST@]:@PORT@\nsmtp_sasl_auth_enable = yes\n"
     "smtp_sasl_password_maps = texthash:/etc/postfix/sasl_passwd\nsmtp_sasl_security_options = "
     "noanonymous\nsmtp_tls_security_level = secure\n"
     "smtp_tls_wrappermode = @TLS:no|yes@\nsmtp_tls_CAfile = "
     "/etc/ssl/certs/ca-certificates.crt\nsender_canonical_maps = static:@FROM@\n"},
};
const size_t paste_count = ARRAY_LENGTH(templates);

const struct settings_template *settings_templates_find(struct bytes name)
{
    for (size_t i = 0; i < paste_count; i++)
        if (bytes_is_nocase(name, templates[i].name))
            return &templates[i];
    return NULL;
}

static void add_protected(struct buffer *out, struct bytes text, bool quotes)
{
    for (size_t i = 0; i < text.length; i++) {
        if (quotes && text.at[i] == '\'')
            buffer_add_octet(out, '\\');
        buffer_add_octet(out, text.at[i]);
    }
}

static void add_fact(const struct settings_template *template, const struct settings_facts *facts,
                     struct bytes word, struct buffer *out)
{
    if (bytes_is(word, "HOST")) {
        add_protected(out, facts->host, template->quotes);
    } else if (bytes_is(word, "USER")) {
        add_protected(out, facts->user, template->quotes);
    } else if (bytes_is(word, "FROM")) {
        add_protected(out, facts->from, template->quotes);
    } else if (bytes_is(word, "DOMAIN")) {
        add_protected(out, facts->domain, template->quotes);
    } else if (bytes_is(word, "PORT")) {
        buffer_add_format(out, "%u", facts->port);
    } else {
        struct bytes modes = bytes_from(word, strlen("TLS:"));
        struct bytes starttls = bytes_split(&modes, '|');
        buffer_add(out, facts->implicit ? modes : starttls);
    }
}

void settings_templates_write(const struct settings_template *template, const struct settings_facts *facts,
                              struct buffer *out)
{
    struct bytes rest = bytes_of_text(template->text);
    while (rest.length > 0) {
        buffer_add(out, bytes_split(&rest, '@'));
        if (rest.length > 0)
            add_fact(template, facts, bytes_split(&rest, '@'), out);
    }
}
