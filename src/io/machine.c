/* SPDX-License-Identifier: Apache-2.0 */
#include "io/machine.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/clock.h"
#include "io/resolver_list.h"

extern char **environ;

enum {
    ROUTE_UP = 0x0001,
    ROUTE_REJECT = 0x0200, /* RTF_REJECT: "unreachable" */
    INTERFACE_MAX = 32,
    LINK_NONE = 65534, /* ARPHRD_NONE: tun, WireGuard */
    LINK_PPP = 512,    /* ARPHRD_PPP: a VPN, or a line of DSL */
    DAY_S = 24 * 3600,
};

struct machine_reader {
    const char *root;
    char *const *environment;
    struct fact_machine *facts;
};

/* ---- files and variables ---- */

static void __attribute__((format(printf, 3, 4)))
path_of(const struct machine_reader *m, char *path, const char *form, ...)
{
    va_list arguments;
    int length = snprintf(path, PATH_MAX, "%s", m->root);
    if (length < 0 || length >= PATH_MAX)
        length = 0;
    va_start(arguments, form);
    vsnprintf(path + length, (size_t)(PATH_MAX - length), form, arguments);
    va_end(arguments);
}

static bool is_there(const struct machine_reader *m, const char *name)
{
    char path[PATH_MAX];
    struct stat status;
    path_of(m, path, "%s", name);
    return stat(path, &status) == 0;
}

/* The file's first `max` octets; false when it cannot be read. */
static bool read_file(const char *path, size_t max, struct buffer *out)
{
    char room[16 * 1024];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return false;
    ssize_t got = 1;
    buffer_clear(out);
    while (got > 0 && out->length < max) {
        size_t want = max - out->length < sizeof room ? max - out->length : sizeof room;
        got = read(file, room, want);
        if (got > 0)
            buffer_add(out, bytes_of(room, (size_t)got));
    }
    close(file);
    return got >= 0;
}

static bool read_text(const struct machine_reader *m, struct buffer *out, const char *name)
{
    char path[PATH_MAX];
    path_of(m, path, "%s", name);
    return read_file(path, MACHINE_TEXT_MAX, out);
}

static const char *variable(const struct machine_reader *m, const char *name)
{
    size_t length = strlen(name);
    for (char *const *v = m->environment; v != NULL && *v != NULL; v++)
        if (strncmp(*v, name, length) == 0 && (*v)[length] == '=')
            return *v + length + 1;
    return NULL;
}

static enum known known_of(bool yes)
{
    return yes ? KNOWN_YES : KNOWN_NO;
}

/* Another party's text in a field: cut, and without control characters. */
static void keep(char *field, size_t size, struct bytes text)
{
    size_t length = text.length < size ? text.length : size - 1;
    for (size_t i = 0; i < length; i++)
        field[i] = (unsigned char)text.at[i] < ' ' || text.at[i] == 127 ? ' ' : text.at[i];
    field[length] = '\0';
}

/* ---- routes ---- */

static bool interface_number(const struct machine_reader *m, const char *interface, const char *what,
                             uint64_t *value)
{
    char path[PATH_MAX];
    struct buffer text = {0};
    path_of(m, path, "/sys/class/net/%s/%s", interface, what);
    bool read = read_file(path, 32, &text);
    struct bytes digits = buffer_bytes(&text);
    while (digits.length > 0 && !ascii_is_digit(digits.at[digits.length - 1]))
        digits = bytes_first(digits, digits.length - 1);
    read = read && bytes_to_u64(digits, UINT32_MAX, value);
    buffer_free(&text);
    return read;
}

/* A VPN's interface carries packets without a link below them. */
static bool is_tunnel(const struct machine_reader *m, const char *interface)
{
    static const char *const names[] = {"tun",      "wg",     "utun",  "tailscale",
                                        "nordlynx", "proton", "ipsec", "vti"};
    uint64_t type = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strncmp(interface, names[i], strlen(names[i])) == 0)
            return true;
    return interface_number(m, interface, "type", &type) && type == LINK_NONE;
}

