// TLS, as far as Swift needs it. What fails leaves its reasons in the thread's queue of OpenSSL, from
// which `martlet_tls_error` takes them.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct ssl_ctx_st martlet_tls_context;
typedef struct ssl_st martlet_tls;
typedef struct martlet_certificates martlet_certificates;
typedef struct evp_pkey_st martlet_key;
typedef struct martlet_ticket_keys martlet_ticket_keys;
typedef struct x509_store_st martlet_authorities;

enum { martlet_tls_v12 = 0x0303, martlet_tls_v13 = 0x0304 };

/// Empties the thread's queue of errors and returns the most telling one; 0: there is none.
uint64_t martlet_tls_error(void);
/// What an error is called; `out` ends with a zero.
void martlet_tls_error_text(uint64_t error, char *out, size_t count);
/// Why a handshake fails, as far as it is told apart.
enum {
  martlet_cause_failed = 0,
  martlet_cause_closed = 1,
  martlet_cause_plain_http = 2,
  martlet_cause_malformed = 3,
  martlet_cause_version = 4,
  martlet_cause_cipher = 5,
  martlet_cause_alpn = 6,
  martlet_cause_certificate = 7,
  martlet_cause_refused = 8
};
int martlet_tls_error_cause(uint64_t error);
/// Why the certificate of the other side is not good: 0 when it is, or there is none; `out` ends with a zero.
int martlet_tls_verify_text(martlet_tls *tls, char *out, size_t count);
/// What the other side has done behind its handshake that it may not.
enum {
  martlet_fault_none = 0,
  martlet_fault_renegotiation = 1,
  martlet_fault_new_keys = 2,
  martlet_fault_malformed = 3,
  martlet_fault_refused = 4
};
/// The first of these, which is forgotten; `error` is what OpenSSL calls it, 0: nothing.
int martlet_tls_take_fault(martlet_tls *tls, uint64_t *error);

// Certificates and keys

/// At most this many certificates stand in a chain.
enum { martlet_chain_limit = 16 };

/// The certificates of a PEM text, the first of which is the server's or the client's own; NULL when
/// there is none or one is broken.
martlet_certificates *martlet_certificates_read(const uint8_t *pem, size_t count);
void martlet_certificates_free(martlet_certificates *certificates);
int martlet_certificates_count(const martlet_certificates *certificates);

/// The first private key of a PEM text; NULL when there is none, or it has a pass phrase.
martlet_key *martlet_key_read(const uint8_t *pem, size_t count);
void martlet_key_free(martlet_key *key);
/// Whether the key is that of the first certificate.
int martlet_key_fits(const martlet_certificates *certificates, martlet_key *key);

/// One name of the first certificate: its kind is 1 for a host, 2 for an address in text, 3 for the
/// common name of a certificate without any of these.
typedef void (*martlet_name_visitor)(void *context, int kind, const char *name, size_t count);
void martlet_certificates_names(
    const martlet_certificates *certificates, martlet_name_visitor visit, void *context);

/// When the first certificate begins and ends to be good, in seconds since 1970.
void martlet_certificates_times(
    const martlet_certificates *certificates, int64_t *from, int64_t *until);
/// The kind of the first certificate's key, as OpenSSL numbers them.
int martlet_certificates_key_kind(const martlet_certificates *certificates);

/// A text about a certificate: returns its length, or −1; `out` need not end with a zero.
enum {
  martlet_text_subject = 1,
  martlet_text_issuer = 2,
  martlet_text_serial = 3,
  martlet_text_common_name = 4,
  martlet_text_fingerprint = 5
};
int martlet_certificates_text(
    const martlet_certificates *certificates, int what, char *out, size_t count);

/// Authorities that are believed, and the revocation lists that go with them; NULL when the text is
/// broken. With an empty text those that the system believes.
martlet_authorities *martlet_authorities_read(const uint8_t *pem, size_t count);
/// Adds revocation lists, and has every certificate looked up in them.
int martlet_authorities_revoke(martlet_authorities *authorities, const uint8_t *pem, size_t count);
void martlet_authorities_free(martlet_authorities *authorities);

