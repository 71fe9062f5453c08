#include "COpenSSL.h"
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Tickets

enum { name_bytes = 16, cipher_key_bytes = 32, mac_key_bytes = 32, kept_keys = 4 };

typedef struct {
  uint64_t span;
  uint8_t is_set;
  uint8_t name[name_bytes], cipher_key[cipher_key_bytes], mac_key[mac_key_bytes];
} ticket_key;

struct martlet_ticket_keys {
  int references;
  // How long a key seals.
  uint64_t seconds;
  size_t secret_count;
  uint8_t secret[256];
  pthread_mutex_t lock;
  ticket_key keys[kept_keys];
};

martlet_ticket_keys *martlet_ticket_keys_new(
    const uint8_t *secret, size_t count, uint64_t seconds) {
  martlet_ticket_keys *keys = OPENSSL_zalloc(sizeof *keys);
  if (!keys || count == 0 || count > sizeof keys->secret || seconds == 0) {
    OPENSSL_free(keys);
    return NULL;
  }
  memcpy(keys->secret, secret, count);
  keys->secret_count = count;
  keys->seconds = seconds;
  keys->references = 1;
  pthread_mutex_init(&keys->lock, NULL);
  return keys;
}

martlet_ticket_keys *martlet_ticket_keys_every(
    const martlet_ticket_keys *keys, uint64_t seconds) {
  return martlet_ticket_keys_new(keys->secret, keys->secret_count, seconds);
}

static void retain(martlet_ticket_keys *keys) {
  pthread_mutex_lock(&keys->lock);
  keys->references++;
  pthread_mutex_unlock(&keys->lock);
}

void martlet_ticket_keys_free(martlet_ticket_keys *keys) {
  if (!keys) return;
  pthread_mutex_lock(&keys->lock);
  int left = --keys->references;
  pthread_mutex_unlock(&keys->lock);
  if (left > 0) return;
  pthread_mutex_destroy(&keys->lock);
  OPENSSL_clear_free(keys, sizeof *keys);
}

// The key of a span of time, which every node with the same secret derives alike.
static int key_of(martlet_ticket_keys *keys, uint64_t span, ticket_key *key) {
  pthread_mutex_lock(&keys->lock);
  ticket_key *kept = &keys->keys[span % kept_keys];
  int result = 1;
  if (!kept->is_set || kept->span != span) {
    uint8_t purpose[40] = "martlet session ticket ";
    uint8_t bytes[name_bytes + cipher_key_bytes + mac_key_bytes];
    for (int index = 0; index < 8; index++) {
      purpose[24 + index] = (uint8_t)(span >> (8 * index));
      purpose[32 + index] = (uint8_t)(keys->seconds >> (8 * index));
    }
    result = martlet_derive(
        keys->secret, keys->secret_count, purpose, sizeof purpose, bytes, sizeof bytes);
    if (result) {
      memcpy(kept->name, bytes, name_bytes);
      memcpy(kept->cipher_key, bytes + name_bytes, cipher_key_bytes);
      memcpy(kept->mac_key, bytes + name_bytes + cipher_key_bytes, mac_key_bytes);
      kept->span = span;
      kept->is_set = 1;
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
  }
  if (result) *key = *kept;
  pthread_mutex_unlock(&keys->lock);
  return result;
}

static int keys_index = -1, list_index = -1, log_index = -1;
static EVP_CIPHER *ticket_cipher;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_keys(
    void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number, void *argument) {
  (void)parent, (void)data, (void)index, (void)number, (void)argument;
  martlet_ticket_keys_free(pointer);
}

static void free_list(
    void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number, void *argument) {
  (void)parent, (void)data, (void)index, (void)number, (void)argument;
  OPENSSL_free(pointer);
}

static void prepare(void) {
  keys_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_keys);
  list_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_list);
  log_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
  ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
}

static int use_key(
    const ticket_key *key, const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seals) {
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(
          OSSL_MAC_PARAM_KEY, (void *)key->mac_key, sizeof key->mac_key),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, parameters) &&
         EVP_CipherInit_ex2(cipher, ticket_cipher, key->cipher_key, iv, seals, NULL);
}

// Returns 1: seal or open with this key; 2: open, and give a new ticket; 0: the ticket is not ours.
static int ticket(
    SSL *tls, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
    int seals) {
  martlet_ticket_keys *keys = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(tls), keys_index);
  if (!keys) return seals ? -1 : 0;
  uint64_t now = (uint64_t)time(NULL) / keys->seconds;
  ticket_key key;
  int result = 0;
  if (seals) {
    result = -1;
    if (key_of(keys, now, &key) && RAND_bytes(iv, EVP_CIPHER_get_iv_length(ticket_cipher)) == 1 &&
        use_key(&key, iv, cipher, mac, 1)) {
      memcpy(name, key.name, name_bytes);
      result = 1;
    }
  } else {
    // That of now, those before it, and that of a node whose clock is ahead.
    const int64_t ages[] = {0, 1, 2, -1};
    for (int index = 0; index < 4 && result == 0; index++) {
      if (!key_of(keys, now - (uint64_t)ages[index], &key)) continue;
      if (CRYPTO_memcmp(name, key.name, name_bytes)) continue;
      // A ticket of TLS 1.3 is for one connection (RFC 8446, appendix C.4): another one comes with each.
      int renews = ages[index] != 0 || SSL_version(tls) == TLS1_3_VERSION;
      result = use_key(&key, iv, cipher, mac, 0) ? (renews ? 2 : 1) : -1;
    }
  }
  OPENSSL_cleanse(&key, sizeof key);
  return result;
}

