/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cli/setup/dovecot.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/message/quota_warning.h"
#include "io/tls.h"
#include "io/write.h"
#include "run/data_dir.h"
#include "service/quotas.h"
#include "service/services.h"

static const char sieve_plugin[] = "/usr/lib/dovecot/modules/lib90_sieve_plugin.so",
                  quota_plugin[] = "/usr/lib/dovecot/modules/lib10_quota_plugin.so";

/* Spaces separate arguments for Dovecot, % begins a variable, # a comment. */
static bool is_plain(const char *path)
{
    return path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,@:=~")] ==
           '\0';
}

static bool check_paths(const struct dovecot *dovecot, const struct config *config, struct error *error)
{
    const struct {
        const char *what, *path;
    } told[] = {{"data_dir", config->data_dir},       {"tls.certificate", config->tls.certificate},
                {"tls.key", config->tls.key},         {"mailboxes.lmtp", config->mailboxes.lmtp},
                {"the configuration", dovecot->ours}, {"this program", dovecot->program}};
    for (size_t i = 0; i < ARRAY_LENGTH(told); i++)
        if (told[i].path != NULL && !is_plain(told[i].path))
            return error_set(
                error, EX_CONFIG,
                "%s: '%s' contains characters special to Dovecot; use letters, digits and /._-+,@:=~",
                told[i].what, told[i].path);
    return true;
}

const char *dovecot_program(void)
{
    static const char *const places[] = {"/usr/sbin/dovecot", "/usr/local/sbin/dovecot"};
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

bool dovecot_find(struct dovecot *dovecot, const struct config *config, struct error *error)
{
    *dovecot = (struct dovecot){0};
    if (snprintf(dovecot->folder, sizeof dovecot->folder, "%s/dovecot", config->data_dir) >
        DOVECOT_FOLDER_MAX)
        return error_set(
            error, EX_CONFIG,
            "data_dir: %s is too long for Dovecot's sockets; choose a directory of at most %d characters",
            config->data_dir, DOVECOT_FOLDER_MAX - (int)strlen("/dovecot"));
    snprintf(dovecot->config, sizeof dovecot->config, "%s/dovecot.conf", dovecot->folder);
    snprintf(dovecot->lmtp_folder, sizeof dovecot->lmtp_folder, "%s/lmtp", dovecot->folder);
    ssize_t length = readlink("/proc/self/exe", dovecot->program, sizeof dovecot->program - 1);
    char *ours = realpath(config->file, NULL);
    bool fits = ours != NULL &&
                snprintf(dovecot->ours, sizeof dovecot->ours, "%s", ours) < (int)sizeof dovecot->ours;
    free(ours);
    if (length <= 0 || !fits)
        return error_set(error, EX_OSERR, "cannot determine the path of %s",
                         length <= 0 ? "this program" : config->file);
    return check_paths(dovecot, config, error);
}

bool dovecot_is_set_up(const struct config *config)
{
    struct dovecot dovecot;
    struct error error;
    return dovecot_find(&dovecot, config, &error) && access(dovecot.config, F_OK) == 0;
}

/* ---- the text ---- */

/* Adds a quoted value, escaped so that its text cannot end it. */
static void add_quoted(struct buffer *out, const char *name, const char *value)
{
    buffer_add_format(out, "%s = \"", name);
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\')
            buffer_add_octet(out, '\\');
        buffer_add_octet(out, *value == '\n' ? ' ' : *value);
    }
    buffer_add_text(out, "\"\n");
}

static void add_service(struct buffer *out, const char *name, uint16_t clear, uint16_t secured, bool alone)
{
    buffer_add_format(out,
                      "service %s-login {\n  inet_listener %s {\n    port = %u\n  }\n  inet_listener %ss {\n "
                      "   port = %u\n    ssl = yes\n  }\n%s}\n",
                      name, name, (unsigned)clear, name, (unsigned)secured, alone ? "  chroot =\n" : "");
}