/// The first certificate, which stays the owner's.
struct x509_st *martlet_certificates_first(const martlet_certificates *certificates);
/// One of them, which stays the owner's; NULL behind the last.
struct x509_st *martlet_certificates_at(const martlet_certificates *certificates, int index);

// Digests

/// SHA-256: 32 bytes.
int martlet_digest(const uint8_t *bytes, size_t count, uint8_t *out);
/// A digest of bytes that come one after the other: SHA-512, or SHA-256; NULL without memory.
typedef struct martlet_hash martlet_hash;
martlet_hash *martlet_hash_new(int is_long);
void martlet_hash_free(martlet_hash *hash);
void martlet_hash_add(martlet_hash *hash, const uint8_t *bytes, size_t count);
/// Writes up to 64 bytes, and returns how many.
size_t martlet_hash_end(martlet_hash *hash, uint8_t *out);
/// GMAC with AES-128 of bytes that come one after the other, by a key of 16 bytes and a nonce of 12; NULL without
/// memory.
typedef struct martlet_check martlet_check;
martlet_check *martlet_check_new(const uint8_t *key, const uint8_t *nonce);
void martlet_check_free(martlet_check *check);
void martlet_check_add(martlet_check *check, const uint8_t *bytes, size_t count);
/// Writes 16 bytes; 0: it could not be made.
int martlet_check_end(martlet_check *check, uint8_t *out);
/// HMAC with SHA-256: 32 bytes.
int martlet_authenticate(
    const uint8_t *key, size_t key_count, const uint8_t *bytes, size_t count, uint8_t *out);

// Issuing

/// A new key on the curve P-256.
martlet_key *martlet_key_new(void);
/// The key in PEM form: its length, or −1.
int64_t martlet_key_pem(martlet_key *key, uint8_t *out, size_t count);
/// The point of a key on P-256, as two numbers of 32 bytes.
int martlet_key_point(martlet_key *key, uint8_t *x, uint8_t *y);
/// Signs with a key on P-256 and SHA-256: 64 bytes.
int martlet_key_sign(martlet_key *key, const uint8_t *bytes, size_t count, uint8_t *out);

/// A request for a certificate in DER form; `names` has one in each line: its length, or −1.
int64_t martlet_request(martlet_key *key, const char *names, uint8_t *out, size_t count);

enum {
  martlet_plan_authority = 1,
  martlet_plan_server = 2,
  martlet_plan_proof = 3,
  martlet_plan_responder = 4
};
/// What a certificate is to say.
typedef struct {
  int kind;
  const char *organization, *common_name;
  /// One in each line; NULL for an authority.
  const char *names;
  int64_t from, until;
  /// Of an authority: for which names it is good, as `x509v3_config(5)` writes it; NULL: for all.
  const char *constraints;
  /// Of a proof: 32 bytes.
  const uint8_t *digest;
  /// Of a server: where the list of revoked certificates is; NULL: nowhere.
  const char *list;
  /// Of a server: who is asked what became of it; NULL: nobody.
  const char *responder;
  /// The number, positive and at most 20 bytes; with a count of 0 one that nobody can guess.
  const uint8_t *serial;
  size_t serial_count;
} martlet_certificate_plan;
/// Makes a certificate in PEM form for `key`, which vouches for itself without an issuer: its length,
/// or −1.
int64_t martlet_certificate_issue(
    const martlet_certificate_plan *plan, martlet_key *key,
    const martlet_certificates *issuer, martlet_key *issuer_key, uint8_t *out, size_t count);

/// The key of the authority and the number of the first certificate, as bytes of DER.
int martlet_certificates_renewal_id(
    const martlet_certificates *certificates, uint8_t *authority, size_t *authority_count,
    uint8_t *serial, size_t *serial_count);

// Revocation

/// A certificate in DER form, the only one; NULL when it is broken.
martlet_certificates *martlet_certificates_read_der(const uint8_t *der, size_t count);
/// Whether the first certificate was signed by the first of the issuer.
int martlet_certificates_signed_by(
    const martlet_certificates *certificates, const martlet_certificates *issuer);
