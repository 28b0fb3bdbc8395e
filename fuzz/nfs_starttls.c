/* SPDX-License-Identifier: BSD-2-Clause */
/* A server's answer to the question for TLS (RFC 9289 §4.1), in clear text from
 * whoever is there. Given as it is asked for, no byte beyond its end is looked
 * at; all at once it means the same.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "protocols/nfs/engine.h"

#define XID 0x01020304u
#define ANSWER_BYTES 1024u

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  uint8_t *exact = NULL;
  size_t have = 0, more = 0;
  struct fault f = {0}, again = {0};
  enum err e;

  for (;;) {
    /* Its own memory, so that a byte beyond shows. */
    exact = realloc (exact, have ? have : 1);
    MUST (exact);
    if (have)
      memcpy (exact, data, have);
    e = nfs_starttls_welcome (XID, exact, have, &more, &f);
    if (e != ERR_AGAIN)
      break;
    MUST (more > 0 && more <= ANSWER_BYTES - have);
    if (more > size - have)
      break;
    have += more;
  }
  free (exact);
  MUST (e == ERR_OK || e == ERR_AGAIN || e == f.code);
  if (e == ERR_OK)
    MUST (have >= 12 && memcmp (data + 4, "\1\2\3\4\0\0\0\1\0\0\0\0", 12) == 0);
  if (e != ERR_AGAIN)
    MUST (nfs_starttls_welcome (XID, data, size, &more, &again) == e);
  return 0;
}
