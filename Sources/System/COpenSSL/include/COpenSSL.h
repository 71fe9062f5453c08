// What Swift needs of OpenSSL. Every shim returns 1, or 0 when it did not work.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Overwrites all that OpenSSL frees in this thread, until the end.
void martlet_wipe_begin(void);
void martlet_wipe_end(void);

typedef struct evp_cipher_ctx_st martlet_cipher;

enum { martlet_aead_key_bytes = 32, martlet_aead_nonce_bytes = 12, martlet_aead_tag_bytes = 16 };

/// A key for AES-256-GCM, to seal with or to open with; NULL without memory.
martlet_cipher *martlet_cipher_new(const uint8_t *key, int seals);
void martlet_cipher_free(martlet_cipher *cipher);

/// Writes `count` sealed bytes and then the tag to `out`.
int martlet_cipher_seal(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *about, size_t about_count,
    const uint8_t *bytes, size_t count, uint8_t *out);

/// Writes `count` opened bytes to `out`; the tag stands behind the sealed ones.
int martlet_cipher_open(
    martlet_cipher *cipher, const uint8_t *nonce, const uint8_t *about, size_t about_count,
    const uint8_t *bytes, size_t count, uint8_t *out);

/// Derives `out_count` bytes from a secret. RFC 5869 with SHA-256.
int martlet_derive(
    const uint8_t *secret, size_t secret_count, const uint8_t *purpose, size_t purpose_count,
    uint8_t *out, size_t out_count);

#include "COpenSSL_TLS.h"
