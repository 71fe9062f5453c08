#include "COpenSSL.h"
#include <arpa/inet.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

// Signatures of others

static EVP_PKEY *key_from(const char *kind, OSSL_PARAM_BLD *builder) {
  OSSL_PARAM *parameters = builder ? OSSL_PARAM_BLD_to_param(builder) : NULL;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
  EVP_PKEY *key = NULL;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1 ||
      EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
    key = NULL;
  }
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(parameters);
  return key;
}

static int is_signed(
    EVP_PKEY *key, const EVP_MD *digest, const uint8_t *bytes, size_t count, const uint8_t *signature,
    size_t signature_count) {
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  int result = key && context &&
               EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
               EVP_DigestVerify(context, signature, signature_count, bytes, count) == 1;
  EVP_MD_CTX_free(context);
  ERR_clear_error();
  return result;
}

// On P-256 where numbers have 32 bytes, on P-384 where they have 48.
static EVP_PKEY *point_key(const uint8_t *x, const uint8_t *y, size_t width) {
  uint8_t point[97] = {4};
  if (width != 32 && width != 48) return NULL;
  const char *group = width == 32 ? "prime256v1" : "secp384r1";
  memcpy(point + 1, x, width);
  memcpy(point + 1 + width, y, width);
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  EVP_PKEY *key = NULL;
  if (builder &&
      OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) &&
      OSSL_PARAM_BLD_push_octet_string(
          builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * width)) {
    key = key_from("EC", builder);
  }
  OSSL_PARAM_BLD_free(builder);
  return key;
}

static EVP_PKEY *modulus_key(
    const uint8_t *n, size_t n_count, const uint8_t *e, size_t e_count) {
  if (n_count > 512 || e_count > 8) return NULL;
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  BIGNUM *modulus = BN_bin2bn(n, (int)n_count, NULL), *exponent = BN_bin2bn(e, (int)e_count, NULL);
  EVP_PKEY *key = NULL;
  if (builder && modulus && exponent &&
      OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) &&
      OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent)) {
    key = key_from("RSA", builder);
  }
  OSSL_PARAM_BLD_free(builder);
  BN_free(modulus);
  BN_free(exponent);
  return key;
}

int martlet_verify_point(
    const uint8_t *x, const uint8_t *y, size_t width, const uint8_t *bytes, size_t count,
    const uint8_t *signature) {
  ERR_clear_error();
  EVP_PKEY *key = point_key(x, y, width);
  // RFC 7518, section 3.4: both numbers with their full length, one behind the other.
  ECDSA_SIG *pair = ECDSA_SIG_new();
  BIGNUM *left = BN_bin2bn(signature, (int)width, NULL);
  BIGNUM *right = BN_bin2bn(signature + width, (int)width, NULL);
  uint8_t *der = NULL;
  int length = -1;
  if (pair && left && right && ECDSA_SIG_set0(pair, left, right)) {
    left = right = NULL;
    length = i2d_ECDSA_SIG(pair, &der);
  }
  int result = length > 0 && is_signed(
                                 key, width == 32 ? EVP_sha256() : EVP_sha384(), bytes, count, der,
                                 (size_t)length);
  OPENSSL_free(der);
  BN_free(left);
  BN_free(right);
  ECDSA_SIG_free(pair);
  EVP_PKEY_free(key);
  return result;
}

int martlet_verify_modulus(
    const uint8_t *n, size_t n_count, const uint8_t *e, size_t e_count, const uint8_t *bytes,
    size_t count, const uint8_t *signature, size_t signature_count) {
  ERR_clear_error();
  EVP_PKEY *key = modulus_key(n, n_count, e, e_count);
  int result = is_signed(key, EVP_sha256(), bytes, count, signature, signature_count);
  EVP_PKEY_free(key);
  return result;
}

// Whether a certificate has a key, which is freed.
static int has_key(const martlet_certificates *certificates, EVP_PKEY *key) {
  EVP_PKEY *own = X509_get0_pubkey(martlet_certificates_first(certificates));
  int result = key && own && EVP_PKEY_eq(own, key) == 1;
  EVP_PKEY_free(key);
  ERR_clear_error();
  return result;
}

int martlet_certificates_has_point(
    const martlet_certificates *certificates, const uint8_t *x, const uint8_t *y, size_t width) {
  return has_key(certificates, point_key(x, y, width));
}

int martlet_certificates_has_modulus(
    const martlet_certificates *certificates, const uint8_t *n, size_t n_count, const uint8_t *e,
    size_t e_count) {
  return has_key(certificates, modulus_key(n, n_count, e, e_count));
}

// Requests of others

static X509_REQ *request_of(const uint8_t *der, size_t count) {
  const uint8_t *start = der;
  if (count > INT_MAX) return NULL;
  X509_REQ *request = d2i_X509_REQ(NULL, &start, (long)count);
  if (request && start == der + count) return request;
  X509_REQ_free(request);
  return NULL;
}

martlet_key *martlet_request_key(const uint8_t *der, size_t count) {
  enum { least_bits = 112 };
  ERR_clear_error();
  X509_REQ *request = request_of(der, count);
  EVP_PKEY *key = request ? X509_REQ_get_pubkey(request) : NULL;
  X509_REQ_free(request);
  request = key ? request_of(der, count) : NULL;
  int is_good = request && EVP_PKEY_get_security_bits(key) >= least_bits &&
                X509_REQ_verify(request, key) == 1;
  X509_REQ_free(request);
  ERR_clear_error();
  if (is_good) return key;
  EVP_PKEY_free(key);
  return NULL;
}

static void visit_text(martlet_name_visitor visit, void *context, int kind, const ASN1_STRING *text) {
  visit(
      context, kind, (const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
}

int martlet_request_names(
    const uint8_t *der, size_t count, martlet_name_visitor visit, void *context) {
  ERR_clear_error();
  X509_REQ *request = request_of(der, count);
  if (!request) return 0;
  int result = 1;
  STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
  GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
  for (int index = 0; index < sk_GENERAL_NAME_num(names) && result; index++) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    if (name->type == GEN_DNS) {
      visit_text(visit, context, 1, name->d.dNSName);
    } else if (name->type == GEN_IPADD) {
      char text[INET6_ADDRSTRLEN];
      int length = ASN1_STRING_length(name->d.iPAddress);
      int family = length == 4 ? AF_INET : length == 16 ? AF_INET6 : 0;
      result = family &&
               inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof text);
      if (result) visit(context, 2, text, strlen(text));
    } else {
      // What nobody has ordered.
      result = 0;
    }
  }
  GENERAL_NAMES_free(names);
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  // The common name is a name as well.
  X509_NAME *subject = X509_REQ_get_subject_name(request);
  int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (place >= 0) {
    visit_text(visit, context, 3, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
  }
  X509_REQ_free(request);
  ERR_clear_error();
  return result;
}