/* Without root everything runs as the calling user. */
static void add_own_user(struct buffer *out)
{
    struct passwd *me = getpwuid(geteuid());
    const char *name = me == NULL ? "nobody" : me->pw_name;
    struct group *mine = getgrgid(getegid());
    const char *group = mine == NULL ? "nogroup" : mine->gr_name;
    buffer_add_format(out,
                      "default_internal_user = %s\ndefault_login_user = %s\ndefault_internal_group = "
                      "%s\nservice anvil {\n  chroot =\n}\nservice stats {\n  chroot =\n}\n",
                      name, name, group);
}

/* True if Mailboat's own folder restricts access to the socket. */
static bool is_in_own_folder(const struct dovecot *dovecot, const struct config *config)
{
    const char *path = config->mailboxes.lmtp_at.path;
    return path != NULL && strncmp(path, dovecot->lmtp_folder, strlen(dovecot->lmtp_folder)) == 0 &&
           path[strlen(dovecot->lmtp_folder)] == '/';
}

/* Dovecot knows users only by name: if the delivering user has none, only the folder restricts access. */
static void add_lmtp(struct buffer *out, const struct config *config, struct process_user user)
{
    const char *path = config->mailboxes.lmtp_at.path;
    struct passwd *deliverer = getpwuid(user.uid);
    if (path == NULL) {
        buffer_add_format(out,
                          "service lmtp {\n  inet_listener lmtp {\n    address = %s\n    port = %u\n  }\n}\n",
                          config->mailboxes.lmtp_at.address, (unsigned)config->mailboxes.lmtp_at.port);
        return;
    }
    buffer_add_format(out, "service lmtp {\n  unix_listener %s {\n    mode = %s\n", path,
                      deliverer == NULL ? "0666" : "0600");
    if (deliverer != NULL && geteuid() == 0)
        buffer_add_format(out, "    user = %s\n", deliverer->pw_name);
    buffer_add_text(out, "  }\n}\n");
}

bool dovecot_is_open_to_all(const struct dovecot *dovecot, const struct config *config)
{
    return config->mailboxes.lmtp_at.path == NULL ||
           (getpwuid(data_dir_user(config, &local_service).uid) == NULL &&
            !is_in_own_folder(dovecot, config));
}

/* Adds quotas: counted in maildirsize, shared with Mailboat's own deliveries, exact to the octet. When a
 * threshold is crossed `mailboat mailboxes warn` warns the user, through a socket restricted to the
 * delivering user. */
static void add_quota(struct buffer *out, const struct dovecot *dovecot, const struct config *config)
{
    buffer_add_format(
        out,
        "\n# How much a mailbox may hold: mailboxes.quota, and mailboat user quota.\nmail_plugins = "
        "$mail_plugins quota\n"
        "protocol imap {\n  mail_plugins = $mail_plugins imap_quota\n}\n"
        "plugin {\n  quota = maildir:User quota\n  quota_rule = *:bytes=%llu\n  quota_grace = 0\n",
        (unsigned long long)config->mailboxes.quota);
    /* the first match is used */
    static const unsigned marks[] = {QUOTA_WARNING_LAST, QUOTA_WARNING_FIRST};
    for (unsigned i = 0; i < ARRAY_LENGTH(marks); i++)
        buffer_add_format(out, "  quota_warning%s = storage=%u%%%% %s/quota-warning %u %%u\n",
                          i == 0 ? "" : "2", marks[i], dovecot->lmtp_folder, marks[i]);
    buffer_add_format(out,
                      "}\nservice quota-warning {\n  executable = script %s mailboxes warn --config %s\n%s  "
                      "unix_listener %s/quota-warning {\n    mode = 0666\n  }\n}\n",
                      dovecot->program, dovecot->ours, geteuid() == 0 ? "  user = root\n" : "",
                      dovecot->lmtp_folder);
}

/* Adds each user's Sieve rules (RFC 5228), and quotas, if the plugins are installed. */
static void add_plugins(struct buffer *out, const struct dovecot *dovecot, const struct config *config)
{
    bool quota = access(quota_plugin, R_OK) == 0, sieve = access(sieve_plugin, R_OK) == 0;
    if (quota)
        add_quota(out, dovecot, config);
    if (sieve)
        buffer_add_text(out, "\n# Each user's rules (RFC 5228) are ~/.dovecot.sieve beside the "
                             "Maildir.\nprotocol lmtp {\n  mail_plugins = $mail_plugins sieve\n}\n"
                             "plugin {\n  sieve = file:~/sieve;active=~/.dovecot.sieve\n}\n");
}

