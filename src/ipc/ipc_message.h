/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ipc_message: the messages between the processes of Mailboat.
 *
 * The table in ipc_message.c lists each kind, its allowed senders and receivers, and its fields; encoding,
 * decoding and the channels between the processes follow from the table. A reader trusts nothing: a
 * message that is not allowed on its channel, too short, has octets left over, or carries an unexpected
 * descriptor is rejected, and its channel closed.
 */
#ifndef MAILBOAT_IPC_IPC_MESSAGE_H
#define MAILBOAT_IPC_IPC_MESSAGE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "core/client/delivery_outcome.h"
#include "core/route/tls_result.h"
#include "core/smtp/envelope.h"
#include "core/trust/trust_record.h"

/* Every process and its name. Insert new ones before cli: their order determines the fallback ids of
 * missing users (run/users.h). */
#define PROCESS_ROLES(ROLE)        \
    ROLE(SUPERVISOR, "supervisor") \
    ROLE(SMTPD, "smtpd")           \
    ROLE(AUTH, "auth")             \
    ROLE(QUEUE, "queue")           \
    ROLE(RELAY, "relay")           \
    ROLE(LOCAL, "local")           \
    ROLE(PICKUP, "pickup")         \
    ROLE(WEB, "web")               \
    ROLE(TRUST, "trust")           \
    ROLE(SIGN, "sign")             \
    ROLE(REPORT, "report")         \
    ROLE(CLI, "cli")
#define PROCESS_ROLE_NUMBER(role, name) PROCESS_##role,
enum process_role { PROCESS_ROLES(PROCESS_ROLE_NUMBER) };
const char *ipc_role_name(enum process_role role);

enum {
    /* octets of one message: an envelope with the most recipients and inline content */
    IPC_MESSAGE_MAX = 4 * 1024 * 1024,
    /* octets of inline content; larger content is passed as a file */
    INLINE_CONTENT_MAX = 32 * 1024,
};

enum ipc_kind {
    /* supervisor and its children */
    IPC_PEER, /* + descriptor: a fresh channel to a process */
    /* the child had no free descriptor for it, or cannot use it any more: another one follows later */
    IPC_PEER_LOST,
    IPC_DRAIN, /* finish work in progress, then exit 0 */
    IPC_READY, /* the child is sandboxed and running */
    IPC_SECRET,
    IPC_SECRET_ANSWER, /* relay: output of the smarthost's password or token command */
    /* smtpd to auth; pickup and queue resolve recipients there too */
    IPC_PASSWORD,
    IPC_PASSWORD_ANSWER,
    IPC_SALT,
    IPC_SALT_ANSWER, /* SCRAM begins */
    IPC_PROOF,
    IPC_PROOF_ANSWER, /* and ends */
    IPC_CREDENTIAL,
    IPC_CREDENTIAL_ANSWER,
    IPC_SENDER,
    IPC_SENDER_ANSWER, /* pickup too */
    /* is the account, or the local user, within its hourly limits? pickup too */
    IPC_LIMIT,
    IPC_LIMIT_ANSWER,
    IPC_LIMIT_END, /* whether it was sent */
    IPC_RECIPIENT,
    IPC_RECIPIENT_ANSWER,
    IPC_EXPAND,
    IPC_EXPAND_ANSWER, /* queue: a page of an address's members */
    IPC_AWAY,
    IPC_AWAY_ANSWER, /* queue: the current vacation reply of a user */
    /* smtpd and pickup to queue */
    IPC_SPOOL,        /* requests a file for large content */
    IPC_SPOOL_ANSWER, /* + descriptor to write to */
    IPC_SPOOL_DROP,   /* the file is not needed */
    IPC_SUBMIT,
    IPC_SUBMIT_ANSWER,
    IPC_JUDGED, /* smtpd: messages that it has rejected for what mail authentication found */
    /* smtpd to trust: mail authentication of one message */
    IPC_TRUST,      /* its header has ended */
    IPC_TRUST_BODY, /* the body too */
    IPC_TRUST_DROP, /* no answer is needed any more */
    IPC_TRUST_ANSWER,
    /* web asks relay which of this server's submission ports do not respond */
    IPC_EXAMINE,
    IPC_EXAMINED,
    /* web to smtpd */
    /* + descriptor: a connection to its TLS port whose ClientHello, still unread, offers "smtp" */
    IPC_HANDED_OVER,
    /* relay to sign */
    IPC_SIGN,
    IPC_SIGN_ANSWER,
    /* queue to relay, local and report */
    IPC_DELIVER, /* + descriptor to read from, if the content is not inline */
    IPC_DELIVER_ANSWER,
    /* a subcommand to queue through the control socket */
    IPC_CONTROL,
    IPC_CONTROL_ANSWER,
    IPC_CHOOSE, /* the same for some recipients; CONTROL_ANSWER follows */
    IPC_REPORT, /* a report for another domain; CONTROL_ANSWER follows */
    IPC_STATUS,
    IPC_STATUS_ANSWER,
    /* a subcommand to auth through its control socket, PASSWORD too */
    IPC_LOCKS,
    IPC_LOCKS_ANSWER,
    IPC_UNLOCK, /* an account or a client address; CONTROL_ANSWER follows */
    /* changes and queries of the accounts; only by a subcommand */
    IPC_ACCOUNT_CHANGE,
    IPC_ACCOUNT_CHANGED,
    IPC_ACCOUNT_LIST,
    IPC_ACCOUNT_ROWS,
    IPC_KINDS
};

