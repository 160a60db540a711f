/* SPDX-License-Identifier: Apache-2.0 */
#include "settings_texts.h"

#include "bytes.h"

const struct settings_text settings_texts[] = {
    {"apple", "apple-mail,ios,macos,iphone", "Apple Mail (macOS, iOS): Mail, Accounts, Outgoing Mail Server (SMTP)",
     "Host Name:       {host}\n"
     "User Name:       {user}\n"
     "Password:        an application password\n"
     "Use SSL:         on\n"
     "Authentication:  Password\n"
     "Server Port:     {port}      (write it in: Apple Mail tries 25 first by itself)\n"},
    {"outlook", "microsoft-outlook", "Outlook: Account Settings, Manual setup, POP or IMAP, More Settings, Advanced",
     "Outgoing server (SMTP):        {host}\n"
     "Outgoing server port:          {port}\n"
     "Encryption:                    STARTTLS (or port {tls_port} with SSL/TLS)\n"
     "My outgoing server requires authentication: yes\n"
     "User Name:                     {user}\n"
     "Password:                      an application password\n"},
    {"thunderbird", "mozilla", "Thunderbird: Account Settings, Outgoing Server (SMTP), Edit",
     "Server Name:            {host}\n"
     "Port:                   {port}\n"
     "Connection Security:    STARTTLS\n"
     "Authentication Method:  Normal password\n"
     "User Name:              {user}\n"},
    {"wordpress", "wp,wp-mail-smtp", "WordPress with the plugin WP Mail SMTP: wp-config.php, above \"That's all\"",
     "define( 'WPMS_ON', true );\n"
     "define( 'WPMS_MAIL_FROM', '{user}' );\n"
     "define( 'WPMS_MAILER', 'smtp' );\n"
     "define( 'WPMS_SMTP_HOST', '{host}' );\n"
     "define( 'WPMS_SMTP_PORT', {port} );\n"
     "define( 'WPMS_SSL', 'tls' );          // STARTTLS; 'ssl' is for port {tls_port}\n"
     "define( 'WPMS_SMTP_AUTH', true );\n"
     "define( 'WPMS_SMTP_USER', '{user}' );\n"
     "define( 'WPMS_SMTP_PASS', 'PASSWORD' );\n"
     "define( 'WPMS_SMTP_AUTOTLS', true );\n"},
    {"phpmailer", "php", "PHPMailer",
     "$mail->isSMTP();\n"
     "$mail->Host = '{host}';\n"
     "$mail->Port = {port};\n"
     "$mail->SMTPSecure = PHPMailer\\PHPMailer\\PHPMailer::ENCRYPTION_STARTTLS; // ENCRYPTION_SMTPS is for port {tls_port}\n"
     "$mail->SMTPAuth = true;\n"
     "$mail->Username = '{user}';\n"
     "$mail->Password = 'PASSWORD';\n"
     "$mail->setFrom('{user}');\n"},
    {"nodemailer", "node,nodejs,javascript", "nodemailer",
     "const transport = nodemailer.createTransport({\n"
     "  host: '{host}',\n"
     "  port: {port},\n"
     "  secure: false,      // STARTTLS; true is for port {tls_port}\n"
     "  requireTLS: true,\n"
     "  auth: { user: '{user}', pass: 'PASSWORD' },\n"
     "});\n"},
    {"python", "smtplib", "Python's smtplib",
     "import smtplib, ssl\n"
     "with smtplib.SMTP('{host}', {port}) as server:\n"
     "    server.starttls(context=ssl.create_default_context())\n"
     "    server.login('{user}', 'PASSWORD')\n"
     "    server.send_message(message)\n"},
    {"django", "", "Django: settings.py",
     "EMAIL_BACKEND = 'django.core.mail.backends.smtp.EmailBackend'\n"
     "EMAIL_HOST = '{host}'\n"
     "EMAIL_PORT = {port}\n"
     "EMAIL_USE_TLS = True      # STARTTLS; EMAIL_USE_SSL is for port {tls_port}\n"
     "EMAIL_HOST_USER = '{user}'\n"
     "EMAIL_HOST_PASSWORD = 'PASSWORD'\n"
     "DEFAULT_FROM_EMAIL = '{user}'\n"},
    {"rails", "ruby,actionmailer", "Rails: config/environments/production.rb",
     "config.action_mailer.delivery_method = :smtp\n"
     "config.action_mailer.smtp_settings = {\n"
     "  address: '{host}',\n"
     "  port: {port},\n"
     "  user_name: '{user}',\n"
     "  password: 'PASSWORD',\n"
     "  authentication: :plain,\n"
     "  enable_starttls: true,    # tls: true is for port {tls_port}\n"
     "}\n"},
    {"spring", "java,spring-boot", "Spring Boot: application.properties",
     "spring.mail.host={host}\n"
     "spring.mail.port={port}\n"
     "spring.mail.username={user}\n"
     "spring.mail.password=PASSWORD\n"
     "spring.mail.properties.mail.smtp.auth=true\n"
     "spring.mail.properties.mail.smtp.starttls.enable=true\n"
     "spring.mail.properties.mail.smtp.starttls.required=true\n"},
    {"msmtp", "", "msmtp: ~/.msmtprc",
     "account default\n"
     "host {host}\n"
     "port {port}\n"
     "tls on\n"
     "tls_starttls on\n"
     "auth on\n"
     "user {user}\n"
     "from {user}\n"
     "passwordeval cat ~/.msmtp-password\n"},
    {"postfix", "", "Postfix as a null client: /etc/postfix/main.cf, and /etc/postfix/sasl_passwd",
     "# main.cf\n"
     "relayhost = [{host}]:{port}\n"
     "smtp_tls_security_level = verify\n"
     "smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt\n"
     "smtp_sasl_auth_enable = yes\n"
     "smtp_sasl_password_maps = texthash:/etc/postfix/sasl_passwd\n"
     "smtp_sasl_security_options = noanonymous\n"
     "inet_interfaces = loopback-only\n"
     "mydestination =\n"
     "# sasl_passwd (chmod 600)\n"
     "# [{host}]:{port} {user}:PASSWORD\n"},
    {"curl", "", "curl",
     "curl --ssl-reqd --url smtp://{host}:{port} --user '{user}:PASSWORD' --mail-from '{user}' --mail-rcpt RECIPIENT --upload-file MESSAGE\n"},
    {"swaks", "", "swaks",
     "swaks --server {host} --port {port} --tls --tls-verify --auth PLAIN --auth-user '{user}' --from '{user}' --to RECIPIENT\n"},
};
const size_t settings_text_count = ARRAY_LENGTH(settings_texts);