static bool is_point_to_point(const struct machine_reader *m, const char *interface)
{
    uint64_t type = 0;
    return strncmp(interface, "ppp", 3) == 0 ||
           (interface_number(m, interface, "type", &type) && type == LINK_PPP);
}

static void set_interface(struct machine_reader *m, const char *interface)
{
    uint64_t mtu = 0;
    bool tunnel = is_tunnel(m, interface);
    if (m->facts->mtu == 0 && interface_number(m, interface, "mtu", &mtu) && mtu <= UINT16_MAX)
        m->facts->mtu = (uint16_t)mtu;
    if ((tunnel || is_point_to_point(m, interface)) && m->facts->tunnel[0] == '\0')
        keep(m->facts->tunnel, sizeof m->facts->tunnel, bytes_of_text(interface));
    if (tunnel)
        m->facts->virtual_network = KNOWN_YES;
    else if (m->facts->virtual_network == KNOWN_NOT && !is_point_to_point(m, interface))
        m->facts->virtual_network = KNOWN_NO;
}

/* The default route of the best metric; OpenVPN's is two halves instead. Numbers are in network order, as
 * this machine reads them. */
static void read_route_4(struct machine_reader *m)
{
    struct buffer text = {0};
    char best[INTERFACE_MAX] = "", interface[INTERFACE_MAX], half[INTERFACE_MAX] = "";
    unsigned destination, flags, mask;
    long metric, best_metric = LONG_MAX;
    if (!read_text(m, &text, "/proc/net/route"))
        return;
    m->facts->route_4 = KNOWN_NO;
    for (struct bytes rest = buffer_bytes(&text); rest.length > 0;) {
        char line[256];
        keep(line, sizeof line, bytes_split(&rest, '\n'));
        if (sscanf(line, "%31s %x %*x %x %*d %*d %ld %x", interface, &destination, &flags, &metric, &mask) !=
                5 ||
            destination != 0 || (flags & ROUTE_UP) == 0 || (flags & ROUTE_REJECT) != 0)
            continue;
        if (mask == htonl(0x80000000U))
            memcpy(half, interface, sizeof half);
        if (mask == 0 && metric < best_metric) {
            memcpy(best, interface, sizeof best);
            best_metric = metric;
        }
    }
    if (half[0] != '\0' || best[0] != '\0') {
        m->facts->route_4 = KNOWN_YES;
        set_interface(m, half[0] != '\0' ? half : best);
    }
    buffer_free(&text);
}

static void read_route_6(struct machine_reader *m)
{
    static const char nowhere[] = "00000000000000000000000000000000";
    struct buffer text = {0};
    char best[INTERFACE_MAX] = "", interface[INTERFACE_MAX], destination[33];
    unsigned length, metric, best_metric = UINT_MAX, flags;
    if (!read_text(m, &text, "/proc/net/ipv6_route")) { /* a kernel without IPv6 has no such table */
        m->facts->route_6 = m->facts->route_4 == KNOWN_NOT ? KNOWN_NOT : KNOWN_NO;
        return;
    }
    m->facts->route_6 = KNOWN_NO;
    for (struct bytes rest = buffer_bytes(&text); rest.length > 0;) {
        char line[256];
        keep(line, sizeof line, bytes_split(&rest, '\n'));
        if (sscanf(line, "%32s %x %*32s %*x %*32s %x %*x %*x %x %31s", destination, &length, &metric, &flags,
                   interface) != 5 ||
            strcmp(destination, nowhere) != 0 || length != 0 || strcmp(interface, "lo") == 0 ||
            (flags & ROUTE_UP) == 0 || (flags & ROUTE_REJECT) != 0 || metric >= best_metric)
            continue;
        memcpy(best, interface, sizeof best);
        best_metric = metric;
    }
    if (best[0] != '\0') {
        m->facts->route_6 = KNOWN_YES;
        set_interface(m, best);
    }
    buffer_free(&text);
}

/* Which interface would a packet leave through? A route of another table (WireGuard's) is found only by
 * asking the kernel: a UDP socket that is connected sends nothing. */