struct ipc_peer {
    uint32_t role;
    uint32_t number; /* distinguishes smtpd processes */
    uint64_t link;   /* number of the channel, given by the supervisor */
};
/* 1: the server stops; 0: a successor follows, sessions may continue */
struct ipc_drain {
    uint8_t quick;
};
struct ipc_nothing {
    uint8_t unused;
}; /* READY */

struct ipc_password {
    uint64_t request;
    struct bytes user, password, client_address;
};
/* `credential`: the session's credential, from accounts_credential(); empty if it has none. */
/* enum password_verdict */
struct ipc_password_answer {
    uint64_t request;
    uint32_t verdict;
    struct bytes account, credential;
};

/* As SERVER_ASK_SALT, SERVER_ASK_PROOF in core/server/server_session.h. */
struct ipc_salt {
    uint64_t request;
    struct bytes user;
};
struct ipc_salt_answer {
    uint64_t request;
    struct bytes salt;
    uint32_t iterations;
};
struct ipc_proof {
    uint64_t request;
    struct bytes user, message, proof, client_address;
};
struct ipc_proof_answer {
    uint64_t request;
    uint32_t verdict;
    struct bytes account, signature, credential;
};

/* Whether a session's credential is still valid. */
enum credential_verdict { CREDENTIAL_HOLDS, CREDENTIAL_ENDED, CREDENTIAL_UNAVAILABLE };
struct ipc_credential {
    uint64_t request;
    struct bytes account, credential;
};
struct ipc_credential_answer {
    uint64_t request;
    uint32_t verdict;
};

struct ipc_secret_answer {
    struct bytes secret, why;
}; /* empty: see the reason */

struct ipc_sender {
    uint64_t request;
    struct bytes account, address;
};
struct ipc_sender_answer {
    uint64_t request;
    uint32_t verdict;
}; /* enum sender_verdict */

/* recipients 0: would a message fit? Nothing is counted then. */
struct ipc_limit {
    uint64_t request;
    struct bytes account;
    uint32_t recipients;
};
/* enum limit_verdict, and its number */
struct ipc_limit_answer {
    uint64_t request;
    uint32_t verdict, number;
};
struct ipc_limit_end {
    uint64_t request;
    uint8_t sent;
};

struct ipc_recipient {
    uint64_t request;
    struct bytes account, address; /* account empty on 25 */
    struct bytes sender; /* of the message, which a forwarding may rewrite; empty: the null sender */
};
struct ipc_recipient_answer {
    uint64_t request;
    uint32_t verdict; /* enum recipient_verdict */
    struct recipient *targets;
    size_t target_count;
};

/* As for accounts_expand(). */
struct ipc_expand {
    uint64_t request;
    struct bytes address;
    uint32_t how;
    struct bytes after;
    struct bytes account, sender; /* of the message, as in struct ipc_recipient */
};
struct ipc_expand_answer {
    uint64_t request;
    uint32_t verdict; /* enum recipient_verdict: KNOWN, UNKNOWN, UNAVAILABLE */
    struct recipient *members;
    size_t member_count;
    struct recipient *missing; /* members that do not exist */
    size_t missing_count;
    struct bytes after; /* start of the next page; empty: that was the last */
};

struct ipc_away {
    uint64_t request;
    struct bytes user;
};
struct ipc_away_answer {
    uint64_t request;
    uint8_t is_away;
    uint32_t days;
    struct bytes subject, text;
};

struct ipc_spool {
    uint64_t request;
};
struct ipc_spool_answer {
    uint64_t request;
    uint32_t verdict;
    uint64_t spool;
}; /* enum store_verdict */
struct ipc_spool_drop {
    uint64_t spool;
};

