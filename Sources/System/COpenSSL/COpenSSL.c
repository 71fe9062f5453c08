#include "COpenSSL.h"
#include <limits.h>
#include <malloc.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

// OpenSSL overwrites keys before it frees them, and forgets that while it reads one, whose DER form it has in
// buffers of several steps. What this thread frees meanwhile is overwritten here.
static _Thread_local int wipes;

void martlet_wipe_begin(void) { wipes++; }

void martlet_wipe_end(void) { wipes--; }

static void *own_malloc(size_t count, const char *file, int line) {
  (void)file, (void)line;
  return malloc(count);
}

static void own_free(void *bytes, const char *file, int line) {
  (void)file, (void)line;
  if (wipes && bytes) explicit_bzero(bytes, malloc_usable_size(bytes));
  free(bytes);
}

static void *own_realloc(void *bytes, size_t count, const char *file, int line) {
  if (!wipes || !bytes) return realloc(bytes, count);
  void *moved = malloc(count);
  if (!moved) return NULL;
  size_t before = malloc_usable_size(bytes);
  memcpy(moved, bytes, before < count ? before : count);
  own_free(bytes, file, line);
  return moved;
}

// It takes functions of somebody else only before it has allocated anything.
__attribute__((constructor)) static void take_memory(void) {
  CRYPTO_set_mem_functions(own_malloc, own_realloc, own_free);
}

martlet_cipher *martlet_cipher_new(const uint8_t *key, int seals) {
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  if (!context) return NULL;
  if (EVP_CipherInit_ex2(context, EVP_aes_256_gcm(), key, NULL, seals, NULL) != 1) {
    EVP_CIPHER_CTX_free(context);
    return NULL;
  }
  return context;
}

void martlet_cipher_free(martlet_cipher *cipher) { EVP_CIPHER_CTX_free(cipher); }

int martlet_cipher_seal(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *about, size_t about_count,
    const uint8_t *bytes, size_t count, uint8_t *out) {
  int length = 0;
  if (count > INT_MAX || about_count > INT_MAX) return 0;
  return EVP_EncryptInit_ex2(cipher, NULL, NULL, nonce, NULL) == 1 &&
         EVP_EncryptUpdate(cipher, NULL, &length, about, (int)about_count) == 1 &&
         EVP_EncryptUpdate(cipher, out, &length, bytes, (int)count) == 1 &&
         EVP_EncryptFinal_ex(cipher, out + length, &length) == 1 &&
         EVP_CIPHER_CTX_ctrl(
             cipher, EVP_CTRL_AEAD_GET_TAG, martlet_aead_tag_bytes, out + count) == 1;
}

int martlet_cipher_open(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *about, size_t about_count,
    const uint8_t *bytes, size_t count, uint8_t *out) {
  int length = 0;
  if (count > INT_MAX || about_count > INT_MAX) return 0;
  return EVP_DecryptInit_ex2(cipher, NULL, NULL, nonce, NULL) == 1 &&
         EVP_DecryptUpdate(cipher, NULL, &length, about, (int)about_count) == 1 &&
         EVP_DecryptUpdate(cipher, out, &length, bytes, (int)count) == 1 &&
         EVP_CIPHER_CTX_ctrl(
             cipher, EVP_CTRL_AEAD_SET_TAG, martlet_aead_tag_bytes, (void *)(bytes + count)) == 1 &&
         EVP_DecryptFinal_ex(cipher, out + length, &length) == 1;
}

int martlet_derive(
    const uint8_t *secret, size_t secret_count, const uint8_t *purpose, size_t purpose_count,
    uint8_t *out, size_t out_count) {
  EVP_KDF *kind = EVP_KDF_fetch(NULL, "HKDF", NULL);
  EVP_KDF_CTX *context = kind ? EVP_KDF_CTX_new(kind) : NULL;
  EVP_KDF_free(kind);
  if (!context) return 0;
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, "SHA256", 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, secret_count),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)purpose, purpose_count),
      OSSL_PARAM_construct_end()};
  int result = EVP_KDF_derive(context, out, out_count, parameters) == 1;
  EVP_KDF_CTX_free(context);
  return result;
}