// A session gets its time from the context that it began with, and not from that which its server's name has led
// to: what that says is put right before anybody is told.
void martlet_tls_put_time(const SSL *tls) {
  SSL_SESSION *session = SSL_get_session(tls);
  long seconds = SSL_CTX_get_timeout(SSL_get_SSL_CTX(tls));
  if (session && SSL_SESSION_get_timeout(session) != seconds) {
    SSL_SESSION_set_timeout(session, seconds);
  }
}

static int ticket_begins(SSL *tls, void *argument) {
  (void)argument;
  martlet_tls_put_time(tls);
  return 1;
}

// Contexts

martlet_tls_context *martlet_tls_context_new(int is_server) {
  pthread_once(&once, prepare);
  if (!ticket_cipher || keys_index < 0 || list_index < 0 || log_index < 0) return NULL;
  SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
  if (!context) return NULL;
  SSL_CTX_set_mode(
      context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                   SSL_MODE_RELEASE_BUFFERS);
  // Else each record takes two calls: one for its head, one for the rest.
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // None at all would let the client's next small write wait for an acknowledgement.
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  if (is_server) {
    SSL_CTX_set_info_callback(context, martlet_tls_note);
    SSL_CTX_set_tlsext_status_cb(context, martlet_staple_give);
    SSL_CTX_set_session_ticket_cb(context, ticket_begins, NULL, NULL);
  }
  return context;
}

void martlet_tls_context_free(martlet_tls_context *context) { SSL_CTX_free(context); }

int martlet_tls_context_versions(martlet_tls_context *context, int least, int most) {
  return SSL_CTX_set_min_proto_version(context, least) &&
         SSL_CTX_set_max_proto_version(context, most);
}

int martlet_tls_context_ciphers(
    martlet_tls_context *context, const char *ciphers, const char *suites, const char *groups,
    int server_chooses) {
  if (server_chooses) {
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  }
  return (!ciphers || SSL_CTX_set_cipher_list(context, ciphers)) &&
         (!suites || SSL_CTX_set_ciphersuites(context, suites)) &&
         (!groups || SSL_CTX_set1_groups_list(context, groups));
}

typedef struct {
  size_t count;
  uint8_t bytes[];
} protocol_list;

static int choose_protocol(
    SSL *tls, const unsigned char **out, unsigned char *out_count, const unsigned char *offered,
    unsigned int offered_count, void *argument) {
  (void)tls;
  protocol_list *list = argument;
  unsigned char *chosen;
  if (SSL_select_next_proto(
          &chosen, out_count, list->bytes, (unsigned int)list->count, offered, offered_count) !=
      OPENSSL_NPN_NEGOTIATED) {
    // RFC 7301, section 3.2: nothing in common is fatal.
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int martlet_tls_context_protocols(
    martlet_tls_context *context, const uint8_t *list, size_t count, int is_server) {
  if (count == 0 || count > 255) return count == 0;
  if (!is_server) return SSL_CTX_set_alpn_protos(context, list, (unsigned int)count) == 0;
  protocol_list *kept = OPENSSL_malloc(sizeof *kept + count);
  if (!kept) return 0;
  kept->count = count;
  memcpy(kept->bytes, list, count);
  if (!SSL_CTX_set_ex_data(context, list_index, kept)) {
    OPENSSL_free(kept);
    return 0;
  }
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, kept);
  return 1;
}

int martlet_tls_context_sessions(
    martlet_tls_context *context, martlet_ticket_keys *keys, int64_t seconds, int cache_count,
    const uint8_t *name, size_t name_count) {
  SSL_CTX_set_timeout(context, (long)seconds);
  if (cache_count > 0) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(context, cache_count);
  }
  if (keys) {
    retain(keys);
    if (!SSL_CTX_set_ex_data(context, keys_index, keys)) {
      martlet_ticket_keys_free(keys);
      return 0;
    }
    if (!SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket)) return 0;
  } else {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  }
  // A session is continued only where what it has proven counts as much.
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned int digest_count = 0;
  return EVP_Digest(name, name_count, digest, &digest_count, EVP_sha256(), NULL) &&
         SSL_CTX_set_session_id_context(context, digest, digest_count);
}

static void log_key(const SSL *tls, const char *line) {
  // The number is kept one higher, so that nothing means none.
  intptr_t file = (intptr_t)SSL_CTX_get_ex_data(SSL_get_SSL_CTX(tls), log_index) - 1;
  char text[512];
  size_t count = strlen(line);
  if (file < 0 || count + 1 > sizeof text) return;
  memcpy(text, line, count);
  text[count] = '\n';
  // One write of a file that is appended to: lines of several loops do not mix.
  ssize_t written = write((int)file, text, count + 1);
  (void)written;
}

int martlet_tls_context_key_log(martlet_tls_context *context, int file) {
  if (!SSL_CTX_set_ex_data(context, log_index, (void *)((intptr_t)file + 1))) return 0;
  SSL_CTX_set_keylog_callback(context, file < 0 ? NULL : log_key);
  return 1;
}

void martlet_tls_context_choose(
    martlet_tls_context *context, martlet_hello_visitor visit, void *argument) {
  SSL_CTX_set_client_hello_cb(context, visit, argument);
}
