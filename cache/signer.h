/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon signs for a worker: the userauth request (RFC 4252 §7) of
 * the configured user with the key that was just offered, and nothing else. A
 * taken-over worker can so relay one login of this user, and no more.
 *
 * Pure but for the signature itself; one signer per dial, one thread.
 */
#ifndef BH_CACHE_SIGNER_H
#define BH_CACHE_SIGNER_H

#include <stddef.h>
#include <stdint.h>

#include "cache/keys.h"
#include "common/err.h"

#define SIGNER_SESSION_ID_BYTES 64 /* SHA-512 is the longest exchange hash */
#define SIGNER_SIGNATURES 8        /* per dial */
#define SIGNER_USER_BYTES 256

struct signer {
  const char *user;
  const char *algorithm; /* of the key that may sign; NULL: nothing may */
  const uint8_t *blob;
  size_t blob_bytes;
  const struct ssh_key *key; /* NULL: an agent has it */
  unsigned signatures;
  uint8_t session_id[SIGNER_SESSION_ID_BYTES]; /* of the first signature */
  size_t session_id_bytes;
};

/* user must outlive the signer. */
void
signer_init (struct signer *s, const char *user);
/* From now on this key may sign once; NULL: none may. It must outlive the
 * signer.
 */
void
signer_offer (struct signer *s, const struct ssh_key *key);
/* The same for a key that is not ours: see ssh_key_algorithm, ssh_key_blob. */
void
signer_offer_foreign (struct signer *s, const char *algorithm,
                      const uint8_t *blob, size_t blob_bytes);

/* Signs data into dst. ERR_AGAIN: the key is foreign; its owner may sign this
 * data now, and dst is untouched. ERR_PEER if it is not the request that was
 * expected: f then says in what. ERR_LIMIT: too many signatures.
 */
enum err
signer_sign (struct signer *s, const uint8_t *data, size_t data_bytes,
             uint8_t dst[SSH_SIGNATURE_BYTES], size_t *ret_bytes,
             struct fault *f);

#endif
