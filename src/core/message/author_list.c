/* SPDX-License-Identifier: Apache-2.0 */
#include "core/message/author_list.h"

#include <assert.h>

#include "base/white_space.h"
#include "core/smtp/address.h"

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_LITERAL, TOKEN_MARK, TOKEN_BAD };

/* A tokenizer with one token of look-ahead. */
struct author_reader {
    struct bytes rest; /* after the token */
    enum token_kind kind;
    struct bytes token;
    struct buffer *addresses;
    size_t count, most;
    bool in_group;
};

/* ---- tokens ---- */

static bool has_any(struct bytes text, const char *octets)
{
    for (size_t i = 0; i < text.length; i++)
        if (bytes_find(bytes_of_text(octets), text.at[i]) != SIZE_MAX)
            return true;
    return false;
}

/* Returns the octets of the comment at the start of `text`; 0 if it has no end. Comments nest; for a reader
 * that does not know this the comment ends at its first parenthesis: what follows may look like nothing but
 * words. */
static size_t comment_length(struct bytes text)
{
    size_t depth = 0, first_end = 0;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (c == '\\') {
            i++;
        } else if (c == '(') {
            if (++depth > COMMENT_DEPTH_MAX)
                return 0;
        } else if (c == ')') {
            first_end = first_end == 0 ? i : first_end;
            if (--depth > 0)
                continue;
            bool ambiguous = has_any(bytes_of(text.at + first_end, i - first_end), "@<>,;:\"");
            return ambiguous ? 0 : i + 1;
        }
    }
    return 0;
}

/* Skips spaces and comments; false if a comment has no end. */
static bool skip_comments(struct bytes *text)
{
    while (text->length > 0 && (white_space_has(text->at[0]) || text->at[0] == '(')) {
        size_t length = white_space_has(text->at[0]) ? 1 : comment_length(*text);
        if (length == 0)
            return false;
        *text = bytes_from(*text, length);
    }
    return true;
}

/* Returns the octets of the quoted string or literal at the start of `text`, 0 if it has no end. */
static size_t enclosed_length(struct bytes text, char end)
{
    for (size_t i = 1; i < text.length; i++) {
        if (text.at[i] == '\\')
            i++;
        else if (text.at[i] == end)
            return i + 1;
    }
    return 0;
}

