#include "COpenSSL.h"
#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

// What a certificate says

int martlet_certificates_responder(
    const martlet_certificates *certificates, char *out, size_t count) {
  STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(martlet_certificates_first(certificates));
  int result = 0;
  for (int index = 0; index < sk_OPENSSL_STRING_num(urls) && result <= 0; index++) {
    const char *url = sk_OPENSSL_STRING_value(urls, index);
    if (strncmp(url, "http://", 7) && strncmp(url, "https://", 8)) continue;
    size_t length = strlen(url);
    result = length <= count ? (int)length : -1;
    if (result > 0) memcpy(out, url, length);
  }
  X509_email_free(urls);
  ERR_clear_error();
  return result;
}

int martlet_certificates_must_staple(const martlet_certificates *certificates) {
  enum { status_request = 5 };
  X509 *own = martlet_certificates_first(certificates);
  TLS_FEATURE *features = X509_get_ext_d2i(own, NID_tlsfeature, NULL, NULL);
  int result = 0;
  for (int index = 0; index < sk_ASN1_INTEGER_num(features); index++) {
    if (ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, index)) == status_request) result = 1;
  }
  TLS_FEATURE_free(features);
  ERR_clear_error();
  return result;
}

static X509 *issuer_of(const martlet_certificates *certificates) {
  X509 *own = martlet_certificates_first(certificates), *other;
  for (int index = 1; (other = martlet_certificates_at(certificates, index)); index++) {
    if (X509_check_issued(other, own) == X509_V_OK) return other;
  }
  other = martlet_certificates_voucher(certificates);
  return other && X509_check_issued(other, own) == X509_V_OK ? other : NULL;
}

// Questions and answers

int64_t martlet_staple_request(
    const martlet_certificates *certificates, uint8_t *out, size_t count) {
  ERR_clear_error();
  X509 *issuer = issuer_of(certificates);
  if (!issuer) return -1;
  // Responders know SHA-1, and some nothing else; it names the issuer here and proves nothing.
  OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), martlet_certificates_first(certificates), issuer);
  OCSP_REQUEST *request = OCSP_REQUEST_new();
  int64_t length = -1;
  if (request && id && OCSP_request_add0_id(request, id)) {
    id = NULL;
    length = i2d_OCSP_REQUEST(request, NULL);
    length = length > 0 && (size_t)length <= count ? i2d_OCSP_REQUEST(request, &out) : -1;
  }
  OCSP_CERTID_free(id);
  OCSP_REQUEST_free(request);
  return length;
}

static int64_t seconds(const ASN1_GENERALIZEDTIME *time) {
  ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
  int days = 0, rest = 0;
  int64_t result = 0;
  if (epoch && time && ASN1_TIME_diff(&days, &rest, epoch, time)) {
    result = (int64_t)days * 86400 + rest;
  }
  ASN1_TIME_free(epoch);
  return result;
}

static OCSP_RESPONSE *response_of(const uint8_t *der, size_t count) {
  const uint8_t *start = der;
  if (count > INT_MAX) return NULL;
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &start, (long)count);
  if (response && start == der + count) return response;
  OCSP_RESPONSE_free(response);
  return NULL;
}

int martlet_staple_is_response(const uint8_t *der, size_t count) {
  OCSP_RESPONSE *response = response_of(der, count);
  OCSP_RESPONSE_free(response);
  ERR_clear_error();
  return response != NULL;
}

// Whether the issuer has signed a response, or somebody whom it lets do that.
static int is_signed(OCSP_BASICRESP *basic, X509 *issuer) {
  X509_STORE *store = X509_STORE_new();
  STACK_OF(X509) *known = sk_X509_new_null();
  int result = store && known && sk_X509_push(known, issuer) > 0 &&
               X509_STORE_add_cert(store, issuer) &&
               X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) &&
               OCSP_basic_verify(basic, known, store, OCSP_TRUSTOTHER) == 1;
  sk_X509_free(known);
  X509_STORE_free(store);
  return result;
}

