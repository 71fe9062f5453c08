#include "COpenSSL.h"
#include <arpa/inet.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

struct martlet_certificates {
  int count;
  X509 *all[martlet_chain_limit];
  // Who has signed the first one, where that does not stand behind it.
  X509 *voucher;
};

// A key with a pass phrase must not make a server ask for it on a terminal.
static int no_phrase(char *out, int count, int writes, void *argument) {
  (void)out, (void)count, (void)writes, (void)argument;
  return -1;
}

void martlet_certificates_free(martlet_certificates *certificates) {
  if (!certificates) return;
  for (int index = 0; index < certificates->count; index++) X509_free(certificates->all[index]);
  X509_free(certificates->voucher);
  OPENSSL_free(certificates);
}

int martlet_certificates_vouch(
    martlet_certificates *certificates, const martlet_certificates *issuer) {
  if (certificates->voucher || !X509_up_ref(issuer->all[0])) return 0;
  certificates->voucher = issuer->all[0];
  return 1;
}

X509 *martlet_certificates_voucher(const martlet_certificates *certificates) {
  return certificates->voucher;
}

martlet_certificates *martlet_certificates_read_der(const uint8_t *der, size_t count) {
  ERR_clear_error();
  const uint8_t *start = der;
  X509 *certificate = count <= INT_MAX ? d2i_X509(NULL, &start, (long)count) : NULL;
  martlet_certificates *found = certificate ? OPENSSL_zalloc(sizeof *found) : NULL;
  if (found && start == der + count) {
    found->all[found->count++] = certificate;
    return found;
  }
  X509_free(certificate);
  OPENSSL_free(found);
  ERR_clear_error();
  return NULL;
}

// Whether reading a PEM text has come to its end and not to something broken.
static int at_end(void) {
  unsigned long error = ERR_peek_last_error();
  int result =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (result) ERR_clear_error();
  return result;
}

martlet_certificates *martlet_certificates_read(const uint8_t *pem, size_t count) {
  ERR_clear_error();
  if (count > INT_MAX) return NULL;
  BIO *bio = BIO_new_mem_buf(pem, (int)count);
  martlet_certificates *found = bio ? OPENSSL_zalloc(sizeof *found) : NULL;
  int isWhole = 0;
  while (found) {
    X509 *next = PEM_read_bio_X509(bio, NULL, no_phrase, NULL);
    if (!next) {
      isWhole = at_end();
      break;
    }
    if (found->count == martlet_chain_limit) {
      X509_free(next);
      break;
    }
    found->all[found->count++] = next;
  }
  BIO_free(bio);
  if (found && isWhole && found->count > 0) return found;
  martlet_certificates_free(found);
  return NULL;
}

int martlet_certificates_count(const martlet_certificates *certificates) {
  return certificates->count;
}

X509 *martlet_certificates_first(const martlet_certificates *certificates) {
  return certificates->all[0];
}

X509 *martlet_certificates_at(const martlet_certificates *certificates, int index) {
  return index >= 0 && index < certificates->count ? certificates->all[index] : NULL;
}

martlet_key *martlet_key_read(const uint8_t *pem, size_t count) {
  ERR_clear_error();
  if (count > INT_MAX) return NULL;
  martlet_wipe_begin();
  BIO *bio = BIO_new_mem_buf(pem, (int)count);
  EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_phrase, NULL) : NULL;
  BIO_free(bio);
  martlet_wipe_end();
  ERR_clear_error();
  return key;
}

void martlet_key_free(martlet_key *key) { EVP_PKEY_free(key); }

int martlet_key_fits(const martlet_certificates *certificates, martlet_key *key) {
  int result = X509_check_private_key(certificates->all[0], key);
  ERR_clear_error();
  return result == 1;
}