struct ipc_submit {
    uint64_t request;
    uint64_t id;    /* the queue id, made by the submitter (core/queue/queue_id.h) */
    uint64_t spool; /* the spool file of the content, or 0: inline */
    struct envelope envelope;
    struct origin origin;
    struct bytes prefix;       /* header fields to prepend to the content: this server's, Received first */
    struct bytes content;      /* inline: the whole content */
    struct trust_record trust; /* all zero: nothing was checked */
};
struct ipc_submit_answer {
    uint64_t request;
    uint32_t verdict;
}; /* enum store_verdict */

/* For statistics, some at a time: a crash may lose them. `events` are EVENT_REFUSED as mail_event_encode()
 * writes them. */
enum { JUDGED_OCTETS_MAX = 64 * 1024 };
struct ipc_judged {
    struct bytes events;
};

struct ipc_trust {
    uint64_t request;
    struct bytes client_address, helo, mail_from;
    struct bytes header;     /* FIELD_INDEX_OCTETS_MAX octets; one more: it is too large */
    uint8_t deferred_enough; /* as in struct judgement_question */
};
struct ipc_trust_body {
    uint64_t request;
    struct bytes digests; /* trust_digests_add() */
};
struct ipc_trust_drop {
    uint64_t request;
};
struct ipc_trust_answer {
    uint64_t request;
    uint32_t disposition, proposed, finding, override; /* as in struct verdict */
    uint32_t code;                                     /* of the reply to DEFER and REJECT */
    struct bytes enhanced, text;
    struct bytes author;   /* the domain in From; empty if there is not one */
    struct bytes results;  /* the Authentication-Results field with CRLF */
    struct bytes story;    /* STORY_SENTENCES */
    struct bytes evidence; /* dmarc_evidence_write(), if reports on DMARC are sent */
    uint32_t chain;        /* enum arc_result */
};

struct ipc_examined {
    struct bytes closed;
}; /* "2525,465" */

struct ipc_handed_over {
    uint32_t port;
}; /* the smarthost port in use */

/* The header as it will be sent, and the digest of the body in relaxed form (core/trust/dkim_sign.h). A
 * message that is forwarded gets an ARC set (core/trust/arc_seal.h), any other a DKIM signature per key. */
struct ipc_sign {
    uint64_t request;
    struct bytes domain;      /* in the form of DNS */
    uint8_t takes_parent;     /* a key of the nearest domain above it will do */
    struct bytes header;      /* at most FIELD_INDEX_OCTETS_MAX */
    struct bytes body_digest; /* DKIM_DIGEST octets */
    /* enum arc_result: the chain as it was judged when the message came, which gets another set; ARC_PENDING:
     * a signature is wanted */
    uint8_t chain;
    struct bytes results; /* of a set: the payload of our Authentication-Results */
};
enum sign_verdict {
    SIGN_DONE,   /* `fields` */
    SIGN_NO_KEY, /* the domain has no active key: mail of it is sent without a signature */
    SIGN_UNFIT,  /* nothing can be signed in this header, or its chain gets no further set: `why` */
    SIGN_FAILED, /* it has one, which does not sign: `why` */
    SIGN_VERDICTS
};
struct ipc_sign_answer {
    uint64_t request;
    uint32_t verdict;    /* enum sign_verdict */
    struct bytes fields; /* to be put above the header, with their CRLF */
    struct bytes why;
    struct bytes signer; /* SIGN_DONE: the domain whose key was used */
    uint32_t instance;   /* of the new ARC set; 0: it was signed */
};

struct ipc_deliver {
    uint64_t delivery;        /* number of this attempt, assigned by queue */
    uint64_t id;              /* the message's queue id */
    uint64_t arrived_ms;      /* since the epoch */
    uint32_t attempt;         /* 1 for the first */
    struct bytes destination; /* its destination name: core/route/plan.h */
    uint32_t hop;             /* enum next_hop of the destination */
    uint8_t author;           /* enum message_author */
    uint8_t any_tls;          /* 1: the domain's policy on TLS does not stop it (RFC 8460 5.3.1) */
    uint8_t chain; /* enum arc_result, of a message that is forwarded for others; ARC_PENDING: of all others,
                      and if it was not checked */
    struct envelope envelope; /* with only this delivery's recipients */
    /* header fields to prepend to the content: Delivered-To of forwarders, then this server's */
    struct bytes prefix;
    struct bytes content; /* inline, unless: */
    /* 1: it has a descriptor, which is lost if the reader has none free */
    uint8_t in_file;
    uint32_t disposition; /* enum disposition, of mail authentication: DELIVER or JUNK */
};

