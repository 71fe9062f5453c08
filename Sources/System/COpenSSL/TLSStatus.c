#include "COpenSSL.h"
#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

// What an authority answers that is asked about its certificates: RFC 6960.

// RFC 9654, section 2.1: at least one byte and at most 128.
static int is_nonce(X509_EXTENSION *extension) {
  const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(extension);
  const uint8_t *start = ASN1_STRING_get0_data(data), *end = start + ASN1_STRING_length(data);
  ASN1_OCTET_STRING *nonce = d2i_ASN1_OCTET_STRING(NULL, &start, end - start);
  int result = nonce && start == end && ASN1_STRING_length(nonce) >= 1 &&
               ASN1_STRING_length(nonce) <= martlet_nonce_bytes;
  ASN1_OCTET_STRING_free(nonce);
  return result;
}

// Whether a request can be answered: it says nothing that has to be understood and is not. RFC 6960, section 4.4.
static int is_understood(OCSP_REQUEST *request, int *has_nonce) {
  int nonces = 0;
  for (int index = 0; index < OCSP_REQUEST_get_ext_count(request); index++) {
    X509_EXTENSION *extension = OCSP_REQUEST_get_ext(request, index);
    if (OBJ_obj2nid(X509_EXTENSION_get_object(extension)) == NID_id_pkix_OCSP_Nonce) {
      if (!is_nonce(extension) || ++nonces > 1) return 0;
    } else if (X509_EXTENSION_get_critical(extension)) {
      return 0;
    }
  }
  *has_nonce = nonces;
  int count = OCSP_request_onereq_count(request);
  if (count < 1 || count > martlet_status_count) return 0;
  for (int index = 0; index < count; index++) {
    OCSP_ONEREQ *one = OCSP_request_onereq_get0(request, index);
    for (int place = 0; place < OCSP_ONEREQ_get_ext_count(one); place++) {
      if (X509_EXTENSION_get_critical(OCSP_ONEREQ_get_ext(one, place))) return 0;
    }
  }
  return 1;
}

static const EVP_MD *digest_of(const ASN1_OBJECT *kind) {
  switch (OBJ_obj2nid(kind)) {
  case NID_sha1: return EVP_sha1();
  case NID_sha256: return EVP_sha256();
  case NID_sha384: return EVP_sha384();
  case NID_sha512: return EVP_sha512();
  default: return NULL;
  }
}

// The number of a certificate that the authority may have given: how many bytes it has; 0: it has not given it.
static size_t number_of(OCSP_CERTID *id, X509 *authority, uint8_t *out) {
  ASN1_OBJECT *kind = NULL;
  ASN1_INTEGER *serial = NULL;
  if (!OCSP_id_get0_info(NULL, &kind, NULL, &serial, id)) return 0;
  const EVP_MD *digest = digest_of(kind);
  OCSP_CERTID *own = digest ? OCSP_cert_id_new(
                                  digest, X509_get_subject_name(authority),
                                  X509_get0_pubkey_bitstr(authority), serial)
                            : NULL;
  BIGNUM *number = own && OCSP_id_issuer_cmp(own, id) == 0 ? ASN1_INTEGER_to_BN(serial, NULL) : NULL;
  size_t count = 0;
  if (number && !BN_is_negative(number) && BN_num_bytes(number) <= martlet_serial_bytes) {
    count = (size_t)BN_bn2bin(number, out);
  }
  BN_free(number);
  OCSP_CERTID_free(own);
  return count;
}

