#include "CCompression.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

// RFC 9659: content of HTTP has windows of at most 8 MB.
enum { window_limit_log = 23 };

struct martlet_decoder {
  int coding;
  // Whether a member or a frame is over and no further one has begun.
  int has_ended;
  // How much was seen of what a frame of zstd begins with, and whether that is one to be skipped.
  int magic_count, is_skippable;
  z_stream zlib;
  BrotliDecoderState *brotli;
  ZSTD_DCtx *zstd;
};

static int open_decoder(martlet_decoder *decoder) {
  switch (decoder->coding) {
    case martlet_coding_gzip: return inflateInit2(&decoder->zlib, 15 + 16) == Z_OK;
    case martlet_coding_brotli:
      decoder->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
      return decoder->brotli != NULL;
    case martlet_coding_zstd:
      decoder->zstd = ZSTD_createDCtx();
      if (decoder->zstd == NULL) return 0;
      ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax, window_limit_log);
      return 1;
    default: return 0;
  }
}

martlet_decoder *martlet_decoder_new(int coding) {
  martlet_decoder *decoder = calloc(1, sizeof *decoder);
  if (decoder == NULL) return NULL;
  decoder->coding = coding;
  if (open_decoder(decoder)) return decoder;
  martlet_decoder_free(decoder);
  return NULL;
}

void martlet_decoder_free(martlet_decoder *decoder) {
  if (decoder == NULL) return;
  if (decoder->coding == martlet_coding_gzip) inflateEnd(&decoder->zlib);
  if (decoder->brotli != NULL) BrotliDecoderDestroyInstance(decoder->brotli);
  ZSTD_freeDCtx(decoder->zstd);
  free(decoder);
}

int martlet_decoder_begin(martlet_decoder *decoder) {
  decoder->has_ended = 0;
  decoder->magic_count = 0;
  switch (decoder->coding) {
    case martlet_coding_gzip:
      return inflateReset(&decoder->zlib) == Z_OK ? martlet_step_done : martlet_step_broken;
    case martlet_coding_brotli:
      BrotliDecoderDestroyInstance(decoder->brotli);
      decoder->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
      return decoder->brotli != NULL ? martlet_step_done : martlet_step_no_memory;
    default:
      ZSTD_DCtx_reset(decoder->zstd, ZSTD_reset_session_only);
      return martlet_step_done;
  }
}

static int step_zlib(
    martlet_decoder *decoder, const uint8_t *in, size_t count, size_t *taken, uint8_t *out,
    size_t room, size_t *made) {
  z_stream *stream = &decoder->zlib;
  stream->next_in = (Bytef *)in;
  stream->avail_in = (uInt)count;
  stream->next_out = out;
  stream->avail_out = (uInt)room;
  int step = martlet_step_done;
  while (1) {
    if (decoder->has_ended) {
      if (stream->avail_in == 0) {
        step = martlet_step_ended;
        break;
      }
      // Another member follows: RFC 1952, section 2.2.
      decoder->has_ended = 0;
      if (inflateReset(stream) != Z_OK) return martlet_step_broken;
    }
    int result = inflate(stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      decoder->has_ended = 1;
      if (stream->avail_out == 0 && stream->avail_in > 0) {
        step = martlet_step_full;
        break;
      }
      continue;
    }
    if (result == Z_MEM_ERROR) return martlet_step_no_memory;
    if (result != Z_OK && result != Z_BUF_ERROR) return martlet_step_broken;
    step = stream->avail_out == 0 ? martlet_step_full : martlet_step_done;
    break;
  }
  *taken = count - stream->avail_in;
  *made = room - stream->avail_out;
  return step;
}

static int step_brotli(
    martlet_decoder *decoder, const uint8_t *in, size_t count, size_t *taken, uint8_t *out,
    size_t room, size_t *made) {
  if (decoder->has_ended) return count == 0 ? martlet_step_ended : martlet_step_broken;
  size_t left = count, free_room = room;
  BrotliDecoderResult result =
      BrotliDecoderDecompressStream(decoder->brotli, &left, &in, &free_room, &out, NULL);
  *taken = count - left;
  *made = room - free_room;
  switch (result) {
    case BROTLI_DECODER_RESULT_SUCCESS:
      decoder->has_ended = 1;
      // A body is one stream: nothing may follow it.
      return left == 0 ? martlet_step_ended : martlet_step_broken;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT: return martlet_step_done;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: return martlet_step_full;
    default: return martlet_step_broken;
  }
}

// Whether bytes go on with a frame of RFC 8878: the library also takes the forms before it, some of which it reads
// differently when they come in other pieces, and without a limit on their window.
static int is_frame(martlet_decoder *decoder, const uint8_t *in, size_t count) {
  static const uint8_t frame[] = {0x28, 0xB5, 0x2F, 0xFD}, skippable[] = {0x50, 0x2A, 0x4D, 0x18};
  int first = decoder->magic_count;
  for (int i = first; i < 4 && (size_t)(i - first) < count; i++) {
    uint8_t byte = in[i - first];
    if (i == 0) decoder->is_skippable = (byte & 0xF0) == skippable[0];
    if (i == 0 && decoder->is_skippable) continue;
    if (byte != (decoder->is_skippable ? skippable[i] : frame[i])) return 0;
  }
  return 1;
}

static int step_zstd(
    martlet_decoder *decoder, const uint8_t *in, size_t count, size_t *taken, uint8_t *out,
    size_t room, size_t *made) {
  ZSTD_inBuffer input = {in, count, 0};
  ZSTD_outBuffer output = {out, room, 0};
  int step = decoder->has_ended && count == 0 ? martlet_step_ended : martlet_step_done;
  while (step != martlet_step_ended) {
    size_t before = input.pos;
    if (!is_frame(decoder, in + before, count - before)) return martlet_step_broken;
    size_t result = ZSTD_decompressStream(decoder->zstd, &output, &input);
    if (ZSTD_isError(result)) return martlet_step_broken;
    decoder->has_ended = result == 0;
    size_t seen = decoder->magic_count + (input.pos - before);
    decoder->magic_count = result == 0 ? 0 : seen < 4 ? (int)seen : 4;
    if (output.pos == room) {
      // There may be more to be written: the next step tells.
      step = result == 0 && input.pos == count ? martlet_step_ended : martlet_step_full;
      break;
    }
    if (input.pos == count || input.pos == before) {
      step = result == 0 ? martlet_step_ended : martlet_step_done;
      break;
    }
  }
  *taken = input.pos;
  *made = output.pos;
  return step;
}

int martlet_decoder_step(
    martlet_decoder *decoder, const uint8_t *in, size_t count, size_t *taken, uint8_t *out,
    size_t room, size_t *made) {
  *taken = 0;
  *made = 0;
  switch (decoder->coding) {
    case martlet_coding_gzip: return step_zlib(decoder, in, count, taken, out, room, made);
    case martlet_coding_brotli: return step_brotli(decoder, in, count, taken, out, room, made);
    default: return step_zstd(decoder, in, count, taken, out, room, made);
  }
}

size_t martlet_decoder_bytes(const martlet_decoder *decoder) {
  switch (decoder->coding) {
    // As zconf.h has it.
    case martlet_coding_gzip: return ((size_t)1 << 15) + 7 * 1024 + sizeof *decoder;
    // A window of its largest size, if it comes to that.
    case martlet_coding_brotli: return ((size_t)1 << 18) + sizeof *decoder;
    default: return ZSTD_sizeof_DCtx(decoder->zstd) + sizeof *decoder;
  }
}
