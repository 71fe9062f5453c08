#include "COpenSSL.h"
#include <arpa/inet.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Keys

martlet_key *martlet_key_new(void) {
  ERR_clear_error();
  return EVP_EC_gen("P-256");
}

// Takes what a BIO in memory holds, and frees it.
static int64_t taken(BIO *bio, int is_written, uint8_t *out, size_t count) {
  char *bytes = NULL;
  long length = bio && is_written ? BIO_get_mem_data(bio, &bytes) : -1;
  int64_t result = length >= 0 && (size_t)length <= count ? length : -1;
  if (result > 0) memcpy(out, bytes, (size_t)result);
  BIO_free(bio);
  return result;
}

int64_t martlet_key_pem(martlet_key *key, uint8_t *out, size_t count) {
  ERR_clear_error();
  // What held the key is overwritten when it is freed.
  martlet_wipe_begin();
  BIO *bio = BIO_new(BIO_s_secmem());
  int is_written = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
  int64_t length = taken(bio, is_written, out, count);
  martlet_wipe_end();
  return length;
}

int martlet_key_point(martlet_key *key, uint8_t *x, uint8_t *y) {
  ERR_clear_error();
  BIGNUM *left = NULL, *right = NULL;
  int result = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &left) == 1 &&
               EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &right) == 1 &&
               BN_bn2binpad(left, x, 32) == 32 && BN_bn2binpad(right, y, 32) == 32;
  BN_free(left);
  BN_free(right);
  return result;
}

int martlet_key_sign(martlet_key *key, const uint8_t *bytes, size_t count, uint8_t *out) {
  ERR_clear_error();
  uint8_t der[80];
  size_t length = sizeof der;
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  int result = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
               EVP_DigestSign(context, der, &length, bytes, count) == 1;
  EVP_MD_CTX_free(context);
  if (!result) return 0;
  // RFC 7518, section 3.4: both numbers with their full length, one behind the other.
  const uint8_t *start = der;
  ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &start, (long)length);
  result = signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, 32) == 32 &&
           BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + 32, 32) == 32;
  ECDSA_SIG_free(signature);
  return result;
}

// Names

// The names of a text with one in each line, as hosts and addresses.
static GENERAL_NAMES *names_of(const char *text) {
  GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
  int is_whole = names != NULL;
  while (is_whole && *text) {
    size_t count = strcspn(text, "\n");
    char word[256];
    uint8_t address[16];
    if (count == 0 || count >= sizeof word) {
      is_whole = 0;
      break;
    }
    memcpy(word, text, count);
    word[count] = 0;
    text += count + (text[count] == '\n');
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = NULL;
    int length = inet_pton(AF_INET, word, address) == 1    ? 4
                 : inet_pton(AF_INET6, word, address) == 1 ? 16
                                                           : 0;
    if (length > 0) {
      value = ASN1_OCTET_STRING_new();
      is_whole = value && ASN1_STRING_set(value, address, length);
      if (name && is_whole) GENERAL_NAME_set0_value(name, GEN_IPADD, value);
    } else {
      value = ASN1_IA5STRING_new();
      is_whole = value && ASN1_STRING_set(value, word, (int)count);
      if (name && is_whole) GENERAL_NAME_set0_value(name, GEN_DNS, value);
    }
    if (!name || !is_whole) {
      ASN1_STRING_free(value);
      GENERAL_NAME_free(name);
      is_whole = 0;
    } else if (sk_GENERAL_NAME_push(names, name) <= 0) {
      GENERAL_NAME_free(name);
      is_whole = 0;
    }
  }
  if (is_whole && sk_GENERAL_NAME_num(names) > 0) return names;
  GENERAL_NAMES_free(names);
  return NULL;
}

static int set_subject(X509_NAME *name, const char *organization, const char *common_name) {
  const int utf8 = MBSTRING_UTF8;
  return (!organization || X509_NAME_add_entry_by_txt(
                               name, "O", utf8, (const uint8_t *)organization, -1, -1, 0)) &&
         (!common_name || X509_NAME_add_entry_by_txt(
                              name, "CN", utf8, (const uint8_t *)common_name, -1, -1, 0));
}

// Requests

int64_t martlet_request(martlet_key *key, const char *names, uint8_t *out, size_t count) {
  ERR_clear_error();
  X509_REQ *request = X509_REQ_new();
  GENERAL_NAMES *list = names_of(names);
  STACK_OF(X509_EXTENSION) *extensions = NULL;
  int result = request && list && X509_REQ_set_version(request, X509_REQ_VERSION_1) &&
               X509_REQ_set_pubkey(request, key) &&
               X509V3_add1_i2d(&extensions, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) == 1 &&
               X509_REQ_add_extensions(request, extensions) &&
               X509_REQ_sign(request, key, EVP_sha256()) > 0;
  int length = result ? i2d_X509_REQ(request, NULL) : -1;
  if (length > 0 && (size_t)length <= count) {
    length = i2d_X509_REQ(request, &out);
  } else {
    length = -1;
  }
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  GENERAL_NAMES_free(list);
  X509_REQ_free(request);
  return length;
}

// Certificates