struct ipc_deliver_answer {
    uint64_t delivery;
    struct bytes peer; /* "mx1.example.net[192.0.2.1]:25"; empty if no server was reached */
    struct tls_result tls;
    struct delivery_result *results; /* in the order of the delivery's envelope */
    size_t result_count;
};

struct ipc_control {
    uint64_t request;
    uint32_t verb;
    uint64_t id;
    struct bytes argument;
};
/* id 0: all */
enum control_verb { CONTROL_RETRY, CONTROL_HOLD, CONTROL_RELEASE, CONTROL_REMOVE, CONTROL_PING };
struct ipc_control_answer {
    uint64_t request;
    uint32_t ok;
    uint64_t count;
    struct bytes text;
};

/* A recipient of a message. */
struct chosen {
    uint64_t id;
    uint32_t number;
};
enum { CHOSEN_MAX = 1024 }; /* per request; those of one message are adjacent */
struct ipc_choose {
    uint64_t request;
    uint32_t verb;
    struct chosen *chosen;
    size_t chosen_count;
};

/* A report that this server sends to another domain, or a question about those of a day. The answer's count
 * is 1 if it was taken, or if the day is done; else 0, and the text says why. */
enum report_step {
    REPORT_STEP_ASK,    /* are all of the day's sent? */
    REPORT_STEP_GIVE,   /* send this one */
    REPORT_STEP_FINISH, /* all of the day's are sent */
    REPORT_STEPS
};
enum { REPORT_CONTENT_MAX = 1024 * 1024 }; /* octets of one */
struct ipc_report {
    uint64_t request;
    uint32_t step;
    uint32_t kind, day;           /* enum report_kind; days since the epoch */
    struct bytes domain, address; /* that it is about; of its reader */
    struct bytes content;         /* the whole message */
};

/* An active destination, or one that was deferred recently. */
struct destination_status {
    struct bytes name;
    uint32_t deliveries, limit; /* in progress; the limit */
    uint32_t failures;          /* consecutive failed connections */
    uint8_t has_due;            /* more could start */
    uint64_t until_ms;          /* earliest next attempt; 0: now */
    uint64_t deferred_ms;       /* time and reason of the last deferral; 0: not recently */
    struct bytes reason;
};
struct ipc_status {
    uint64_t request;
    uint8_t with_in_progress;
};
struct ipc_status_answer {
    uint64_t request, started_ms;
    uint64_t accepted;                    /* messages since the start */
    uint64_t delivered, deferred, failed; /* recipients, per attempt */
    uint32_t deliveries;                  /* in progress, over all destinations */
    uint8_t is_held, is_full;             /* held by the configuration; the disk is full */
    struct destination_status *destinations;
    size_t destination_count;
    struct chosen *in_progress; /* recipients, if requested */
    size_t in_progress_count;
};

/* A lockout: of a pair, a client address (no account), or an account (no address). */
struct lock_status {
    struct bytes address, account;
    uint32_t failures;
    uint64_t left_ms;
};
enum { LOCKS_MAX = 1000 }; /* per answer */
struct ipc_locks {
    uint64_t request;
};
struct ipc_locks_answer {
    uint64_t request;
    struct lock_status *locks;
    size_t lock_count;
};
struct ipc_unlock {
    uint64_t request;
    struct bytes who;
};

/* Changes of the accounts; each is one transaction. */
enum account_verb {
    ACCOUNT_USER_ADD,
    ACCOUNT_USER_PASSWORD,
    ACCOUNT_USER_DISABLE,
    ACCOUNT_USER_ENABLE,
    ACCOUNT_USER_REMOVE,
    ACCOUNT_USER_FORWARD,
    ACCOUNT_USER_QUOTA,
    ACCOUNT_USER_VACATION,
    ACCOUNT_DOMAIN_ADD,
    ACCOUNT_DOMAIN_REMOVE,
    ACCOUNT_ALIAS_ADD,
    ACCOUNT_ALIAS_REMOVE,
    ACCOUNT_KEY_ADD,
    ACCOUNT_KEY_REVOKE,
    ACCOUNT_IMPORT,       /* each target: a kind, a name, a NUL, a value (struct accounts_import) */
    ACCOUNT_QUOTAS_WRITE, /* no change; rewrites DATA/quotas */
    ACCOUNT_VERBS
};
struct ipc_account_change {
    uint64_t request;
    uint32_t verb;
    struct bytes name; /* address of a user or alias, a domain, a key's id */
    /* the new password, the forwarding address, the purpose of a key, the domain that a domain is */
    struct bytes value;
    uint64_t octets; /* of a quota */
    /* the password is a hash; a copy of forwarded mail is kept; the user has its own quota; a vacation reply
     * is set; more targets follow in the next request */
    uint8_t flag;
    uint64_t since_ms, until_ms;
    uint32_t days;
    struct bytes subject, text;
    struct bytes *targets; /* of an alias */
    size_t target_count;
};
struct ipc_account_changed {
    uint64_t request;
    uint32_t exit_code;  /* from sysexits.h; 0: done, and on disk */
    struct bytes text;   /* reason of a failure */
    uint64_t count;      /* new targets */
    struct bytes secret; /* the new application password */
    struct bytes user;   /* owner of the revoked application password */
};
/* A page of a list: `list` is enum accounts_list (store/accounts.h). */
struct ipc_account_list {
    uint64_t request;
    uint32_t list;
    struct bytes after;
};
struct ipc_account_rows {
    uint64_t request;
    uint32_t exit_code;
    struct bytes text;   /* reason of a failure */
    struct bytes after;  /* start of the next page; empty: that was the last */
    uint32_t columns;    /* per row */
    struct bytes *cells; /* row by row; at is NULL for an absent value */
    size_t cell_count;
};

