// Dictionaries as encoders see them; no part of what Swift sees.
#pragma once
#include "CCompression.h"

#include <brotli/encode.h>
#include <zstd.h>

// Dictionaries came to libbrotli with version 1.1.
#if defined(__has_include)
#if __has_include(<brotli/shared_dictionary.h>)
#define MARTLET_HAS_BROTLI_DICTIONARIES 1
#endif
#endif

struct martlet_dictionary {
  int coding;
  // A copy; NULL where a library has its own.
  uint8_t *bytes;
  size_t count;
  // NULL: the bytes are indexed anew for each body.
  ZSTD_CDict *zstd;
#ifdef MARTLET_HAS_BROTLI_DICTIONARIES
  BrotliEncoderPreparedDictionary *brotli;
#endif
};