static void ask_kernel(struct machine_reader *m)
{
    struct sockaddr_in far = {.sin_family = AF_INET, .sin_port = htons(9)}, near = {0};
    socklen_t length = sizeof near;
    struct ifaddrs *all = NULL;
    inet_pton(AF_INET, "192.0.2.1", &far.sin_addr); /* a documentation address (RFC 5737) */
    int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool known = file >= 0 && connect(file, (struct sockaddr *)&far, sizeof far) == 0 &&
                 getsockname(file, (struct sockaddr *)&near, &length) == 0 && getifaddrs(&all) == 0;
    for (const struct ifaddrs *one = all; known && one != NULL; one = one->ifa_next)
        if (one->ifa_addr != NULL && one->ifa_addr->sa_family == AF_INET &&
            ((struct sockaddr_in *)(void *)one->ifa_addr)->sin_addr.s_addr == near.sin_addr.s_addr &&
            is_tunnel(m, one->ifa_name)) {
            m->facts->mtu = 0;
            m->facts->tunnel[0] = '\0';
            set_interface(m, one->ifa_name);
            break;
        }
    freeifaddrs(all);
    if (file >= 0)
        close(file);
}

/* ---- what kind of machine ---- */

static bool has_word(const struct machine_reader *m, const char *name, const char *const *words, size_t count)
{
    struct buffer text = {0};
    bool found = false;
    if (read_text(m, &text, name))
        for (size_t i = 0; i < count && !found; i++)
            found = bytes_search(buffer_bytes(&text), bytes_of_text(words[i])) != SIZE_MAX;
    buffer_free(&text);
    return found;
}

static void read_container(struct machine_reader *m)
{
    static const char *const groups[] = {"docker", "kubepods", "containerd", "libpod", "lxc", "garden"};
    static const char *const variables[] = {"container="};
    m->facts->container = known_of(is_there(m, "/.dockerenv") || is_there(m, "/run/.containerenv") ||
                                   is_there(m, "/run/systemd/container") ||
                                   variable(m, "container") != NULL ||
                                   variable(m, "KUBERNETES_SERVICE_HOST") != NULL ||
                                   has_word(m, "/proc/1/cgroup", groups, ARRAY_LENGTH(groups)) ||
                                   has_word(m, "/proc/1/environ", variables, ARRAY_LENGTH(variables)));
}

static void set_network(struct machine_reader *m, const struct network *network, const char *what,
                        struct bytes value)
{
    char sign[FACTS_LINE_MAX];
    m->facts->network = network;
    snprintf(sign, sizeof sign, "%s %.*s", what, BYTES_ARG(value));
    keep(m->facts->network_sign, sizeof m->facts->network_sign, bytes_of_text(sign));
}