static int add_status(
    OCSP_BASICRESP *basic, OCSP_CERTID *id, X509 *authority, const martlet_status_plan *plan,
    ASN1_TIME *from, ASN1_TIME *until) {
  uint8_t serial[martlet_serial_bytes];
  size_t count = number_of(id, authority, serial);
  martlet_standing standing = {.verdict = martlet_staple_unknown};
  if (count > 0) plan->visit(plan->context, serial, count, &standing);
  if (standing.verdict != martlet_staple_revoked) {
    int verdict = standing.verdict == martlet_staple_good ? V_OCSP_CERTSTATUS_GOOD
                                                          : V_OCSP_CERTSTATUS_UNKNOWN;
    return OCSP_basic_add1_status(basic, id, verdict, 0, NULL, from, until) != NULL;
  }
  ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)standing.time);
  // RFC 5280, section 5.3.1: without a reason there is none.
  int reason = standing.reason == 0 ? OCSP_REVOKED_STATUS_NOSTATUS : standing.reason;
  int result = time && OCSP_basic_add1_status(
                           basic, id, V_OCSP_CERTSTATUS_REVOKED, reason, time, from, until) != NULL;
  ASN1_TIME_free(time);
  return result;
}

static OCSP_BASICRESP *answer_of(
    OCSP_REQUEST *request, const martlet_certificates *authority, const martlet_certificates *signer,
    martlet_key *key, const martlet_status_plan *plan) {
  OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
  ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)plan->from);
  ASN1_TIME *until = ASN1_TIME_set(NULL, (time_t)plan->until);
  int result = basic && from && until;
  for (int index = 0; result && index < OCSP_request_onereq_count(request); index++) {
    OCSP_CERTID *id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, index));
    result = add_status(basic, id, martlet_certificates_first(authority), plan, from, until);
  }
  // It has the certificate of who signs with it: clients have that of the authority alone.
  result = result && OCSP_copy_nonce(basic, request) > 0 &&
           OCSP_basic_sign(
               basic, martlet_certificates_first(signer), key, EVP_sha256(), NULL,
               OCSP_RESPID_KEY) == 1;
  ASN1_TIME_free(from);
  ASN1_TIME_free(until);
  if (result) return basic;
  OCSP_BASICRESP_free(basic);
  return NULL;
}

int64_t martlet_status_answer(
    const uint8_t *question, size_t question_count, const martlet_certificates *authority,
    const martlet_certificates *signer, martlet_key *key, const martlet_status_plan *plan,
    int *has_nonce, int *is_answered, uint8_t *out, size_t count) {
  ERR_clear_error();
  const uint8_t *start = question;
  OCSP_REQUEST *request =
      question_count <= INT_MAX ? d2i_OCSP_REQUEST(NULL, &start, (long)question_count) : NULL;
  int status = OCSP_RESPONSE_STATUS_MALFORMEDREQUEST;
  OCSP_BASICRESP *basic = NULL;
  *has_nonce = 0;
  if (request && start == question + question_count && is_understood(request, has_nonce)) {
    basic = answer_of(request, authority, signer, key, plan);
    status = basic ? OCSP_RESPONSE_STATUS_SUCCESSFUL : OCSP_RESPONSE_STATUS_INTERNALERROR;
  }
  *is_answered = basic != NULL;
  OCSP_RESPONSE *response = OCSP_response_create(status, basic);
  int64_t length = response ? i2d_OCSP_RESPONSE(response, NULL) : -1;
  length = length > 0 && (size_t)length <= count ? i2d_OCSP_RESPONSE(response, &out) : -1;
  OCSP_RESPONSE_free(response);
  OCSP_BASICRESP_free(basic);
  OCSP_REQUEST_free(request);
  ERR_clear_error();
  return length;
}

int64_t martlet_status_refusal(int is_for_now, uint8_t *out, size_t count) {
  int status = is_for_now ? OCSP_RESPONSE_STATUS_TRYLATER : OCSP_RESPONSE_STATUS_MALFORMEDREQUEST;
  OCSP_RESPONSE *response = OCSP_response_create(status, NULL);
  int64_t length = response ? i2d_OCSP_RESPONSE(response, NULL) : -1;
  length = length > 0 && (size_t)length <= count ? i2d_OCSP_RESPONSE(response, &out) : -1;
  OCSP_RESPONSE_free(response);
  return length;
}