/// The first certificate in DER form: its length, or −1.
int64_t martlet_certificates_der(
    const martlet_certificates *certificates, uint8_t *out, size_t count);
/// Whether the key of the first certificate is the one with this point: on P-256 with numbers of 32 bytes, on P-384
/// with 48.
int martlet_certificates_has_point(
    const martlet_certificates *certificates, const uint8_t *x, const uint8_t *y, size_t width);
/// Whether it is the RSA key with this modulus and exponent.
int martlet_certificates_has_modulus(
    const martlet_certificates *certificates, const uint8_t *n, size_t n_count, const uint8_t *e,
    size_t e_count);

enum { martlet_serial_bytes = 20 };
/// What a list of revoked certificates says.
typedef struct {
  /// When it was made, and until when there is a next one, in seconds since 1970.
  int64_t from, until;
  /// Higher than that of any list before.
  uint64_t number;
  /// For each certificate its number, with zeros in front, when it was revoked, and why.
  const uint8_t *serials;
  const int64_t *times;
  const int32_t *reasons;
  size_t count;
} martlet_revocations;
/// Makes a list in DER form that an authority signs: its length, or −1. RFC 5280, section 5.
int64_t martlet_list_issue(
    const martlet_revocations *plan, const martlet_certificates *issuer, martlet_key *key,
    uint8_t *out, size_t count);

/// The most certificates that a question is about, and the longest nonce.
enum { martlet_status_count = 16, martlet_nonce_bytes = 128 };
/// What became of a certificate: one of `martlet_staple_good` and so on; of one that was revoked when and why.
typedef struct {
  int verdict;
  int64_t time;
  int32_t reason;
} martlet_standing;
/// Tells what became of the certificate with a number.
typedef void (*martlet_standing_visitor)(
    void *context, const uint8_t *serial, size_t count, martlet_standing *standing);
/// How a question is answered: from when on, until when, and by whom it is known.
typedef struct {
  int64_t from, until;
  martlet_standing_visitor visit;
  void *context;
} martlet_status_plan;
/// Answers a question about certificates of an authority, in DER form, signed by itself or by whom it lets do
/// that: its length, or −1. RFC 6960.
int64_t martlet_status_answer(
    const uint8_t *question, size_t question_count, const martlet_certificates *authority,
    const martlet_certificates *signer, martlet_key *key, const martlet_status_plan *plan,
    int *has_nonce, int *is_answered, uint8_t *out, size_t count);
/// Says that a question is not in form, or that there is no answer for now: its length, or −1.
int64_t martlet_status_refusal(int is_for_now, uint8_t *out, size_t count);

// Signatures and requests of others

/// Whether the key with a point has signed: on P-256, two numbers of 32 bytes, with SHA-256, on P-384, of 48 bytes,
/// with SHA-384. The signature is as long as the point.
int martlet_verify_point(
    const uint8_t *x, const uint8_t *y, size_t width, const uint8_t *bytes, size_t count,
    const uint8_t *signature);
/// Whether the RSA key with a modulus and an exponent has signed with SHA-256.
int martlet_verify_modulus(
    const uint8_t *n, size_t n_count, const uint8_t *e, size_t e_count, const uint8_t *bytes,
    size_t count, const uint8_t *signature, size_t signature_count);
/// The key of a request for a certificate in DER form; NULL when it is broken, not signed by its key, or that
/// is weak.
martlet_key *martlet_request_key(const uint8_t *der, size_t count);
/// The names that it asks for, the common name last; 0 when it asks for something else besides.
int martlet_request_names(
    const uint8_t *der, size_t count, martlet_name_visitor visit, void *context);

// Stapling

/// The URL at which a responder tells whether the first certificate was revoked: its length; 0: it names
/// none, −1: one that does not fit.
int martlet_certificates_responder(
    const martlet_certificates *certificates, char *out, size_t count);