static int add(X509 *certificate, X509V3_CTX *context, int nid, const char *value) {
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
  int result = extension && X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return result;
}

static int add_names(X509 *certificate, const char *names) {
  GENERAL_NAMES *list = names ? names_of(names) : NULL;
  int result =
      list && X509_add1_ext_i2d(certificate, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) == 1;
  GENERAL_NAMES_free(list);
  return result;
}

// RFC 5280, section 4.2.1.13: the list is at this URL.
static int add_list(X509 *certificate, const char *url) {
  CRL_DIST_POINTS *points = sk_DIST_POINT_new_null();
  DIST_POINT *point = DIST_POINT_new();
  GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_IA5STRING *text = ASN1_IA5STRING_new();
  DIST_POINT_NAME *place = DIST_POINT_NAME_new();
  int result = points && point && names && name && text && place &&
               ASN1_STRING_set(text, url, (int)strlen(url));
  if (result) {
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    text = NULL;
    result = sk_GENERAL_NAME_push(names, name) > 0;
    if (result) name = NULL;
  }
  if (result) {
    place->type = 0;
    place->name.fullname = names;
    names = NULL;
    point->distpoint = place;
    place = NULL;
    result = sk_DIST_POINT_push(points, point) > 0;
    if (result) point = NULL;
  }
  result = result && X509_add1_ext_i2d(
                         certificate, NID_crl_distribution_points, points, 0,
                         X509V3_ADD_DEFAULT) == 1;
  DIST_POINT_NAME_free(place);
  ASN1_IA5STRING_free(text);
  GENERAL_NAME_free(name);
  GENERAL_NAMES_free(names);
  DIST_POINT_free(point);
  CRL_DIST_POINTS_free(points);
  return result;
}

// RFC 5280, section 4.2.2.1: who is at this URL is asked.
static int add_responder(X509 *certificate, const char *url) {
  AUTHORITY_INFO_ACCESS *list = AUTHORITY_INFO_ACCESS_new();
  ACCESS_DESCRIPTION *place = ACCESS_DESCRIPTION_new();
  ASN1_IA5STRING *text = ASN1_IA5STRING_new();
  int result = list && place && text && ASN1_STRING_set(text, url, (int)strlen(url));
  if (result) {
    ASN1_OBJECT_free(place->method);
    place->method = OBJ_nid2obj(NID_ad_OCSP);
    GENERAL_NAME_set0_value(place->location, GEN_URI, text);
    text = NULL;
    result = sk_ACCESS_DESCRIPTION_push(list, place) > 0;
    if (result) place = NULL;
  }
  result = result &&
           X509_add1_ext_i2d(certificate, NID_info_access, list, 0, X509V3_ADD_DEFAULT) == 1;
  ASN1_IA5STRING_free(text);
  ACCESS_DESCRIPTION_free(place);
  AUTHORITY_INFO_ACCESS_free(list);
  return result;
}

// RFC 8737, section 3: a critical extension whose value is the digest, as an OCTET STRING.
static int add_proof(X509 *certificate, const uint8_t *digest) {
  uint8_t value[34] = {V_ASN1_OCTET_STRING, 32};
  memcpy(value + 2, digest, 32);
  ASN1_OBJECT *kind = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
  ASN1_OCTET_STRING *bytes = ASN1_OCTET_STRING_new();
  X509_EXTENSION *extension = NULL;
  int result = kind && bytes && ASN1_OCTET_STRING_set(bytes, value, sizeof value) &&
               (extension = X509_EXTENSION_create_by_OBJ(NULL, kind, 1, bytes)) &&
               X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(bytes);
  ASN1_OBJECT_free(kind);
  return result;
}

int martlet_tls_shows_proof(
    martlet_tls *tls, const char *name, int is_address, const uint8_t *digest) {
  X509 *certificate = SSL_get1_peer_certificate(tls);
  if (!certificate) return 0;
  ASN1_OBJECT *kind = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  int place = kind ? X509_get_ext_by_OBJ(certificate, kind, -1) : -1;
  X509_EXTENSION *extension = place >= 0 ? X509_get_ext(certificate, place) : NULL;
  int result = 0;
  if (names && sk_GENERAL_NAME_num(names) == 1 && extension &&
      X509_EXTENSION_get_critical(extension)) {
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(extension);
    const uint8_t *bytes = ASN1_STRING_get0_data(value);
    int is_named =
        is_address
            ? X509_check_ip_asc(certificate, name, 0)
            : X509_check_host(
                  certificate, name, 0,
                  X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL);
    result = is_named == 1 && ASN1_STRING_length(value) == 34 &&
             bytes[0] == V_ASN1_OCTET_STRING && bytes[1] == 32 &&
             CRYPTO_memcmp(bytes + 2, digest, 32) == 0;
  }
  GENERAL_NAMES_free(names);
  ASN1_OBJECT_free(kind);
  X509_free(certificate);
  return result;
}

