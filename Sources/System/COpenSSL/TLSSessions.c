#include "COpenSSL.h"
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

enum { record_bytes = 16384, overhead_bytes = 512, gathered_records = 4 };

// Records that go to the socket with one call: many bytes cost the kernel less at once than in pieces.
typedef struct {
  size_t count, sent;
  // Where each record ends, and how much content it has.
  unsigned record_count, sent_records;
  size_t ends[gathered_records], content[gathered_records];
  uint8_t bytes[gathered_records * (record_bytes + overhead_bytes)];
} gathering;

// A session reads and writes its socket by a BIO of our own: it knows whether the socket was emptied,
// raises no signal, can be given bytes that were received before, and gathers records.
typedef struct {
  SSL *tls;
  int socket;
  // The errno of a call that failed, or −1 at the end of the input.
  int error;
  uint8_t is_drained, has_failed, ends_next, first_count, first[8];
  // What the other side has done behind its handshake that it may not, and what OpenSSL calls it.
  int fault;
  unsigned long fault_error;
  // Messages of handshakes, which cost more than they are worth, and the bytes that came with them.
  uint64_t message_count, received;
  uint8_t *carried;
  size_t carried_count, carried_used;
  // Where records are gathered just now, and those that the socket has not taken yet.
  gathering *gathered, *backlog;
  // Content that the socket has taken, and of which nobody was told.
  size_t untold;
} socket_state;

static BIO_METHOD *method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static socket_state *state_of(martlet_tls *tls) { return BIO_get_data(SSL_get_rbio(tls)); }

enum { free_messages = 128, bytes_a_message = 16384 };

// A side may change its keys as often as it likes (RFC 8446, section 4.6.3), and each time costs the other
// one a key as well: more than a few are to be paid for with content.
static int is_flooded(const socket_state *state) {
  return state->message_count > free_messages + state->received / bytes_a_message;
}

static void note_fault(socket_state *state, int fault, unsigned long error) {
  if (state->fault) return;
  state->fault = fault;
  state->fault_error = error;
}

static void note_first(socket_state *state, const char *bytes, size_t count) {
  while (count > 0 && state->first_count < sizeof state->first) {
    state->first[state->first_count++] = (uint8_t)*bytes++;
    count--;
  }
}

static int socket_read(BIO *bio, char *out, int count) {
  socket_state *state = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (count <= 0) return 0;
  if (state->carried) {
    size_t left = state->carried_count - state->carried_used;
    size_t taken = left < (size_t)count ? left : (size_t)count;
    memcpy(out, state->carried + state->carried_used, taken);
    state->carried_used += taken;
    if (taken == left) {
      OPENSSL_free(state->carried);
      state->carried = NULL;
    }
    note_first(state, out, taken);
    state->is_drained = 0;
    return (int)taken;
  }
  if (is_flooded(state)) {
    note_fault(state, martlet_fault_new_keys, 0);
    state->error = EPROTO;
    return -1;
  }
  ssize_t result = recv(state->socket, out, (size_t)count, 0);
  if (result > 0) {
    state->received += (size_t)result;
    // As for plain streams: a short read has emptied the socket.
    state->is_drained = result < count;
    if (state->first_count < sizeof state->first) note_first(state, out, (size_t)result);
    return (int)result;
  }
  if (result == 0) {
    state->error = -1;
    state->is_drained = 0;
    return 0;
  }
  if (errno == EAGAIN || errno == EINTR) {
    state->is_drained = errno == EAGAIN;
    BIO_set_retry_read(bio);
  } else {
    state->error = errno;
  }
  return -1;
}

// Gives a socket as many records as it takes; 0, or a negated error number.
static int64_t send_gathered(socket_state *state, gathering *records) {
  int flags = MSG_NOSIGNAL | (state->ends_next ? MSG_MORE : 0);
  while (records->sent < records->count) {
    size_t left = records->count - records->sent;
    ssize_t result = send(state->socket, records->bytes + records->sent, left, flags);
    if (result < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return -EAGAIN;
      state->error = errno;
      state->has_failed = 1;
      return -state->error;
    }
    records->sent += (size_t)result;
    while (records->sent_records < records->record_count &&
           records->ends[records->sent_records] <= records->sent) {
      state->untold += records->content[records->sent_records++];
    }
  }
  return 0;
}

// Sends what the socket has not taken before, which goes before everything else.
static int64_t send_backlog(socket_state *state) {
  if (state->error > 0) return -state->error;
  if (!state->backlog) return 0;
  int64_t result = send_gathered(state, state->backlog);
  if (result != 0) return result;
  OPENSSL_free(state->backlog);
  state->backlog = NULL;
  return 0;
}