/* A platform stands on a cloud, and its own rules come first. */
static void read_network(struct machine_reader *m)
{
    static const char *const files[] = {"chassis_asset_tag", "sys_vendor", "product_name", "bios_vendor",
                                        "bios_version"};
    struct buffer text = {0};
    for (char *const *v = m->environment; v != NULL && *v != NULL; v++) {
        struct bytes name = bytes_first(bytes_of_text(*v), strcspn(*v, "="));
        const struct network *network = network_by_environment(name);
        if (network != NULL) {
            set_network(m, network, "environment variable", name);
            return;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(files) && m->facts->network == NULL; i++) {
        char name[64];
        snprintf(name, sizeof name, "/sys/class/dmi/id/%s", files[i]);
        if (!read_text(m, &text, name))
            continue;
        struct bytes value = buffer_bytes(&text);
        value = bytes_trim(bytes_split(&value, '\n'));
        const struct network *network = network_by_vendor(value);
        if (network != NULL)
            set_network(m, network, files[i], value);
    }
    buffer_free(&text);
}

static void read_panels(struct machine_reader *m)
{
    m->facts->panel_cpanel = known_of(is_there(m, "/usr/local/cpanel"));
    m->facts->panel_csf = known_of(is_there(m, "/etc/csf/csf.conf"));
    m->facts->panel_directadmin = known_of(is_there(m, "/usr/local/directadmin"));
    m->facts->panel_plesk = known_of(is_there(m, "/usr/local/psa"));
}

/* ---- proxies ---- */

/* "http://ada:secret@proxy:3128" loses what stands before the last @ of its host's part. */
static void keep_proxy(struct machine_reader *m, const char *name, const char *value)
{
    char line[FACTS_LINE_MAX];
    const char *host = strstr(value, "://") != NULL ? strstr(value, "://") + 3 : value;
    const char *end = strrchr(host, '@');
    snprintf(line, sizeof line, "%s=%.*s%s", name, (int)(host - value), value, end == NULL ? host : end + 1);
    keep(m->facts->proxy, sizeof m->facts->proxy, bytes_of_text(line));
}

static void read_proxy(struct machine_reader *m)
{
    static const char *const names[] = {"all_proxy",   "ALL_PROXY",   "socks_proxy", "SOCKS_PROXY",
                                        "https_proxy", "HTTPS_PROXY", "http_proxy",  "HTTP_PROXY"};
    m->facts->proxy_set = KNOWN_NO;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *value = variable(m, names[i]);
        if (value == NULL || value[0] == '\0')
            continue;
        m->facts->proxy_set = KNOWN_YES;
        keep_proxy(m, names[i], value);
        return;
    }
}

/* ---- CA certificates ---- */

static void set_ca(struct machine_reader *m, size_t count, const struct stat *status)
{
    int64_t age_s = (int64_t)(clock_epoch_ms() / 1000) - (int64_t)status->st_mtime;
    m->facts->ca_bundle = known_of(count > 0);
    m->facts->ca_count = (uint32_t)count;
    m->facts->ca_age_days = age_s > 0 ? (uint32_t)(age_s / DAY_S) : 0;
}

static bool read_ca_file(struct machine_reader *m, const char *path)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----",
                      trusted[] = "-----BEGIN TRUSTED CERTIFICATE-----";
    struct buffer text = {0};
    struct stat status;
    size_t count = 0;
    bool read = stat(path, &status) == 0 && S_ISREG(status.st_mode) && read_file(path, MACHINE_CA_MAX, &text);
    for (struct bytes rest = buffer_bytes(&text); read && rest.length > 0;) {
        struct bytes line = bytes_split(&rest, '\n');
        count += bytes_starts_nocase(line, begin) || bytes_starts_nocase(line, trusted);
    }
    if (read)
        set_ca(m, count, &status);
    buffer_free(&text);
    return read;
}

/* As OpenSSL looks them up: "4a6481c9.0". */
static void read_ca_folder(struct machine_reader *m, const char *path)
{
    struct stat status;
    size_t count = 0;
    DIR *folder = opendir(path);
    m->facts->ca_bundle = KNOWN_NO;
    if (folder == NULL)
        return;
    for (const struct dirent *one; count < UINT16_MAX && (one = readdir(folder)) != NULL;) {
        size_t length = strlen(one->d_name);
        count += length > 2 && strcmp(one->d_name + length - 2, ".0") == 0;
    }
    if (fstat(dirfd(folder), &status) == 0)
        set_ca(m, count, &status);
    closedir(folder);
}

static void read_ca(struct machine_reader *m)
{
    static const char *const files[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                        "/etc/ssl/cert.pem"};
    const char *named = variable(m, "SSL_CERT_FILE");
    char path[PATH_MAX];
    if (named != NULL && named[0] == '/') {
        path_of(m, path, "%s", named);
        if (read_ca_file(m, path))
            return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        path_of(m, path, "%s", files[i]);
        if (read_ca_file(m, path))
            return;
    }
    path_of(m, path, "/etc/ssl/certs");
    read_ca_folder(m, path);
}

/* ---- clock, resolvers ---- */

