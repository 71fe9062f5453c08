#include "COpenSSL.h"
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

int martlet_digest(const uint8_t *bytes, size_t count, uint8_t *out) {
  unsigned int length = 0;
  return EVP_Digest(bytes, count, out, &length, EVP_sha256(), NULL) == 1 && length == 32;
}

struct martlet_hash {
  EVP_MD_CTX *context;
  int is_sound;
};

martlet_hash *martlet_hash_new(int is_long) {
  martlet_hash *hash = calloc(1, sizeof *hash);
  if (hash == NULL) return NULL;
  hash->context = EVP_MD_CTX_new();
  hash->is_sound = hash->context != NULL &&
                   EVP_DigestInit_ex(hash->context, is_long ? EVP_sha512() : EVP_sha256(), NULL) == 1;
  if (hash->is_sound) return hash;
  martlet_hash_free(hash);
  return NULL;
}

void martlet_hash_free(martlet_hash *hash) {
  if (hash == NULL) return;
  EVP_MD_CTX_free(hash->context);
  free(hash);
}

void martlet_hash_add(martlet_hash *hash, const uint8_t *bytes, size_t count) {
  if (EVP_DigestUpdate(hash->context, bytes, count) != 1) hash->is_sound = 0;
}

size_t martlet_hash_end(martlet_hash *hash, uint8_t *out) {
  unsigned int length = 0;
  if (!hash->is_sound || EVP_DigestFinal_ex(hash->context, out, &length) != 1) return 0;
  return length;
}

struct martlet_check {
  EVP_MAC_CTX *context;
  int is_sound;
};

martlet_check *martlet_check_new(const uint8_t *key, const uint8_t *nonce) {
  martlet_check *check = calloc(1, sizeof *check);
  EVP_MAC *mac = EVP_MAC_fetch(NULL, "GMAC", NULL);
  if (check && mac) check->context = EVP_MAC_CTX_new(mac);
  // The context holds what it needs of it.
  EVP_MAC_free(mac);
  OSSL_PARAM parameters[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char *)"AES-128-GCM", 0),
    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, (void *)nonce, 12),
    OSSL_PARAM_construct_end(),
  };
  if (check && check->context) {
    check->is_sound = EVP_MAC_init(check->context, key, 16, parameters) == 1;
    if (check->is_sound) return check;
  }
  martlet_check_free(check);
  return NULL;
}

void martlet_check_free(martlet_check *check) {
  if (check == NULL) return;
  EVP_MAC_CTX_free(check->context);
  free(check);
}

void martlet_check_add(martlet_check *check, const uint8_t *bytes, size_t count) {
  if (EVP_MAC_update(check->context, bytes, count) != 1) check->is_sound = 0;
}

int martlet_check_end(martlet_check *check, uint8_t *out) {
  size_t length = 0;
  return check->is_sound && EVP_MAC_final(check->context, out, &length, 16) == 1 && length == 16;
}

int martlet_authenticate(
    const uint8_t *key, size_t key_count, const uint8_t *bytes, size_t count, uint8_t *out) {
  unsigned int length = 0;
  if (key_count > INT_MAX) return 0;
  return HMAC(EVP_sha256(), key, (int)key_count, bytes, count, out, &length) && length == 32;
}