static void add_config(struct buffer *out, const struct dovecot *dovecot, const struct config *config)
{
    bool root = geteuid() == 0;
    struct process_user user = data_dir_user(config, &local_service);
    const char *mail = config->data_dir;
    struct arena arena = {0};
    buffer_add_text(out, "# Written by `mailboat mailboxes setup`, which rewrites it: put additions "
                         "into local.conf beside it.\n");
    buffer_add_format(out,
                      "protocols = imap pop3 lmtp\ninstance_name = mailboat\nbase_dir = %s/run\nstate_dir = "
                      "%s/run\nlog_path = %s/log\n",
                      dovecot->folder, dovecot->folder, dovecot->folder);
    add_quoted(out, "listen", config->mailboxes.address == NULL ? "*, ::" : config->mailboxes.address);
    add_quoted(out, "hostname", config->hostname);
    buffer_add_format(out, "postmaster_address = postmaster@%s\n",
                      config->domain_count > 0 ? config->domains[0] : config->hostname);
    buffer_add_format(out,
                      "\nssl = required\nssl_cert = <%s\nssl_key = <%s\nssl_min_protocol = TLSv1.2\n"
                      "ssl_cipher_list = " TLS_SERVER_SUITES "\nssl_curve_list = " TLS_SERVER_GROUPS "\n"
                      "ssl_prefer_server_ciphers = yes\ndisable_plaintext_auth = yes\n",
                      config->tls.certificate, config->tls.key);
    buffer_add_text(out, "\n# The accounts are Mailboat's, asked at each sign-in.\nauth_mechanisms = plain "
                         "login\nauth_username_format = %Lu\nauth_username_chars =\nauth_cache_size = 0\n");
    buffer_add_format(out, "passdb {\n  driver = checkpassword\n  args = %s checkpassword --config %s\n}\n",
                      dovecot->program, dovecot->ours);
    char *quotas = quotas_path(&arena, config->data_dir);
    buffer_add_format(out,
                      "userdb {\n  driver = passwd-file\n  args = username_format=%%Lu %s\n  result_success "
                      "= continue-ok\n  result_internalfail = continue\n}\n",
                      quotas);
    arena_clear(&arena);
    buffer_add_format(
        out,
        "userdb {\n  driver = static\n  args = uid=%u gid=%u home=%s/mail/%%Ld/%%Ln allow_all_users=yes\n}\n",
        (unsigned)user.uid, (unsigned)user.gid, mail);
    if (root)
        buffer_add_text(out, "service auth {\n  user = root\n}\n");
    else
        add_own_user(out);
    buffer_add_format(out,
                      "\nmail_location = maildir:%s/mail/%%Ld/%%Ln/Maildir\nfirst_valid_uid = "
                      "%u\nfirst_valid_gid = %u\nrecipient_delimiter =\n",
                      mail, (unsigned)user.uid, (unsigned)user.gid);
    buffer_add_text(out, "namespace inbox {\n  inbox = yes\n");
    const char *const folders[][2] = {{"Drafts", "Drafts"},
                                      {"Sent", "Sent"},
                                      {config->trust.junk_folder, "Junk"},
                                      {"Trash", "Trash"},
                                      {"Archive", "Archive"}};
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++)
        buffer_add_format(out, "  mailbox %s {\n    special_use = \\%s\n    auto = subscribe\n  }\n",
                          folders[i][0], folders[i][1]);
    buffer_add_text(out, "}\n\n");
    add_service(out, "imap", config->mailboxes.imap, config->mailboxes.imaps, !root);
    add_service(out, "pop3", config->mailboxes.pop3, config->mailboxes.pop3s, !root);
    add_lmtp(out, config, user);
    add_plugins(out, dovecot, config);
    buffer_add_format(out, "\n!include_try %s/local.conf\n", dovecot->folder);
}