static int set_serial(X509 *certificate, const uint8_t *serial, size_t count) {
  if (count > martlet_serial_bytes) return 0;
  BIGNUM *number = count > 0 ? BN_bin2bn(serial, (int)count, NULL) : BN_new();
  // RFC 5280, section 4.1.2.2: positive, at most 20 bytes; nobody can guess the next one.
  int result = number &&
               (count > 0 || BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY)) &&
               BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
  BN_free(number);
  return result;
}

static int set_times(X509 *certificate, int64_t from, int64_t until) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)from) &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)until);
}

static int extend(X509 *certificate, X509V3_CTX *context, const martlet_certificate_plan *plan) {
  switch (plan->kind) {
  case martlet_plan_authority:
    return add(certificate, context, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           add(certificate, context, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           add(certificate, context, NID_subject_key_identifier, "hash") &&
           (!plan->constraints ||
            add(certificate, context, NID_name_constraints, plan->constraints));
  case martlet_plan_server:
    return add(certificate, context, NID_basic_constraints, "critical,CA:FALSE") &&
           add(certificate, context, NID_key_usage, "critical,digitalSignature") &&
           add(certificate, context, NID_ext_key_usage, "serverAuth") &&
           add(certificate, context, NID_subject_key_identifier, "hash") &&
           add(certificate, context, NID_authority_key_identifier, "keyid") &&
           (!plan->list || add_list(certificate, plan->list)) &&
           (!plan->responder || add_responder(certificate, plan->responder)) &&
           add_names(certificate, plan->names);
  case martlet_plan_responder:
    // RFC 6960, section 4.2.2.2.1: nobody is asked what became of it, so that it does not live long.
    return add(certificate, context, NID_basic_constraints, "critical,CA:FALSE") &&
           add(certificate, context, NID_key_usage, "critical,digitalSignature") &&
           add(certificate, context, NID_ext_key_usage, "OCSPSigning") &&
           add(certificate, context, NID_id_pkix_OCSP_noCheck, "ignored") &&
           add(certificate, context, NID_subject_key_identifier, "hash") &&
           add(certificate, context, NID_authority_key_identifier, "keyid");
  case martlet_plan_proof:
    return add_names(certificate, plan->names) && add_proof(certificate, plan->digest);
  default: return 0;
  }
}

int64_t martlet_certificate_issue(
    const martlet_certificate_plan *plan, martlet_key *key,
    const martlet_certificates *issuer, martlet_key *issuer_key, uint8_t *out, size_t count) {
  ERR_clear_error();
  X509 *certificate = X509_new();
  X509 *from = issuer ? martlet_certificates_first(issuer) : certificate;
  martlet_key *signer = issuer_key ? issuer_key : key;
  X509V3_CTX context;
  int result = certificate && X509_set_version(certificate, X509_VERSION_3) &&
               set_serial(certificate, plan->serial, plan->serial_count) && set_times(certificate, plan->from, plan->until) &&
               X509_set_pubkey(certificate, key) &&
               set_subject(
                   X509_get_subject_name(certificate), plan->organization, plan->common_name) &&
               X509_set_issuer_name(certificate, X509_get_subject_name(from));
  if (result) {
    X509V3_set_ctx(&context, from, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    result = extend(certificate, &context, plan) &&
             X509_sign(certificate, signer, EVP_sha256()) > 0;
  }
  BIO *bio = result ? BIO_new(BIO_s_mem()) : NULL;
  int is_written = bio && PEM_write_bio_X509(bio, certificate) == 1;
  X509_free(certificate);
  return taken(bio, is_written, out, count);
}

int martlet_certificates_renewal_id(
    const martlet_certificates *certificates, uint8_t *authority, size_t *authority_count,
    uint8_t *serial, size_t *serial_count) {
  X509 *own = martlet_certificates_first(certificates);
  const ASN1_OCTET_STRING *key = X509_get0_authority_key_id(own);
  const ASN1_INTEGER *number = X509_get0_serialNumber(own);
  if (!key || !number || X509_get0_serialNumber(own)->type == V_ASN1_NEG_INTEGER) return 0;
  int key_length = ASN1_STRING_length(key), length = ASN1_STRING_length(number);
  if (key_length <= 0 || length <= 0 || (size_t)key_length > *authority_count) return 0;
  const uint8_t *bytes = ASN1_STRING_get0_data(number);
  // As DER writes it: a zero in front of what would look negative.
  size_t zero = bytes[0] & 0x80 ? 1 : 0;
  if ((size_t)length + zero > *serial_count) return 0;
  memcpy(authority, ASN1_STRING_get0_data(key), (size_t)key_length);
  *authority_count = (size_t)key_length;
  serial[0] = 0;
  memcpy(serial + zero, bytes, (size_t)length);
  *serial_count = (size_t)length + zero;
  return 1;
}

// The hello

int martlet_tls_hello_asks_proof(martlet_tls *tls) {
  // RFC 8737, section 3: this protocol and no other.
  static const uint8_t only[] = "\x00\x0b\x0a" "acme-tls/1";
  const uint8_t *bytes;
  size_t count;
  if (!SSL_client_hello_get0_ext(
          tls, TLSEXT_TYPE_application_layer_protocol_negotiation, &bytes, &count)) {
    return 0;
  }
  return count == sizeof only - 1 && memcmp(bytes, only, count) == 0;
}