void martlet_certificates_names(
    const martlet_certificates *certificates, martlet_name_visitor visit, void *context) {
  X509 *own = certificates->all[0];
  int count = 0;
  GENERAL_NAMES *names = X509_get_ext_d2i(own, NID_subject_alt_name, NULL, NULL);
  for (int index = 0; index < sk_GENERAL_NAME_num(names); index++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    if (name->type == GEN_DNS) {
      const ASN1_IA5STRING *text = name->d.dNSName;
      visit(
          context, 1, (const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
      count++;
    } else if (name->type == GEN_IPADD) {
      char text[INET6_ADDRSTRLEN];
      int length = ASN1_STRING_length(name->d.iPAddress);
      const uint8_t *bytes = ASN1_STRING_get0_data(name->d.iPAddress);
      int family = length == 4 ? AF_INET : length == 16 ? AF_INET6 : 0;
      if (family && inet_ntop(family, bytes, text, sizeof text)) {
        visit(context, 2, text, strlen(text));
        count++;
      }
    }
  }
  GENERAL_NAMES_free(names);
  if (count > 0) return;
  char text[256];
  int length = martlet_certificates_text(certificates, martlet_text_common_name, text, sizeof text);
  if (length > 0) visit(context, 3, text, (size_t)length);
}

static int64_t seconds(const ASN1_TIME *time) {
  ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
  int days = 0, rest = 0;
  int64_t result = 0;
  if (epoch && ASN1_TIME_diff(&days, &rest, epoch, time)) result = (int64_t)days * 86400 + rest;
  ASN1_TIME_free(epoch);
  return result;
}

void martlet_certificates_times(
    const martlet_certificates *certificates, int64_t *from, int64_t *until) {
  *from = seconds(X509_get0_notBefore(certificates->all[0]));
  *until = seconds(X509_get0_notAfter(certificates->all[0]));
}

int martlet_certificates_key_kind(const martlet_certificates *certificates) {
  EVP_PKEY *key = X509_get0_pubkey(certificates->all[0]);
  return key ? EVP_PKEY_get_base_id(key) : 0;
}

static int name_text(const X509_NAME *name, char *out, size_t count) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (!bio) return -1;
  // RFC 2253, with letters outside of ASCII escaped: one line of visible bytes.
  int length = X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0 ? BIO_read(bio, out, (int)count) : -1;
  BIO_free(bio);
  return length;
}

static int hex(const uint8_t *bytes, size_t length, char *out, size_t count) {
  static const char digits[] = "0123456789abcdef";
  if (length * 2 > count) return -1;
  for (size_t index = 0; index < length; index++) {
    out[index * 2] = digits[bytes[index] >> 4];
    out[index * 2 + 1] = digits[bytes[index] & 15];
  }
  return (int)length * 2;
}

int martlet_certificates_text(
    const martlet_certificates *certificates, int what, char *out, size_t count) {
  X509 *own = certificates->all[0];
  if (count > INT_MAX) return -1;
  switch (what) {
  case martlet_text_subject: return name_text(X509_get_subject_name(own), out, count);
  case martlet_text_issuer: return name_text(X509_get_issuer_name(own), out, count);
  case martlet_text_serial: {
    uint8_t bytes[32];
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(own), NULL);
    int length = -1;
    if (number && BN_num_bytes(number) <= (int)sizeof bytes) {
      length = hex(bytes, (size_t)BN_bn2bin(number, bytes), out, count);
    }
    BN_free(number);
    return length;
  }
  case martlet_text_common_name: {
    X509_NAME *name = X509_get_subject_name(own);
    int place = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (place < 0) return -1;
    const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, place));
    unsigned char *bytes = NULL;
    int length = ASN1_STRING_to_UTF8(&bytes, text);
    if (length < 0) return -1;
    int kept = (size_t)length <= count ? length : -1;
    if (kept > 0) memcpy(out, bytes, (size_t)kept);
    OPENSSL_free(bytes);
    return kept;
  }
  case martlet_text_fingerprint: {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    if (!X509_digest(own, EVP_sha256(), digest, &length)) return -1;
    return hex(digest, length, out, count);
  }
  default: return -1;
  }
}