static int find(
    OCSP_BASICRESP *basic, X509 *own, X509 *issuer, const EVP_MD *digest,
    martlet_staple_status *status) {
  OCSP_CERTID *id = OCSP_cert_to_id(digest, own, issuer);
  ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
  int verdict = 0;
  int result = id && OCSP_resp_find_status(basic, id, &verdict, NULL, NULL, &from, &until) == 1;
  OCSP_CERTID_free(id);
  if (!result) return 0;
  status->verdict = verdict == V_OCSP_CERTSTATUS_GOOD      ? martlet_staple_good
                    : verdict == V_OCSP_CERTSTATUS_REVOKED ? martlet_staple_revoked
                                                           : martlet_staple_unknown;
  status->from = seconds(from);
  status->until = until ? seconds(until) : 0;
  return 1;
}

int martlet_staple_check(
    const martlet_certificates *certificates, const uint8_t *der, size_t count,
    martlet_staple_status *status) {
  ERR_clear_error();
  X509 *own = martlet_certificates_first(certificates), *issuer = issuer_of(certificates);
  if (!issuer) return martlet_staple_no_issuer;
  OCSP_RESPONSE *response = response_of(der, count);
  OCSP_BASICRESP *basic = NULL;
  int result = martlet_staple_malformed;
  if (response) {
    if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
      result = martlet_staple_refused;
    } else if ((basic = OCSP_response_get1_basic(response))) {
      result = !is_signed(basic, issuer)                        ? martlet_staple_unsigned
               : find(basic, own, issuer, EVP_sha1(), status)   ? martlet_staple_read
               : find(basic, own, issuer, EVP_sha256(), status) ? martlet_staple_read
                                                                : martlet_staple_other;
    }
  }
  OCSP_BASICRESP_free(basic);
  OCSP_RESPONSE_free(response);
  ERR_clear_error();
  return result;
}

// What is shown

// Beside a certificate, in whichever contexts it is.
typedef struct {
  pthread_mutex_t lock;
  uint8_t *bytes;
  size_t count;
  int64_t until;
} staple;

static int staple_index = -1;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_staple(
    void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number, void *argument) {
  (void)parent, (void)data, (void)index, (void)number, (void)argument;
  staple *kept = pointer;
  if (!kept) return;
  pthread_mutex_destroy(&kept->lock);
  OPENSSL_free(kept->bytes);
  OPENSSL_free(kept);
}

static void prepare(void) {
  staple_index = X509_get_ex_new_index(0, NULL, NULL, NULL, free_staple);
}

int martlet_staple_prepare(martlet_certificates *certificates) {
  pthread_once(&once, prepare);
  X509 *own = martlet_certificates_first(certificates);
  if (staple_index < 0) return 0;
  if (X509_get_ex_data(own, staple_index)) return 1;
  staple *made = OPENSSL_zalloc(sizeof *made);
  if (!made) return 0;
  pthread_mutex_init(&made->lock, NULL);
  if (X509_set_ex_data(own, staple_index, made)) return 1;
  free_staple(NULL, made, NULL, 0, 0, NULL);
  return 0;
}

int martlet_staple_put(
    const martlet_certificates *certificates, const uint8_t *der, size_t count, int64_t until) {
  if (staple_index < 0) return 0;
  staple *kept = X509_get_ex_data(martlet_certificates_first(certificates), staple_index);
  uint8_t *bytes = count > 0 ? OPENSSL_memdup(der, count) : NULL;
  if (!kept || (count > 0 && !bytes)) {
    OPENSSL_free(bytes);
    return 0;
  }
  pthread_mutex_lock(&kept->lock);
  uint8_t *before = kept->bytes;
  kept->bytes = bytes;
  kept->count = count;
  kept->until = until;
  pthread_mutex_unlock(&kept->lock);
  OPENSSL_free(before);
  return 1;
}

int martlet_staple_give(martlet_tls *tls, void *argument) {
  (void)argument;
  X509 *own = SSL_get_certificate(tls);
  staple *kept = own && staple_index >= 0 ? X509_get_ex_data(own, staple_index) : NULL;
  if (!kept) return SSL_TLSEXT_ERR_NOACK;
  pthread_mutex_lock(&kept->lock);
  size_t count = time(NULL) < kept->until ? kept->count : 0;
  uint8_t *bytes = count > 0 ? OPENSSL_memdup(kept->bytes, count) : NULL;
  pthread_mutex_unlock(&kept->lock);
  if (!bytes) return SSL_TLSEXT_ERR_NOACK;
  // It belongs to the session from now on.
  SSL_set_tlsext_status_ocsp_resp(tls, bytes, (long)count);
  return SSL_TLSEXT_ERR_OK;
}
