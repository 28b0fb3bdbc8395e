/* SPDX-License-Identifier: BSD-2-Clause */
/* A stream of iSCSI PDUs: headers, AHS, digests, padding. The first byte says
 * which digests there are. In one piece and byte by byte the same PDUs must
 * come out.
 */
#include "config.h"
#include "fuzz/target.h"

#include <string.h>

#include "protocols/iscsi/inbox.h"

#define DATA_BYTES 9000u /* more than the inbox's own */

struct heard {
  unsigned pdus;
  enum err error;
  uint64_t sum;
};

static void
add (struct heard *h, const void *bytes, size_t n)
{
  const uint8_t *b = bytes;

  for (size_t i = 0; i < n; i++)
    h->sum = (h->sum ^ b[i]) * 0x100000001b3ull;
}

/* As the engine does: where the data go depends on the PDU. */
static enum err
advance (struct inbox *in, uint8_t *own, struct heard *h, struct fault *f)
{
  if (in->step == INBOX_PLACE) {
    bool is_data = in->pdu.opcode == PDU_DATA_IN;

    MUST (in->pdu.data_bytes <= in->data_max_bytes);
    MUST (pdu_opcode_name (in->pdu.opcode)
          && pdu_opcode_section (in->pdu.opcode));
    if (inbox_place (in, is_data ? own : NULL, f))
      return ERR_PEER;
  }
  if (in->step == INBOX_WHOLE) {
    add (h, &in->pdu.opcode, sizeof in->pdu.opcode);
    add (h, in->data, in->pdu.data_bytes);
    h->pdus++;
    inbox_next (in);
  }
  return ERR_OK;
}

static struct heard
listen_to (const uint8_t *data, size_t size, uint8_t digests, size_t most)
{
  struct heard h = {0};
  struct inbox *in = malloc (sizeof *in);
  uint8_t *own = malloc (DATA_BYTES);
  struct fault f = {0};

  if (!in || !own)
    size = 0;
  else
    inbox_init (in);
  if (size) {
    in->header_digest = digests & 1;
    in->data_digest = digests & 2;
    in->data_max_bytes = DATA_BYTES;
  }
  while (size && !h.error) {
    struct iovec v = inbox_iov (in);
    size_t n = v.iov_len < size ? v.iov_len : size;

    MUST (v.iov_len > 0);
    if (n > most)
      n = most;
    memcpy (v.iov_base, data, n);
    data += n;
    size -= n;
    h.error = inbox_received (in, n, &f);
    if (!h.error)
      h.error = advance (in, own, &h, &f);
    MUST (!h.error || f.text[0]);
  }
  free (own);
  free (in);
  return h;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct heard whole, split;

  if (!size)
    return 0;
  whole = listen_to (data + 1, size - 1, data[0], SIZE_MAX);
  split = listen_to (data + 1, size - 1, data[0], 1);
  MUST (whole.pdus == split.pdus && whole.error == split.error
        && whole.sum == split.sum);
  return 0;
}
