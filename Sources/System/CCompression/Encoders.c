#include "Dictionaries.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

// brotli cannot begin anew: it gives its memory back and takes it again. What it gives back is kept for
// that, or the kernel would have to clear the same pages for every body.
enum { kept_limit = 24 };

// The tables of zstd have no more entries than this power of two, however large its window is.
enum { table_limit_log = 19 };

typedef struct {
  void *memory;
  size_t size;
  int is_used;
} kept_block;

struct martlet_encoder {
  int coding, level, window_bits;
  z_stream zlib;
  BrotliEncoderState *brotli;
  ZSTD_CCtx *zstd;
  kept_block kept[kept_limit];
  size_t kept_bytes;
};

static void *take_block(void *opaque, size_t size) {
  martlet_encoder *encoder = opaque;
  kept_block *place = NULL;
  for (int i = 0; i < kept_limit; i++) {
    kept_block *block = &encoder->kept[i];
    if (block->is_used) continue;
    if (block->size >= size && block->size / 2 <= size) {
      block->is_used = 1;
      return block->memory;
    }
    // The largest one that is too small makes room: what grows is not kept in every size that it had.
    int is_smaller = block->size < size;
    int place_is_smaller = place != NULL && place->size < size;
    if (place == NULL || (is_smaller && (!place_is_smaller || block->size > place->size))) {
      place = block;
    }
  }
  void *memory = malloc(size);
  if (memory == NULL || place == NULL) return memory;
  encoder->kept_bytes += size - place->size;
  free(place->memory);
  *place = (kept_block){memory, size, 1};
  return memory;
}

static void give_block(void *opaque, void *memory) {
  martlet_encoder *encoder = opaque;
  if (memory == NULL) return;
  for (int i = 0; i < kept_limit; i++) {
    if (encoder->kept[i].memory == memory) {
      encoder->kept[i].is_used = 0;
      return;
    }
  }
  free(memory);
}

static int begin_brotli(
    martlet_encoder *encoder, uint64_t length, const martlet_dictionary *dictionary) {
  if (encoder->brotli != NULL) BrotliEncoderDestroyInstance(encoder->brotli);
  encoder->brotli = BrotliEncoderCreateInstance(take_block, give_block, encoder);
  if (encoder->brotli == NULL) return martlet_step_no_memory;
  uint32_t hint = length == UINT64_MAX ? 0 : length > 1u << 30 ? 1u << 30 : (uint32_t)length;
  BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_QUALITY, (uint32_t)encoder->level);
  BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_LGWIN, (uint32_t)encoder->window_bits);
  BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_SIZE_HINT, hint);
  if (dictionary == NULL) return martlet_step_done;
#ifdef MARTLET_HAS_BROTLI_DICTIONARIES
  return BrotliEncoderAttachPreparedDictionary(encoder->brotli, dictionary->brotli)
             ? martlet_step_done
             : martlet_step_broken;
#else
  return martlet_step_broken;
#endif
}

static int begin_zstd(
    martlet_encoder *encoder, uint64_t length, const martlet_dictionary *dictionary) {
  ZSTD_CCtx_reset(encoder->zstd, ZSTD_reset_session_only);
  // Without one, this takes away the one before.
  size_t result = ZSTD_CCtx_refCDict(encoder->zstd, dictionary == NULL ? NULL : dictionary->zstd);
  if (!ZSTD_isError(result) && dictionary != NULL && dictionary->zstd == NULL) {
    result = ZSTD_CCtx_refPrefix(encoder->zstd, dictionary->bytes, dictionary->count);
  }
  if (ZSTD_isError(result)) return martlet_step_no_memory;
  unsigned long long size = length == UINT64_MAX ? ZSTD_CONTENTSIZE_UNKNOWN : length;
  return ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(encoder->zstd, size)) ? martlet_step_broken
                                                                      : martlet_step_done;
}

static int open_encoder(martlet_encoder *encoder) {
  switch (encoder->coding) {
    case martlet_coding_gzip: {
      // A hash as wide as the window needs: it is cleared for every body.
      int memory = encoder->window_bits >= 15 ? 8 : encoder->window_bits - 7;
      return deflateInit2(
                 &encoder->zlib, encoder->level, Z_DEFLATED, encoder->window_bits + 16,
                 memory < 1 ? 1 : memory, Z_DEFAULT_STRATEGY) == Z_OK;
    }
    case martlet_coding_brotli:
      return begin_brotli(encoder, UINT64_MAX, NULL) == martlet_step_done;
    case martlet_coding_zstd:
      encoder->zstd = ZSTD_createCCtx();
      if (encoder->zstd == NULL) return 0;
      ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, encoder->level);
      ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_windowLog, encoder->window_bits);
      // Its tables are as large as a window of many megabytes needs, unless the length is known.
      if (encoder->level > 3) {
        int bits = encoder->window_bits < table_limit_log ? encoder->window_bits : table_limit_log;
        ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_hashLog, bits + 1);
        ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_chainLog, bits);
      }
      return 1;
    default: return 0;
  }
}