/// Notes who has signed the first certificate, which nobody is shown; before anybody else uses it.
int martlet_certificates_vouch(
    martlet_certificates *certificates, const martlet_certificates *issuer);
/// Who has signed it, where that was noted.
struct x509_st *martlet_certificates_voucher(const martlet_certificates *certificates);
/// Whether the first certificate tells clients to insist on a stapled response. RFC 7633.
int martlet_certificates_must_staple(const martlet_certificates *certificates);
/// A question about the first certificate in DER form: its length, or −1 when the certificate of who has
/// signed it is not among them.
int64_t martlet_staple_request(
    const martlet_certificates *certificates, uint8_t *out, size_t count);

enum { martlet_staple_good = 0, martlet_staple_revoked = 1, martlet_staple_unknown = 2 };
/// What a response says of a certificate: from when on, until when, in seconds since 1970; without an end
/// `until` is 0.
typedef struct {
  int verdict;
  int64_t from, until;
} martlet_staple_status;
/// What came of reading a response.
enum {
  martlet_staple_read = 1,
  martlet_staple_malformed = 2,
  martlet_staple_refused = 3,
  martlet_staple_unsigned = 4,
  martlet_staple_other = 5,
  martlet_staple_no_issuer = 6
};
/// Reads a response about the first certificate and sees who has signed it.
int martlet_staple_check(
    const martlet_certificates *certificates, const uint8_t *der, size_t count,
    martlet_staple_status *status);
/// Whether bytes are a response, about whatever.
int martlet_staple_is_response(const uint8_t *der, size_t count);
/// Gives the first certificate a place for a response; before anybody else uses it.
int martlet_staple_prepare(martlet_certificates *certificates);
/// Has clients shown a response until a moment, in seconds since 1970; with `count` 0 none. From any
/// thread.
int martlet_staple_put(
    const martlet_certificates *certificates, const uint8_t *der, size_t count, int64_t until);
/// Called by OpenSSL when a client asks for a response.
int martlet_staple_give(martlet_tls *tls, void *argument);

// Tickets

/// Keys of session tickets, derived from a secret for each span of so many seconds.
martlet_ticket_keys *martlet_ticket_keys_new(
    const uint8_t *secret, size_t count, uint64_t seconds);
/// The same secret with spans of another length; NULL without memory.
martlet_ticket_keys *martlet_ticket_keys_every(
    const martlet_ticket_keys *keys, uint64_t seconds);
void martlet_ticket_keys_free(martlet_ticket_keys *keys);

// Contexts

/// A context for one side; NULL without memory.
martlet_tls_context *martlet_tls_context_new(int is_server);
void martlet_tls_context_free(martlet_tls_context *context);
/// Adds a certificate with its chain and key; there is one for each kind of key.
int martlet_tls_context_add(
    martlet_tls_context *context, const martlet_certificates *certificates, martlet_key *key);
int martlet_tls_context_versions(martlet_tls_context *context, int least, int most);
/// Ciphers up to TLS 1.2; those of TLS 1.3; the groups for the key exchange. NULL leaves the usual ones.
int martlet_tls_context_ciphers(
    martlet_tls_context *context, const char *ciphers, const char *suites, const char *groups,
    int server_chooses);
/// The protocols in order of preference, in the form of RFC 7301, at most 255 bytes.
int martlet_tls_context_protocols(
    martlet_tls_context *context, const uint8_t *list, size_t count, int is_server);
/// Lets sessions be continued for so many seconds: by tickets where there are keys, and by identifier.
int martlet_tls_context_sessions(
    martlet_tls_context *context, martlet_ticket_keys *keys, int64_t seconds, int cache_count,
    const uint8_t *name, size_t name_count);
/// Asks the other side for a certificate, and with `must` does without none.
int martlet_tls_context_verify(
    martlet_tls_context *context, martlet_authorities *authorities, const uint8_t *pem, size_t count,
    int asks, int must);