static int socket_write(BIO *bio, const char *bytes, int count) {
  socket_state *state = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  gathering *records = state->gathered;
  if (records) {
    if (sizeof records->bytes - records->count < (size_t)count) {
      BIO_set_retry_write(bio);
      return -1;
    }
    memcpy(records->bytes + records->count, bytes, (size_t)count);
    records->count += (size_t)count;
    return count;
  }
  int64_t before = send_backlog(state);
  if (before != 0) {
    if (before == -EAGAIN) BIO_set_retry_write(bio);
    return -1;
  }
  // What ends a handshake behind which a request has come already, as a ticket does, goes with the answer;
  // the last answer goes with the end.
  int more = state->ends_next || (SSL_in_init(state->tls) && SSL_has_pending(state->tls));
  ssize_t result =
      send(state->socket, bytes, (size_t)count, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
  if (result >= 0) return (int)result;
  if (errno == EAGAIN || errno == EINTR) {
    BIO_set_retry_write(bio);
  } else {
    state->error = errno;
  }
  return -1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer) {
  (void)number;
  (void)pointer;
  socket_state *state = BIO_get_data(bio);
  switch (command) {
  case BIO_CTRL_FLUSH: return 1;
  case BIO_CTRL_EOF: return state->error == -1;
  default: return 0;
  }
}

static int socket_destroy(BIO *bio) {
  socket_state *state = BIO_get_data(bio);
  if (state) {
    OPENSSL_free(state->carried);
    OPENSSL_free(state->backlog);
  }
  OPENSSL_free(state);
  BIO_set_data(bio, NULL);
  return 1;
}

static void make_method(void) {
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket of a loop");
  if (!method) return;
  BIO_meth_set_read(method, socket_read);
  BIO_meth_set_write(method, socket_write);
  BIO_meth_set_ctrl(method, socket_control);
  BIO_meth_set_destroy(method, socket_destroy);
}

// Floods

// Called for each message of a handshake, those behind it too, and for each alert.
void martlet_tls_note(const SSL *tls, int where, int value) {
  socket_state *state = state_of((martlet_tls *)tls);
  if (where == SSL_CB_ACCEPT_LOOP) state->message_count++;
  if (where == SSL_CB_HANDSHAKE_DONE) martlet_tls_put_time(tls);
  // RFC 5246, section 7.2.2: it was refused, and the session goes on.
  if (where == SSL_CB_WRITE_ALERT && (value & 0xFF) == SSL_AD_NO_RENEGOTIATION) {
    note_fault(state, martlet_fault_renegotiation, 0);
  }
}

// Errors

uint64_t martlet_tls_error(void) {
  // The first one tells the cause; those behind it tell who has passed it on.
  unsigned long first = ERR_get_error();
  ERR_clear_error();
  return first;
}

void martlet_tls_error_text(uint64_t error, char *out, size_t count) {
  const char *text = ERR_reason_error_string((unsigned long)error);
  if (text) {
    OPENSSL_strlcpy(out, text, count);
  } else {
    ERR_error_string_n((unsigned long)error, out, count);
  }
}

int martlet_tls_error_cause(uint64_t error) {
  if (ERR_GET_LIB((unsigned long)error) != ERR_LIB_SSL) return martlet_cause_failed;
  int reason = ERR_GET_REASON((unsigned long)error);
  // What the other side says in an alert is its number and 1000.
  if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
    return martlet_cause_refused;
  }
  switch (reason) {
  case SSL_R_UNEXPECTED_EOF_WHILE_READING: return martlet_cause_closed;
  case SSL_R_HTTP_REQUEST:
  case SSL_R_HTTPS_PROXY_REQUEST: return martlet_cause_plain_http;
  case SSL_R_UNSUPPORTED_PROTOCOL:
  case SSL_R_NO_PROTOCOLS_AVAILABLE:
  case SSL_R_VERSION_TOO_LOW:
  case SSL_R_VERSION_TOO_HIGH:
  case SSL_R_INAPPROPRIATE_FALLBACK: return martlet_cause_version;
  case SSL_R_NO_SHARED_CIPHER:
  case SSL_R_NO_SHARED_GROUPS:
  case SSL_R_NO_SUITABLE_GROUPS:
  case SSL_R_NO_SUITABLE_KEY_SHARE:
  case SSL_R_NO_SUITABLE_DIGEST_ALGORITHM:
  case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
  case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS: return martlet_cause_cipher;
  case SSL_R_NO_APPLICATION_PROTOCOL: return martlet_cause_alpn;
  case SSL_R_CERTIFICATE_VERIFY_FAILED:
  case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return martlet_cause_certificate;
  default: return martlet_cause_malformed;
  }
}

int martlet_tls_verify_text(martlet_tls *tls, char *out, size_t count) {
  long result = SSL_get_verify_result(tls);
  if (result == X509_V_OK) return 0;
  OPENSSL_strlcpy(out, X509_verify_cert_error_string(result), count);
  return 1;
}

