// What Swift needs of zlib, brotli and zstd: one form for the three.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { martlet_coding_gzip = 1, martlet_coding_brotli = 2, martlet_coding_zstd = 3 };

/// What is wanted of an encoder besides taking bytes: nothing, that all it has taken can be decoded, or
/// that the body ends.
enum { martlet_push_more = 0, martlet_push_flush = 1, martlet_push_end = 2 };

/// How a step ends: all was taken, and what was wanted is done; there was no room for more; a decoder
/// stands where the body may end; the bytes are no such coding; there is no memory.
enum {
  martlet_step_done = 0,
  martlet_step_full = 1,
  martlet_step_ended = 2,
  martlet_step_broken = -1,
  martlet_step_no_memory = -2
};

typedef struct martlet_encoder martlet_encoder;
typedef struct martlet_decoder martlet_decoder;

/// Bytes that bodies are coded against, made ready for encoders of one coding.
///
/// Nothing changes it: encoders of several threads may use it at once.
typedef struct martlet_dictionary martlet_dictionary;

/// Whether there are dictionaries for a coding: the library may be too old.
int martlet_has_dictionaries(int coding);
/// Makes a copy of bytes ready, for encoders of about this level; NULL without memory, and where there are
/// no dictionaries.
martlet_dictionary *martlet_dictionary_new(
    int coding, int level, const uint8_t *bytes, size_t count);
/// No encoder may use it any more.
void martlet_dictionary_free(martlet_dictionary *dictionary);
/// How many bytes of memory it holds.
size_t martlet_dictionary_bytes(const martlet_dictionary *dictionary);

/// An encoder that stands before a body; NULL without memory. `window_bits` is how far back it looks, as a
/// power of two.
martlet_encoder *martlet_encoder_new(int coding, int level, int window_bits);
void martlet_encoder_free(martlet_encoder *encoder);
/// Begins another body; `length` is UINT64_MAX where it is not known. A length must be true. A dictionary must
/// live until another body begins; NULL: there is none.
int martlet_encoder_begin(
    martlet_encoder *encoder, uint64_t length, const martlet_dictionary *dictionary);
/// Takes bytes, and writes what has come of them so far.
int martlet_encoder_step(
    martlet_encoder *encoder, int push, const uint8_t *in, size_t count, size_t *taken, uint8_t *out,
    size_t room, size_t *made);
/// How many bytes of memory it holds.
size_t martlet_encoder_bytes(const martlet_encoder *encoder);

/// A decoder that stands before a body; NULL without memory. It refuses windows larger than 8 MB.
martlet_decoder *martlet_decoder_new(int coding);
void martlet_decoder_free(martlet_decoder *decoder);
/// Begins another body.
int martlet_decoder_begin(martlet_decoder *decoder);
/// Takes bytes, and writes what they stand for.
int martlet_decoder_step(
    martlet_decoder *decoder, const uint8_t *in, size_t count, size_t *taken, uint8_t *out,
    size_t room, size_t *made);
/// How many bytes of memory it holds, as far as that is known.
size_t martlet_decoder_bytes(const martlet_decoder *decoder);