martlet_certificates *martlet_tls_peer(martlet_tls *tls) {
  if (SSL_get_verify_result(tls) != X509_V_OK) return NULL;
  X509 *peer = SSL_get1_peer_certificate(tls);
  martlet_certificates *result = peer ? OPENSSL_zalloc(sizeof *result) : NULL;
  if (!result) {
    X509_free(peer);
    return NULL;
  }
  result->all[0] = peer;
  result->count = 1;
  return result;
}

// Contexts

int martlet_tls_context_add(
    martlet_tls_context *context, const martlet_certificates *certificates, martlet_key *key) {
  ERR_clear_error();
  STACK_OF(X509) *chain = sk_X509_new_null();
  if (!chain) return 0;
  int result = 1;
  for (int index = 1; index < certificates->count && result; index++) {
    result = sk_X509_push(chain, certificates->all[index]) > 0;
  }
  // It takes references of its own.
  result = result && SSL_CTX_use_cert_and_key(context, certificates->all[0], key, chain, 1);
  sk_X509_free(chain);
  return result;
}

// Authorities

martlet_authorities *martlet_authorities_read(const uint8_t *pem, size_t count) {
  ERR_clear_error();
  X509_STORE *store = X509_STORE_new();
  if (!store || count > INT_MAX) {
    X509_STORE_free(store);
    return NULL;
  }
  if (count == 0) {
    if (X509_STORE_set_default_paths(store)) return store;
    X509_STORE_free(store);
    return NULL;
  }
  BIO *bio = BIO_new_mem_buf(pem, (int)count);
  int added = 0, isWhole = 0;
  while (bio) {
    X509 *next = PEM_read_bio_X509(bio, NULL, no_phrase, NULL);
    if (!next) {
      isWhole = at_end();
      break;
    }
    int result = X509_STORE_add_cert(store, next);
    X509_free(next);
    if (!result) break;
    added++;
  }
  BIO_free(bio);
  if (isWhole && added > 0) return store;
  X509_STORE_free(store);
  return NULL;
}

int martlet_authorities_revoke(martlet_authorities *authorities, const uint8_t *pem, size_t count) {
  ERR_clear_error();
  if (count > INT_MAX) return 0;
  BIO *bio = BIO_new_mem_buf(pem, (int)count);
  int added = 0, isWhole = 0;
  while (bio) {
    X509_CRL *next = PEM_read_bio_X509_CRL(bio, NULL, no_phrase, NULL);
    if (!next) {
      isWhole = at_end();
      break;
    }
    int result = X509_STORE_add_crl(authorities, next);
    X509_CRL_free(next);
    if (!result) break;
    added++;
  }
  BIO_free(bio);
  return isWhole && added > 0 && X509_STORE_set_flags(authorities, X509_V_FLAG_CRL_CHECK);
}

void martlet_authorities_free(martlet_authorities *authorities) { X509_STORE_free(authorities); }

int martlet_tls_context_verify(
    martlet_tls_context *context, martlet_authorities *authorities, const uint8_t *pem, size_t count,
    int asks, int must) {
  ERR_clear_error();
  if (authorities) SSL_CTX_set1_cert_store(context, authorities);
  if (count > 0 && count <= INT_MAX) {
    // The names of the authorities, which help a client to choose its certificate.
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    BIO *bio = names ? BIO_new_mem_buf(pem, (int)count) : NULL;
    X509 *next;
    while (bio && (next = PEM_read_bio_X509(bio, NULL, no_phrase, NULL))) {
      X509_NAME *name = X509_NAME_dup(X509_get_subject_name(next));
      X509_free(next);
      if (!name || sk_X509_NAME_push(names, name) <= 0) {
        X509_NAME_free(name);
        break;
      }
    }
    ERR_clear_error();
    BIO_free(bio);
    if (names) SSL_CTX_set_client_CA_list(context, names);
  }
  int mode = SSL_VERIFY_NONE;
  if (asks) mode = SSL_VERIFY_PEER | (must ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
  SSL_CTX_set_verify(context, mode, NULL);
  return 1;
}