int martlet_tls_take_fault(martlet_tls *tls, uint64_t *error) {
  socket_state *state = state_of(tls);
  int fault = state->fault;
  *error = state->fault_error;
  state->fault = martlet_fault_none;
  return fault;
}

// Sessions

martlet_tls *martlet_tls_new(martlet_tls_context *context, int socket, int is_server) {
  pthread_once(&once, make_method);
  if (!method) return NULL;
  SSL *tls = SSL_new(context);
  BIO *bio = tls ? BIO_new(method) : NULL;
  socket_state *state = bio ? OPENSSL_zalloc(sizeof *state) : NULL;
  if (!state) {
    BIO_free(bio);
    SSL_free(tls);
    return NULL;
  }
  state->tls = tls;
  state->socket = socket;
  BIO_set_data(bio, state);
  BIO_set_init(bio, 1);
  SSL_set_bio(tls, bio, bio);
  if (is_server) {
    SSL_set_accept_state(tls);
  } else {
    SSL_set_connect_state(tls);
  }
  return tls;
}

void martlet_tls_free(martlet_tls *tls) { SSL_free(tls); }

int martlet_tls_expect(
    martlet_tls *tls, const char *server_name, const char *host, int is_address) {
  if (server_name && !SSL_set_tlsext_host_name(tls, server_name)) return 0;
  if (!host) {
    SSL_set_verify(tls, SSL_VERIFY_NONE, NULL);
    return 1;
  }
  X509_VERIFY_PARAM *parameters = SSL_get0_param(tls);
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return is_address ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host)
                    : X509_VERIFY_PARAM_set1_host(parameters, host, 0);
}

martlet_session *martlet_tls_session(martlet_tls *tls) {
  SSL_SESSION *session = SSL_get1_session(tls);
  if (session && !SSL_SESSION_is_resumable(session)) {
    SSL_SESSION_free(session);
    return NULL;
  }
  return session;
}

int martlet_tls_resume(martlet_tls *tls, martlet_session *session) {
  return SSL_set_session(tls, session);
}

void martlet_session_free(martlet_session *session) { SSL_SESSION_free(session); }

int martlet_tls_carry(martlet_tls *tls, const uint8_t *bytes, size_t count) {
  socket_state *state = state_of(tls);
  if (state->carried || count == 0) return count == 0;
  state->carried = OPENSSL_memdup(bytes, count);
  state->carried_count = count;
  return state->carried != NULL;
}

static int outcome(martlet_tls *tls, int result) {
  switch (SSL_get_error(tls, result)) {
  case SSL_ERROR_NONE: return martlet_tls_done;
  case SSL_ERROR_WANT_READ: return martlet_tls_needs_input;
  case SSL_ERROR_WANT_WRITE: return martlet_tls_needs_room;
  default: state_of(tls)->has_failed = 1; return martlet_tls_failed;
  }
}

int martlet_tls_handshake(martlet_tls *tls) {
  ERR_clear_error();
  int result = SSL_do_handshake(tls);
  return result == 1 ? martlet_tls_done : outcome(tls, result);
}

int martlet_tls_socket_error(martlet_tls *tls) { return state_of(tls)->error; }

size_t martlet_tls_first_bytes(martlet_tls *tls, uint8_t *out) {
  socket_state *state = state_of(tls);
  memcpy(out, state->first, state->first_count);
  return state->first_count;
}

// What a call came to that failed, as a negated error number; 0: the end.
static int64_t failure(martlet_tls *tls, int result) {
  socket_state *state = state_of(tls);
  switch (SSL_get_error(tls, result)) {
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE: return -EAGAIN;
  case SSL_ERROR_ZERO_RETURN: return 0;
  default: break;
  }
  state->has_failed = 1;
  uint64_t error = martlet_tls_error();
  if (state->error == 0 && error != 0) {
    int is_alert = martlet_tls_error_cause(error) == martlet_cause_refused;
    note_fault(
        state, is_alert ? martlet_fault_refused : martlet_fault_malformed, (unsigned long)error);
  }
  if (state->error > 0) return -state->error;
  // A client that closes without a word is no surprise. A server's answer may end with its connection,
  // and a part of it must not be taken for the whole.
  if (state->error == -1) return SSL_is_server(tls) ? 0 : -ECONNRESET;
  return -EPROTO;
}

int64_t martlet_tls_receive(martlet_tls *tls, void *bytes, size_t count) {
  ERR_clear_error();
  size_t received = 0;
  int result = SSL_read_ex(tls, bytes, count, &received);
  return result == 1 ? (int64_t)received : failure(tls, result);
}