/* For the sockets: accessible only to the delivering user. */
static bool make_lmtp_folder(const struct folder *folder, const struct config *config, struct error *error)
{
    struct process_user user = data_dir_user(config, &local_service);
    struct folder inner;
    if (!folder_enter(&inner, folder, "lmtp", 0700, FOLDER_ANY, error))
        return false;
    bool given = geteuid() != 0 || fchown(inner.descriptor, user.uid, user.gid) == 0 ||
                 error_set_errno(error, EX_OSERR, "cannot give %s to user %u", inner.path,
                                 (unsigned)user.uid);
    folder_close(&inner);
    return given;
}

bool dovecot_write(const struct dovecot *dovecot, const struct config *config, struct error *error)
{
    struct buffer text = {0};
    struct folder data, folder;
    if (!data_dir_open(&data, config, error))
        return false;
    bool done = folder_enter(&folder, &data, "dovecot", 0755, FOLDER_TRUSTED, error);
    folder_close(&data);
    if (!done)
        return false;
    add_config(&text, dovecot, config);
    done = make_lmtp_folder(&folder, config, error) &&
           folder_replace(&folder, "dovecot.conf", buffer_bytes(&text), 0644, error);
    buffer_free(&text);
    folder_close(&folder);
    return done;
}

/* ---- running ---- */

static _Noreturn void be_dovecot(const struct dovecot *dovecot, const char *word, int said)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    dup2(said, STDERR_FILENO);
    execl(dovecot_program(), "dovecot", "-c", dovecot->config, word, (char *)NULL); /* word NULL: start */
    _exit(127);
}

/* Returns its exit code; -1 if it could not be run. Passes its output on; background processes inherit no
 * descriptor. */
static int run_dovecot(const struct dovecot *dovecot, const char *word)
{
    int ends[2], status = -1;
    char said[2000];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0)
        be_dovecot(dovecot, word, ends[1]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    ssize_t length = read(ends[0], said, sizeof said);
    if (length > 0)
        write_all(STDERR_FILENO, bytes_of(said, (size_t)length));
    close(ends[0]);
    close(ends[1]);
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_running(const struct dovecot *dovecot)
{
    char path[600], text[32] = "";
    snprintf(path, sizeof path, "%s/run/master.pid", dovecot->folder);
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0)
        close(file);
    long pid = length > 0 ? strtol(text, NULL, 10) : 0;
    return pid > 1 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

bool dovecot_start(const struct dovecot *dovecot, bool *started, struct error *error)
{
    if (dovecot_program() == NULL)
        return error_set(
            error, EX_UNAVAILABLE,
            "Dovecot is not installed; on Debian: apt install dovecot-imapd dovecot-pop3d dovecot-lmtpd");
    *started = !is_running(dovecot);
    if (run_dovecot(dovecot, *started ? NULL : "reload") == 0)
        return true;
    return error_set(
        error, EX_UNAVAILABLE, "Dovecot does not %s; see its messages above, or %s/log%s",
        *started ? "start" : "reload", dovecot->folder,
        *started ? "; if the package's own Dovecot uses the ports: systemctl disable --now dovecot" : "");
}

bool dovecot_stop(const struct dovecot *dovecot, struct error *error)
{
    if (dovecot_program() == NULL || !is_running(dovecot) || run_dovecot(dovecot, "stop") == 0)
        return true;
    return error_set(error, EX_UNAVAILABLE, "Dovecot does not stop; see %s/log", dovecot->folder);
}

static _Noreturn void be_doveadm(const struct dovecot *dovecot, const char *address)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
        dup2(nothing, descriptor);
    execl("/usr/bin/doveadm", "doveadm", "-c", dovecot->config, "kick", address, (char *)NULL);
    _exit(127);
}

void dovecot_sign_out(const struct config *config, const char *address)
{
    struct dovecot dovecot;
    struct error error;
    if (!dovecot_find(&dovecot, config, &error) || !is_running(&dovecot))
        return;
    pid_t child = fork();
    if (child == 0)
        be_doveadm(&dovecot, address);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue; /* that none was running is fine */
}