/// Writes the secrets of sessions to a file; −1: no longer.
int martlet_tls_context_key_log(martlet_tls_context *context, int file);
/// Called when a client has said whom it wants to speak to; it may switch to another context.
typedef int (*martlet_hello_visitor)(martlet_tls *tls, int *alert, void *context);
void martlet_tls_context_choose(
    martlet_tls_context *context, martlet_hello_visitor visit, void *argument);

// Sessions

/// A session over a socket, which stays the caller's; NULL without memory.
martlet_tls *martlet_tls_new(martlet_tls_context *context, int socket, int is_server);
void martlet_tls_free(martlet_tls *tls);
/// As a client: asks for the server of a name, NULL: of none, and with `host` accepts only a certificate for
/// that host, or for that address where `is_address`.
int martlet_tls_expect(
    martlet_tls *tls, const char *server_name, const char *host, int is_address);

/// What continues a session; NULL where nothing does.
typedef struct ssl_session_st martlet_session;
martlet_session *martlet_tls_session(martlet_tls *tls);
int martlet_tls_resume(martlet_tls *tls, martlet_session *session);
void martlet_session_free(martlet_session *session);

/// Lets bytes that were received already come before those of the socket.
int martlet_tls_carry(martlet_tls *tls, const uint8_t *bytes, size_t count);
/// In the visitor of a hello: the host that the client asks for; its length, 0: none, −1: broken.
int64_t martlet_tls_hello_name(martlet_tls *tls, const uint8_t **name);
/// In the visitor of a hello: whether the client asks for the proof of a name, and nothing else.
int martlet_tls_hello_asks_proof(martlet_tls *tls);
/// In the visitor of a hello: goes on with another context.
int martlet_tls_switch(martlet_tls *tls, martlet_tls_context *context);

enum {
  martlet_tls_done = 1,
  martlet_tls_needs_input = 2,
  martlet_tls_needs_room = 3,
  martlet_tls_failed = 4
};
int martlet_tls_handshake(martlet_tls *tls);
/// The errno of a socket that broke, −1 when the other side closed, 0: neither.
int martlet_tls_socket_error(martlet_tls *tls);
/// The first bytes that came, at most 8; returns how many there are.
size_t martlet_tls_first_bytes(martlet_tls *tls, uint8_t *out);

/// Counts the messages of handshakes, so that a flood of them ends; given to contexts of servers.
void martlet_tls_note(const martlet_tls *tls, int where, int value);
/// Has a session of a server last as long as the context says that it was switched to.
void martlet_tls_put_time(const martlet_tls *tls);

/// Bytes, 0 at the end, or a negated error number: EAGAIN, EPROTO, or that of the socket.
int64_t martlet_tls_receive(martlet_tls *tls, void *bytes, size_t count);
/// With `ends_next` the session is closed at once behind them, and the end may go in the same packet.
int64_t martlet_tls_send(martlet_tls *tls, const void *bytes, size_t count, int ends_next);
/// Whether there is something to receive: bytes, the end, or a failure. What the other side says to the
/// session alone is taken in on the way.
int martlet_tls_has_input(martlet_tls *tls);
/// Whether the next receive has to wait for the socket, as far as is known.
int martlet_tls_is_drained(martlet_tls *tls);
/// Says that nothing more is sent, as far as the socket takes that now.
void martlet_tls_close(martlet_tls *tls);

const char *martlet_tls_version(martlet_tls *tls);
const char *martlet_tls_cipher(martlet_tls *tls);
/// The host that the client has asked for; NULL: none.
const char *martlet_tls_server_name(martlet_tls *tls);
/// The protocol that was agreed on; its length.
size_t martlet_tls_protocol(martlet_tls *tls, const uint8_t **name);
int martlet_tls_is_resumed(martlet_tls *tls);
/// Whether the other side has shown a certificate for this name or address alone that has the proof of 32 bytes.
/// RFC 8737.
int martlet_tls_shows_proof(
    martlet_tls *tls, const char *name, int is_address, const uint8_t *digest);
/// The certificate of the other side, if it has shown one that is good; NULL: none.
martlet_certificates *martlet_tls_peer(martlet_tls *tls);