/* Atoms and dots; octets above 127 are taken for letters. */
static size_t word_length(struct bytes text)
{
    size_t i = 0;
    while (i < text.length && (ascii_is_alnum(text.at[i]) || (unsigned char)text.at[i] > 127 ||
                               (text.at[i] != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", text.at[i]) != NULL)))
        i++;
    return i;
}

/* Steps to the next token. */
static void step(struct author_reader *r)
{
    struct bytes text = r->rest;
    size_t length = 1;
    if (!skip_comments(&text)) {
        r->kind = TOKEN_BAD;
        return;
    }
    if (text.length == 0) {
        r->kind = TOKEN_END;
        length = 0;
    } else if (text.at[0] == '"' || text.at[0] == '[') {
        r->kind = text.at[0] == '"' ? TOKEN_QUOTED : TOKEN_LITERAL;
        length = enclosed_length(text, text.at[0] == '"' ? '"' : ']');
    } else if (strchr("<>,:;@", text.at[0]) != NULL && text.at[0] != '\0') {
        r->kind = TOKEN_MARK;
    } else {
        r->kind = TOKEN_WORD;
        length = word_length(text);
    }
    if (length == 0 && r->kind != TOKEN_END)
        r->kind = TOKEN_BAD;
    r->token = bytes_first(text, length);
    r->rest = bytes_from(text, length);
}

static bool is_mark(const struct author_reader *r, char mark)
{
    return r->kind == TOKEN_MARK && r->token.at[0] == mark;
}

static bool take_mark(struct author_reader *r, char mark)
{
    bool is = is_mark(r, mark);
    if (is)
        step(r);
    return is;
}

static bool is_word(const struct author_reader *r)
{
    return r->kind == TOKEN_WORD || r->kind == TOKEN_QUOTED;
}

/* ---- the list as the standard has it ---- */

/* An encoded word is none where an address stands, but some readers decode it there. */
static bool is_address(struct bytes text)
{
    struct address parsed;
    return address_parse(text, true, &parsed) && bytes_search(text, BYTES("=?")) == SIZE_MAX;
}

static bool keep(struct author_reader *r, struct bytes address)
{
    if (r->count == r->most || !is_address(address))
        return false;
    r->count++;
    buffer_add(r->addresses, address);
    buffer_add_octet(r->addresses, '\n');
    return true;
}

/* Reads "@domain" after the local part. */
static bool read_domain(struct author_reader *r, struct bytes local)
{
    struct buffer address = {0};
    if (!take_mark(r, '@') || (r->kind != TOKEN_WORD && r->kind != TOKEN_LITERAL))
        return false;
    buffer_add(&address, local);
    buffer_add_octet(&address, '@');
    buffer_add(&address, r->token);
    bool kept = keep(r, buffer_bytes(&address));
    buffer_free(&address);
    step(r);
    return kept;
}

/* Reads a mailbox, or the name of a group up to its colon. */
static bool read_mailbox(struct author_reader *r)
{
    struct bytes last = bytes_none();
    size_t words = 0;
    for (; is_word(r); words++) {
        last = r->token;
        step(r);
    }
    if (is_mark(r, '@'))
        return words == 1 && read_domain(r, last);
    if (is_mark(r, ':') && words > 0 && !r->in_group) {
        step(r);
        return r->in_group = true;
    }
    if (!take_mark(r, '<') || !is_word(r))
        return false;
    last = r->token;
    step(r);
    return read_domain(r, last) && take_mark(r, '>');
}

static bool read_list(struct author_reader *r)
{
    for (step(r); r->kind != TOKEN_END;) {
        if (take_mark(r, ',')) /* empty elements are obsolete, and harmless */
            continue;
        if (r->in_group && take_mark(r, ';')) {
            r->in_group = false;
        } else {
            bool outside = !r->in_group;
            if (!read_mailbox(r))
                return false;
            if (outside && r->in_group)
                continue;
        }
        if (r->kind != TOKEN_END && !is_mark(r, ',') && !(r->in_group && is_mark(r, ';')))
            return false;
    }
    return !r->in_group && r->count > 0;
}

/* ---- names without their quotes ---- */

struct named_author {
    struct bytes name, address, tail; /* tail: comments after the address */
};

/* True for \" outside of a quoted string, as programs write it that escape what a visitor typed. */
static bool is_escaped_quote(struct bytes text, size_t at)
{
    return text.at[at] == '\\' && at + 1 < text.length && text.at[at + 1] == '"';
}

/* Returns the position of the first of `octets` outside of quoted strings; SIZE_MAX if there is none, or a
 * quoted string has no end. */
static size_t find_outside(struct bytes text, const char *octets)
{
    for (size_t i = 0; i < text.length; i++) {
        if (is_escaped_quote(text, i)) {
            i++;
            continue;
        }
        if (bytes_find(bytes_of_text(octets), text.at[i]) != SIZE_MAX)
            return i;
        size_t quoted = text.at[i] == '"' ? enclosed_length(bytes_from(text, i), '"') : 1;
        if (quoted == 0)
            return SIZE_MAX;
        i += quoted - 1;
    }
    return SIZE_MAX;
}

static bool is_phrase(struct bytes name)
{
    struct author_reader r = {.rest = name};
    do
        step(&r);
    while (is_word(&r));
    return r.kind == TOKEN_END;
}

/* True if the name holds a whole address between separators: it may be meant as another author. */
static bool holds_author(struct bytes name)
{
    size_t pieces = 0;
    bool found = false;
    for (bool more = true; more; pieces++) {
        size_t comma = find_outside(name, ",;");
        more = comma != SIZE_MAX;
        struct bytes piece = white_space_trim(bytes_first(name, comma));
        found = found || is_address(piece);
        name = bytes_from(name, more ? comma + 1 : name.length);
    }
    return pieces > 1 && found;
}

/* Finds "<address>"; the name before it can have brackets too, without an @ in them: "Ada <3". False if
 * there is none. */
static bool find_angle(struct bytes text, size_t *open, size_t *close)
{
    for (size_t from = 0, at; (at = find_outside(bytes_from(text, from), "<")) != SIZE_MAX;) {
        *open = from + at;
        from = *open + 1;
        size_t end = find_outside(bytes_from(text, from), "<>");
        if (bytes_find(bytes_first(bytes_from(text, from), end), '@') == SIZE_MAX)
            continue;
        *close = from + end;
        return end != SIZE_MAX && text.at[*close] == '>';
    }
    return false;
}

/* True for octets that no name has, and for a name that may be meant as several authors. */
static bool is_doubtful(struct bytes name)
{
    for (size_t i = 0; i < name.length; i++)
        if (((unsigned char)name.at[i] < 32 && !white_space_has(name.at[i])) || name.at[i] == 127)
            return true;
    return holds_author(name) ||
           (find_outside(name, "<>") != SIZE_MAX && find_outside(name, ",") != SIZE_MAX);
}

/* Reads what follows an address: comments, then the next author or the end. Semicolons separate too, as in
 * the fields of some mail programs. */
static bool take_tail(struct bytes *rest, struct bytes tail, struct named_author *author)
{
    struct bytes end = tail;
    if (!skip_comments(&end) || (end.length > 0 && end.at[0] != ',' && end.at[0] != ';'))
        return false;
    author->tail = white_space_trim(bytes_first(tail, tail.length - end.length));
    *rest = white_space_trim(bytes_from(end, end.length > 0 ? 1 : 0));
    return true;
}

/* Reads "address" or "any name address", without brackets. */
static bool take_bare(struct bytes *rest, struct named_author *author)
{
    struct bytes all = *rest, piece = white_space_trim(bytes_first(all, find_outside(all, ",;(")));
    size_t at = piece.length;
    while (at > 0 && !white_space_has(piece.at[at - 1]))
        at--;
    author->name = white_space_trim(bytes_first(piece, at));
    author->address = bytes_from(piece, at);
    return !has_any(author->name, "@:\"") &&
           take_tail(rest, bytes_from(all, (size_t)(piece.at - all.at) + piece.length), author);
}

/* Reads "any name <address>"; the brackets may be doubled. */
static bool take_bracketed(struct bytes *rest, size_t open, size_t close, struct named_author *author)
{
    struct bytes all = *rest;
    bool doubled = open > 0 && all.at[open - 1] == '<' && close + 1 < all.length && all.at[close + 1] == '>';
    author->name = white_space_trim(bytes_first(all, open - doubled));
    author->address = white_space_trim(bytes_of(all.at + open + 1, close - open - 1));
    return take_tail(rest, bytes_from(all, close + 1 + doubled), author);
}

/* Reads the author at the start of *rest, which advances past the next comma. */
static bool next_named(struct bytes *rest, struct named_author *author)
{
    size_t open, close;
    bool bare = find_outside(*rest, "<>") == SIZE_MAX;
    if (bare ? !take_bare(rest, author)
             : !find_angle(*rest, &open, &close) || !take_bracketed(rest, open, close, author))
        return false;
    author->address = address_without_root_dot(author->address);
    return is_address(author->address) && !is_doubtful(author->name);
}

static bool read_named(struct author_reader *r, struct bytes value)
{
    struct named_author author;
    for (value = white_space_trim(value); value.length > 0;)
        if (!next_named(&value, &author) || !keep(r, author.address))
            return false;
    return r->count > 0;
}

enum author_list_kind author_list_read(struct bytes value, size_t most, struct buffer *addresses)
{
    size_t before = addresses->length;
    struct author_reader strict = {.rest = value, .addresses = addresses, .most = most}, named = strict;
    if (read_list(&strict))
        return AUTHOR_LIST_PLAIN;
    addresses->length = before;
    if (read_named(&named, value))
        return AUTHOR_LIST_UNQUOTED;
    addresses->length = before;
    return AUTHOR_LIST_MALFORMED;
}

/* ---- quoting ---- */

/* Appends the name's text: without quotes, each run of spaces as one. */
static void add_plain(struct buffer *out, struct bytes name)
{
    bool quoted = false;
    for (size_t i = 0; i < name.length; i++) {
        if (!quoted && is_escaped_quote(name, i)) {
            buffer_add_octet(out, name.at[++i]);
        } else if (name.at[i] == '"') {
            quoted = !quoted;
        } else if (white_space_has(name.at[i])) {
            if (out->length > 0 && out->at[out->length - 1] != ' ')
                buffer_add_octet(out, ' ');
        } else {
            i += quoted && name.at[i] == '\\' && i + 1 < name.length && !white_space_has(name.at[i + 1]);
            buffer_add_octet(out, name.at[i]);
        }
    }
}

/* Splits "=?charset?Q?text?=" before its text; false if the word is not an encoded one (RFC 2047 2). */
static bool split_encoded(struct bytes word, struct bytes *head, struct bytes *text)
{
    if (word.length < 9 || !bytes_starts_nocase(word, "=?") || !bytes_ends_nocase(word, "?="))
        return false;
    struct bytes rest = bytes_of(word.at + 2, word.length - 4);
    struct bytes charset = bytes_split(&rest, '?'), kind = bytes_split(&rest, '?');
    *text = rest;
    *head = bytes_first(word, word.length - 2 - rest.length);
    return charset.length > 0 && word_length(charset) == charset.length && rest.length > 0 &&
           (bytes_is_nocase(kind, "q") || (bytes_is_nocase(kind, "b") && word_length(rest) == rest.length));
}

/* Appends the word with what a phrase does not allow in it encoded too (RFC 2047 5 (3)). */
static void add_encoded_word(struct buffer *out, struct bytes head, struct bytes text)
{
    buffer_add(out, head);
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (ascii_is_alnum(c) || (c != '\0' && strchr("!*+-/=_", c) != NULL))
            buffer_add_octet(out, c);
        else
            buffer_add_format(out, "=%02X", (unsigned)(unsigned char)c);
    }
    buffer_add_text(out, "?=");
}

struct name_writer {
    struct buffer *out;
    size_t line; /* where the current line began */
    bool open, any;
};

static void separate(struct name_writer *w)
{
    if (w->any && w->out->length - w->line > AUTHOR_LINE) {
        buffer_add_text(w->out, "\r\n");
        w->line = w->out->length;
    }
    buffer_add_text(w->out, w->any ? " " : "");
    w->any = true;
}

static void add_word(struct name_writer *w, struct bytes word)
{
    struct bytes head, text;
    bool encoded = split_encoded(word, &head, &text);
    if (encoded && w->open) {
        buffer_add_octet(w->out, '"');
        w->open = false;
    }
    separate(w);
    if (encoded) {
        add_encoded_word(w->out, head, text);
        return;
    }
    buffer_add_text(w->out, w->open ? "" : "\"");
    w->open = true;
    for (size_t i = 0; i < word.length; i++) {
        if (word.at[i] == '"' || word.at[i] == '\\')
            buffer_add_octet(w->out, '\\');
        buffer_add_octet(w->out, word.at[i]);
    }
}

static void add_quoted_name(struct buffer *out, struct bytes name)
{
    struct buffer plain = {0};
    struct name_writer w = {.out = out, .line = out->length};
    add_plain(&plain, name);
    for (struct bytes rest = white_space_trim(buffer_bytes(&plain)); rest.length > 0;)
        add_word(&w, bytes_split(&rest, ' '));
    buffer_add_text(out, w.open ? "\"" : "");
    buffer_free(&plain);
}

void author_list_quote(struct buffer *out, struct bytes value)
{
    struct named_author author;
    value = white_space_trim(value);
    for (bool first = true; value.length > 0; first = false) {
        bool read = next_named(&value, &author);
        assert(read);
        buffer_add_text(out, first ? "" : ",\r\n ");
        if (is_phrase(author.name))
            buffer_add(out, author.name);
        else
            add_quoted_name(out, author.name);
        buffer_add_format(out, "%s<%.*s>", author.name.length > 0 ? " " : "", BYTES_ARG(author.address));
        if (author.tail.length > 0) {
            buffer_add_octet(out, ' ');
            buffer_add(out, author.tail);
        }
    }
    buffer_add_text(out, "\r\n");
}