union ipc_message {
    struct ipc_nothing nothing;
    struct ipc_drain drain;
    struct ipc_peer peer;
    struct ipc_password password;
    struct ipc_password_answer password_answer;
    struct ipc_salt salt;
    struct ipc_salt_answer salt_answer;
    struct ipc_proof proof;
    struct ipc_proof_answer proof_answer;
    struct ipc_secret_answer secret_answer;
    struct ipc_credential credential;
    struct ipc_credential_answer credential_answer;
    struct ipc_sender sender;
    struct ipc_sender_answer sender_answer;
    struct ipc_limit limit;
    struct ipc_limit_answer limit_answer;
    struct ipc_limit_end limit_end;
    struct ipc_recipient recipient;
    struct ipc_recipient_answer recipient_answer;
    struct ipc_expand expand;
    struct ipc_expand_answer expand_answer;
    struct ipc_away away;
    struct ipc_away_answer away_answer;
    struct ipc_spool spool;
    struct ipc_spool_answer spool_answer;
    struct ipc_spool_drop spool_drop;
    struct ipc_submit submit;
    struct ipc_submit_answer submit_answer;
    struct ipc_judged judged;
    struct ipc_trust trust;
    struct ipc_trust_body trust_body;
    struct ipc_trust_drop trust_drop;
    struct ipc_trust_answer trust_answer;
    struct ipc_handed_over handed_over;
    struct ipc_examined examined;
    struct ipc_sign sign;
    struct ipc_sign_answer sign_answer;
    struct ipc_deliver deliver;
    struct ipc_deliver_answer deliver_answer;
    struct ipc_control control;
    struct ipc_control_answer control_answer;
    struct ipc_choose choose;
    struct ipc_locks locks;
    struct ipc_locks_answer locks_answer;
    struct ipc_unlock unlock;
    struct ipc_account_change account_change;
    struct ipc_account_changed account_changed;
    struct ipc_account_list account_list;
    struct ipc_account_rows account_rows;
    struct ipc_report report;
    struct ipc_status status;
    struct ipc_status_answer status_answer;
};

/* The descriptor that may come with a message: of this type, or none. */
enum ipc_carries {
    CARRIES_NOTHING,
    CARRIES_CHANNEL,
    CARRIES_CONNECTION,
    CARRIES_FILE_TO_READ,
    CARRIES_FILE_TO_WRITE
};

const char *ipc_kind_name(enum ipc_kind kind);
/* Returns the descriptor of a message, from its kind and its fields: a delivery with inline content and a
 * rejected spool file carry none. An announced descriptor can still be lost if the reader has none free. */
enum ipc_carries ipc_carries(enum ipc_kind kind, const void *message);
/* True if it contains a password, a token or a proof: its buffers are wiped. */
bool ipc_is_secret(enum ipc_kind kind);
/* True if `from` may send this kind to `to`. */
bool ipc_allowed(enum ipc_kind kind, enum process_role from, enum process_role to);
/* True if `asker` may send questions to the other; the supervisor then makes a channel between them. */
bool ipc_asks(enum process_role asker, enum process_role answerer);

/* Appends the message, in host byte order: both ends run on one machine. */
void ipc_encode(struct buffer *out, enum ipc_kind kind, const void *message);
/* False if malformed. Texts borrow from `in`, arrays from `arena`. */
bool ipc_decode(struct bytes in, struct arena *arena, enum ipc_kind *kind, union ipc_message *message);

#endif