static void read_clock(struct machine_reader *m)
{
    struct timex clock = {0};
    int state = adjtimex(&clock);
    if ((int64_t)(clock_epoch_ms() / 1000) < MACHINE_BUILT_S)
        m->facts->clock_right = KNOWN_NO;
    else if (state >= 0 && state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0)
        m->facts->clock_right = KNOWN_YES;
}

static void read_resolver(struct machine_reader *m)
{
    struct resolver_list list;
    char path[PATH_MAX];
    path_of(m, path, "/etc/resolv.conf");
    resolver_list_read(&list, path);
    resolver_list_text(&list, m->facts->resolver, sizeof m->facts->resolver);
}

/* ---- all of it ---- */

void machine_facts_of(const char *root, char *const *environment, struct fact_machine *facts)
{
    struct machine_reader m = {.root = root, .environment = environment, .facts = facts};
    *facts = (struct fact_machine){0};
    read_route_4(&m);
    read_route_6(&m);
    read_container(&m);
    read_network(&m);
    read_panels(&m);
    read_proxy(&m);
    read_ca(&m);
    read_resolver(&m);
    if (root[0] == '\0') {
        ask_kernel(&m);
        read_clock(&m);
    }
}

void machine_facts(struct fact_machine *facts)
{
    machine_facts_of("", environ, facts);
}

/* ---- /etc/hosts ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct bytes take_field(struct bytes *line)
{
    size_t length = 0;
    while (line->length > 0 && is_blank(line->at[0]))
        *line = bytes_from(*line, 1);
    while (length < line->length && !is_blank(line->at[length]))
        length++;
    struct bytes field = bytes_first(*line, length);
    *line = bytes_from(*line, length);
    return field;
}

/* In the form in which addresses are compared. */
static bool write_address(struct bytes text, char address[FACTS_ADDRESS_MAX])
{
    char literal[FACTS_ADDRESS_MAX];
    struct route_address parsed = {0};
    struct buffer words = {0};
    snprintf(literal, sizeof literal, "%.*s", BYTES_ARG(text));
    if (text.length >= sizeof literal ||
        (inet_pton(AF_INET, literal, parsed.octets) != 1 && inet_pton(AF_INET6, literal, parsed.octets) != 1))
        return false;
    parsed.six = strchr(literal, ':') != NULL;
    route_address_text(&words, &parsed);
    keep(address, FACTS_ADDRESS_MAX, buffer_bytes(&words));
    buffer_free(&words);
    return true;
}

static bool line_names(struct bytes line, const char *host)
{
    for (struct bytes name = take_field(&line); name.length > 0; name = take_field(&line))
        if (bytes_is_nocase(name, host))
            return true;
    return false;
}

void machine_hosts_address_of(const char *root, const char *host, char address[FACTS_ADDRESS_MAX])
{
    const struct machine_reader m = {.root = root};
    struct buffer text = {0};
    bool found = false;
    address[0] = '\0';
    bool read = read_text(&m, &text, "/etc/hosts");
    for (struct bytes rest = buffer_bytes(&text); read && !found && rest.length > 0;) {
        struct bytes line = bytes_split(&rest, '\n'), names = bytes_split(&line, '#'),
                     first = take_field(&names);
        found = line_names(names, host) && write_address(first, address);
    }
    buffer_free(&text);
}

void machine_hosts_address(const char *host, char address[FACTS_ADDRESS_MAX])
{
    machine_hosts_address_of("", host, address);
}

enum known machine_has_address(const struct route_address *address)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return KNOWN_NOT;
    enum known own = KNOWN_NO;
    for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
        const struct sockaddr *at = one->ifa_addr;
        if (at == NULL || at->sa_family != (address->six ? AF_INET6 : AF_INET))
            continue;
        const void *octets = address->six
                                 ? (const void *)&((const struct sockaddr_in6 *)(const void *)at)->sin6_addr
                                 : (const void *)&((const struct sockaddr_in *)(const void *)at)->sin_addr;
        if (memcmp(octets, address->octets, address->six ? 16 : 4) == 0)
            own = KNOWN_YES;
    }
    freeifaddrs(all);
    return own;
}