martlet_encoder *martlet_encoder_new(int coding, int level, int window_bits) {
  martlet_encoder *encoder = calloc(1, sizeof *encoder);
  if (encoder == NULL) return NULL;
  encoder->coding = coding;
  encoder->level = level;
  encoder->window_bits = window_bits;
  if (open_encoder(encoder)) return encoder;
  martlet_encoder_free(encoder);
  return NULL;
}

void martlet_encoder_free(martlet_encoder *encoder) {
  if (encoder == NULL) return;
  if (encoder->coding == martlet_coding_gzip) deflateEnd(&encoder->zlib);
  if (encoder->brotli != NULL) BrotliEncoderDestroyInstance(encoder->brotli);
  ZSTD_freeCCtx(encoder->zstd);
  for (int i = 0; i < kept_limit; i++) free(encoder->kept[i].memory);
  free(encoder);
}

int martlet_encoder_begin(
    martlet_encoder *encoder, uint64_t length, const martlet_dictionary *dictionary) {
  switch (encoder->coding) {
    case martlet_coding_gzip:
      return deflateReset(&encoder->zlib) == Z_OK ? martlet_step_done : martlet_step_broken;
    case martlet_coding_brotli: return begin_brotli(encoder, length, dictionary);
    default: return begin_zstd(encoder, length, dictionary);
  }
}

static int step_zlib(
    martlet_encoder *encoder, int push, const uint8_t *in, size_t count, size_t *taken, uint8_t *out,
    size_t room, size_t *made) {
  static const int flushes[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
  z_stream *stream = &encoder->zlib;
  stream->next_in = (Bytef *)in;
  stream->avail_in = (uInt)count;
  stream->next_out = out;
  stream->avail_out = (uInt)room;
  int result = deflate(stream, flushes[push]);
  *taken = count - stream->avail_in;
  *made = room - stream->avail_out;
  // Z_BUF_ERROR: there is nothing left to be done, or no room.
  if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return martlet_step_broken;
  if (push == martlet_push_end) {
    return result == Z_STREAM_END ? martlet_step_done : martlet_step_full;
  }
  return stream->avail_out == 0 ? martlet_step_full : martlet_step_done;
}

static int step_brotli(
    martlet_encoder *encoder, int push, const uint8_t *in, size_t count, size_t *taken, uint8_t *out,
    size_t room, size_t *made) {
  static const BrotliEncoderOperation operations[] = {
      BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH, BROTLI_OPERATION_FINISH};
  size_t left = count, free_room = room;
  BROTLI_BOOL works = BrotliEncoderCompressStream(
      encoder->brotli, operations[push], &left, &in, &free_room, &out, NULL);
  *taken = count - left;
  *made = room - free_room;
  if (!works) return martlet_step_broken;
  if (left > 0 || BrotliEncoderHasMoreOutput(encoder->brotli)) return martlet_step_full;
  if (push == martlet_push_end && !BrotliEncoderIsFinished(encoder->brotli)) {
    return martlet_step_full;
  }
  return martlet_step_done;
}

static int step_zstd(
    martlet_encoder *encoder, int push, const uint8_t *in, size_t count, size_t *taken, uint8_t *out,
    size_t room, size_t *made) {
  static const ZSTD_EndDirective directives[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
  ZSTD_inBuffer input = {in, count, 0};
  ZSTD_outBuffer output = {out, room, 0};
  size_t left = ZSTD_compressStream2(encoder->zstd, &output, &input, directives[push]);
  *taken = input.pos;
  *made = output.pos;
  if (ZSTD_isError(left)) return martlet_step_broken;
  if (input.pos < count) return martlet_step_full;
  return push != martlet_push_more && left > 0 ? martlet_step_full : martlet_step_done;
}

int martlet_encoder_step(
    martlet_encoder *encoder, int push, const uint8_t *in, size_t count, size_t *taken, uint8_t *out,
    size_t room, size_t *made) {
  *taken = 0;
  *made = 0;
  switch (encoder->coding) {
    case martlet_coding_gzip:
      return step_zlib(encoder, push, in, count, taken, out, room, made);
    case martlet_coding_brotli:
      return step_brotli(encoder, push, in, count, taken, out, room, made);
    default: return step_zstd(encoder, push, in, count, taken, out, room, made);
  }
}

size_t martlet_encoder_bytes(const martlet_encoder *encoder) {
  switch (encoder->coding) {
    case martlet_coding_gzip: {
      int memory = encoder->window_bits >= 15 ? 8 : encoder->window_bits - 7;
      // As zconf.h has it.
      return ((size_t)1 << (encoder->window_bits + 2)) + ((size_t)1 << (memory + 9)) +
             sizeof *encoder;
    }
    case martlet_coding_brotli: return encoder->kept_bytes + sizeof *encoder;
    default: return ZSTD_sizeof_CCtx(encoder->zstd) + sizeof *encoder;
  }
}