// Puts content into records, and sends them; 0, or a negated error number.
static int64_t send_records(martlet_tls *tls, const uint8_t *bytes, size_t count) {
  socket_state *state = state_of(tls);
  gathering records;
  records.count = records.sent = records.record_count = records.sent_records = 0;
  state->gathered = &records;
  int64_t error = 0;
  while (error == 0 && count > 0 && records.record_count < gathered_records) {
    ERR_clear_error();
    size_t taken = 0;
    int result = SSL_write_ex(tls, bytes, count, &taken);
    if (result == 1) {
      records.ends[records.record_count] = records.count;
      records.content[records.record_count++] = taken;
      bytes += taken;
      count -= taken;
    } else {
      error = failure(tls, result);
      if (error == 0) error = -EPIPE;
    }
  }
  state->gathered = NULL;
  int64_t result = send_gathered(state, &records);
  if (result == -EAGAIN) {
    // No more than was gathered: nobody looks at what is behind it.
    state->backlog = OPENSSL_memdup(&records, offsetof(gathering, bytes) + records.count);
    if (!state->backlog) {
      state->error = ENOMEM;
      state->has_failed = 1;
      return -ENOMEM;
    }
  }
  if (result != 0) return result;
  // What found no room is given again, now that there is some.
  return error == -EAGAIN && records.record_count > 0 ? 0 : error;
}

int64_t martlet_tls_send(martlet_tls *tls, const void *bytes, size_t count, int ends_next) {
  socket_state *state = state_of(tls);
  state->ends_next = ends_next != 0;
  int64_t error = send_backlog(state);
  size_t sent = 0;
  while (1) {
    // What the socket has taken of what was given before, or just now.
    size_t told = state->untold < count - sent ? state->untold : count - sent;
    state->untold -= told;
    sent += told;
    if (error != 0 || sent == count) break;
    error = send_records(tls, (const uint8_t *)bytes + sent, count - sent);
  }
  state->ends_next = 0;
  return sent > 0 || error == 0 ? (int64_t)sent : error;
}

int martlet_tls_has_input(martlet_tls *tls) {
  ERR_clear_error();
  uint8_t byte;
  size_t count = 0;
  int result = SSL_peek_ex(tls, &byte, 1, &count);
  if (result == 1) return 1;
  int error = SSL_get_error(tls, result);
  ERR_clear_error();
  return error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
}

int martlet_tls_is_drained(martlet_tls *tls) {
  socket_state *state = state_of(tls);
  return state->is_drained && !state->carried && !SSL_has_pending(tls);
}

void martlet_tls_close(martlet_tls *tls) {
  if (state_of(tls)->has_failed || !SSL_is_init_finished(tls)) return;
  if (SSL_get_shutdown(tls) & SSL_SENT_SHUTDOWN) return;
  ERR_clear_error();
  SSL_shutdown(tls);
  ERR_clear_error();
}

const char *martlet_tls_version(martlet_tls *tls) { return SSL_get_version(tls); }

const char *martlet_tls_cipher(martlet_tls *tls) { return SSL_get_cipher_name(tls); }

const char *martlet_tls_server_name(martlet_tls *tls) {
  return SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name);
}

size_t martlet_tls_protocol(martlet_tls *tls, const uint8_t **name) {
  unsigned int count = 0;
  SSL_get0_alpn_selected(tls, name, &count);
  return count;
}

int martlet_tls_is_resumed(martlet_tls *tls) { return SSL_session_reused(tls); }

// The hello

int64_t martlet_tls_hello_name(martlet_tls *tls, const uint8_t **name) {
  const uint8_t *bytes;
  size_t count;
  if (!SSL_client_hello_get0_ext(tls, TLSEXT_TYPE_server_name, &bytes, &count)) return 0;
  // RFC 6066, section 3: a list of one name, which is a host.
  size_t length = count < 5 ? 0 : (size_t)(bytes[3] << 8 | bytes[4]);
  if (count < 5 || (size_t)(bytes[0] << 8 | bytes[1]) + 2 != count || bytes[2] != 0 ||
      length + 5 != count || length == 0 || length > 255) {
    // Else the log would tell of a call that failed, and not why.
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_EXTENSION);
    return -1;
  }
  *name = bytes + 5;
  return (int64_t)length;
}

int martlet_tls_switch(martlet_tls *tls, martlet_tls_context *context) {
  if (SSL_get_SSL_CTX(tls) == context) return 1;
  if (!SSL_set_SSL_CTX(tls, context)) return 0;
  // What belongs to the context and is copied into each session when that is made.
  SSL_set_verify(tls, SSL_CTX_get_verify_mode(context), NULL);
  SSL_set_verify_depth(tls, SSL_CTX_get_verify_depth(context));
  SSL_clear_options(tls, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_set_options(tls, SSL_CTX_get_options(context));
  return SSL_set_min_proto_version(tls, SSL_CTX_get_min_proto_version(context)) &&
         SSL_set_max_proto_version(tls, SSL_CTX_get_max_proto_version(context));
}
