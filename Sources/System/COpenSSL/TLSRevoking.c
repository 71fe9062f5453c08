#include "COpenSSL.h"
#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

int martlet_certificates_signed_by(
    const martlet_certificates *certificates, const martlet_certificates *issuer) {
  X509 *own = martlet_certificates_first(certificates);
  X509 *from = martlet_certificates_first(issuer);
  EVP_PKEY *key = X509_get0_pubkey(from);
  int result =
      X509_NAME_cmp(X509_get_issuer_name(own), X509_get_subject_name(from)) == 0 && key &&
      X509_verify(own, key) == 1;
  ERR_clear_error();
  return result;
}

int64_t martlet_certificates_der(
    const martlet_certificates *certificates, uint8_t *out, size_t count) {
  ERR_clear_error();
  X509 *own = martlet_certificates_first(certificates);
  int length = i2d_X509(own, NULL);
  return length > 0 && (size_t)length <= count ? i2d_X509(own, &out) : -1;
}

static int set_reason(X509_REVOKED *entry, int32_t reason) {
  // RFC 5280, section 5.3.1: without a reason there is no extension.
  if (reason == 0) return 1;
  ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
  int result = value && ASN1_ENUMERATED_set(value, reason) &&
               X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, value, 0, X509V3_ADD_DEFAULT) == 1;
  ASN1_ENUMERATED_free(value);
  return result;
}

static int add_entry(X509_CRL *list, const martlet_revocations *plan, size_t index) {
  X509_REVOKED *entry = X509_REVOKED_new();
  BIGNUM *number = BN_bin2bn(
      plan->serials + index * martlet_serial_bytes, martlet_serial_bytes, NULL);
  ASN1_INTEGER *serial = number ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
  ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)plan->times[index]);
  int result = entry && serial && time && X509_REVOKED_set_serialNumber(entry, serial) &&
               X509_REVOKED_set_revocationDate(entry, time) &&
               set_reason(entry, plan->reasons[index]) && X509_CRL_add0_revoked(list, entry);
  if (!result) X509_REVOKED_free(entry);
  ASN1_TIME_free(time);
  ASN1_INTEGER_free(serial);
  BN_free(number);
  return result;
}

static int set_times(X509_CRL *list, const martlet_revocations *plan) {
  ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)plan->from);
  ASN1_TIME *until = ASN1_TIME_set(NULL, (time_t)plan->until);
  int result = from && until && X509_CRL_set1_lastUpdate(list, from) &&
               X509_CRL_set1_nextUpdate(list, until);
  ASN1_TIME_free(from);
  ASN1_TIME_free(until);
  return result;
}

// RFC 5280, sections 5.2.1 and 5.2.3: whose key it is, and a number that grows.
static int extend(X509_CRL *list, X509 *issuer, uint64_t number) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, NULL, NULL, list, 0);
  X509V3_set_ctx_nodb(&context);
  X509_EXTENSION *key =
      X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid:always");
  ASN1_INTEGER *value = ASN1_INTEGER_new();
  int result = key && X509_CRL_add_ext(list, key, -1) && value &&
               ASN1_INTEGER_set_uint64(value, number) &&
               X509_CRL_add1_ext_i2d(list, NID_crl_number, value, 0, X509V3_ADD_DEFAULT) == 1;
  ASN1_INTEGER_free(value);
  X509_EXTENSION_free(key);
  return result;
}

int64_t martlet_list_issue(
    const martlet_revocations *plan, const martlet_certificates *issuer, martlet_key *key,
    uint8_t *out, size_t count) {
  ERR_clear_error();
  X509 *from = martlet_certificates_first(issuer);
  X509_CRL *list = X509_CRL_new();
  int result = list && X509_CRL_set_version(list, X509_CRL_VERSION_2) &&
               X509_CRL_set_issuer_name(list, X509_get_subject_name(from)) &&
               set_times(list, plan) && extend(list, from, plan->number);
  for (size_t index = 0; result && index < plan->count; index++) {
    result = add_entry(list, plan, index);
  }
  result = result && X509_CRL_sort(list) && X509_CRL_sign(list, key, EVP_sha256()) > 0;
  int length = result ? i2d_X509_CRL(list, NULL) : -1;
  if (length > 0 && (size_t)length <= count) {
    length = i2d_X509_CRL(list, &out);
  } else {
    length = -1;
  }
  X509_CRL_free(list);
  return length;
}
