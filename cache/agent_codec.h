/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of the SSH agent protocol (draft-miller-ssh-agent): listing keys and
 * having something signed. Pure. What comes from the agent is checked as a
 * stranger's; keys of other kinds than ours (certificates, security keys, DSA)
 * are left out.
 */
#ifndef BH_CACHE_AGENT_CODEC_H
#define BH_CACHE_AGENT_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/keys.h"
#include "common/wire.h"

/* What OpenSSH's client takes at most, too. */
#define AGENT_ANSWER_BYTES (256u << 10)
#define AGENT_COMMENT_BYTES 64

struct agent_key {
  const char *algorithm; /* of its signatures, as ssh_key_algorithm */
  size_t blob_bytes;
  uint8_t blob[SSH_KEY_BLOB_BYTES];  /* as ssh_key_blob */
  char comment[AGENT_COMMENT_BYTES]; /* printable */
};

/* A public key blob as an agent or a key file has it. ERR_NOTSUP, ERR_INVAL. */
enum err
agent_key_take (const uint8_t *blob, size_t blob_bytes, struct agent_key *ret);

/* Requests, with their length in front. */
void
agent_put_list (struct wirebuf *b);
void
agent_put_sign (struct wirebuf *b, const struct agent_key *k,
                const uint8_t *data, size_t data_bytes);

/* Answers, without their length. agent_next_key: over the answer to a list;
 * the first call with *at 0. False at the end, or where it is damaged.
 */
bool
agent_next_key (const uint8_t *answer, size_t answer_bytes, size_t *at,
                struct agent_key *ret);
/* What follows the algorithm's name in the signature, inside answer.
 * ERR_AUTH: the agent refused; ERR_PEER: it is no such signature.
 */
enum err
agent_take_signature (const uint8_t *answer, size_t answer_bytes,
                      const struct agent_key *k, const uint8_t **ret,
                      size_t *ret_bytes);

#endif
