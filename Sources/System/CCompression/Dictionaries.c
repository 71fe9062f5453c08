#include "Dictionaries.h"

#include <stdlib.h>
#include <string.h>

int martlet_has_dictionaries(int coding) {
  if (coding == martlet_coding_zstd) return 1;
#ifdef MARTLET_HAS_BROTLI_DICTIONARIES
  if (coding == martlet_coding_brotli) return 1;
#endif
  return 0;
}

// Whether zstd would take the bytes for a dictionary in its own form: here each is a row of bytes and no more.
static int has_form(const uint8_t *bytes, size_t count) {
  static const uint8_t magic[] = {0x37, 0xA4, 0x30, 0xEC};
  return count >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

static int keep_bytes(martlet_dictionary *dictionary, const uint8_t *bytes, size_t count) {
  dictionary->bytes = malloc(count);
  if (dictionary->bytes == NULL) return 0;
  memcpy(dictionary->bytes, bytes, count);
  return 1;
}

static int prepare(martlet_dictionary *dictionary, int level, const uint8_t *bytes, size_t count) {
  dictionary->count = count;
  if (dictionary->coding == martlet_coding_zstd) {
    if (has_form(bytes, count)) return keep_bytes(dictionary, bytes, count);
    dictionary->zstd = ZSTD_createCDict(bytes, count, level);
    return dictionary->zstd != NULL;
  }
#ifdef MARTLET_HAS_BROTLI_DICTIONARIES
  // What is prepared points to the bytes.
  if (!keep_bytes(dictionary, bytes, count)) return 0;
  dictionary->brotli = BrotliEncoderPrepareDictionary(
      BROTLI_SHARED_DICTIONARY_RAW, count, dictionary->bytes, level, NULL, NULL, NULL);
  return dictionary->brotli != NULL;
#else
  return 0;
#endif
}

martlet_dictionary *martlet_dictionary_new(
    int coding, int level, const uint8_t *bytes, size_t count) {
  if (count == 0 || !martlet_has_dictionaries(coding)) return NULL;
  martlet_dictionary *dictionary = calloc(1, sizeof *dictionary);
  if (dictionary == NULL) return NULL;
  dictionary->coding = coding;
  if (prepare(dictionary, level, bytes, count)) return dictionary;
  martlet_dictionary_free(dictionary);
  return NULL;
}

void martlet_dictionary_free(martlet_dictionary *dictionary) {
  if (dictionary == NULL) return;
  ZSTD_freeCDict(dictionary->zstd);
#ifdef MARTLET_HAS_BROTLI_DICTIONARIES
  if (dictionary->brotli != NULL) BrotliEncoderDestroyPreparedDictionary(dictionary->brotli);
#endif
  free(dictionary->bytes);
  free(dictionary);
}

size_t martlet_dictionary_bytes(const martlet_dictionary *dictionary) {
  size_t size = sizeof *dictionary;
  if (dictionary->zstd != NULL) size += ZSTD_sizeof_CDict(dictionary->zstd);
  if (dictionary->bytes != NULL) size += dictionary->count;
#ifdef MARTLET_HAS_BROTLI_DICTIONARIES
  if (dictionary->brotli != NULL) {
    size += BrotliEncoderGetPreparedDictionarySize(dictionary->brotli);
  }
#endif
  return size;
}
