/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/iscsi/inbox.h"

#include <assert.h>

#include "common/stranger.h"
#include "protocols/iscsi/digest.h"

void
inbox_init (struct inbox *in)
{
  in->greeted = in->header_digest = in->data_digest = false;
  in->data_max_bytes = INBOX_BODY_BYTES;
  in->step = INBOX_WHOLE;
  inbox_next (in);
}

void
inbox_next (struct inbox *in)
{
  assert (in->step == INBOX_WHOLE);
  in->step = INBOX_HEAD;
  in->head_have_bytes = 0;
  in->head_need_bytes = PDU_BHS_BYTES;
  in->tail_have_bytes = 0;
  in->data = NULL;
  in->data_have_bytes = 0;
  in->offered_bytes = 0;
}

struct iovec
inbox_iov (struct inbox *in)
{
  struct iovec v;

  switch (in->step) {
  case INBOX_HEAD:
    v = (struct iovec){in->head + in->head_have_bytes,
                       in->head_need_bytes - in->head_have_bytes};
    break;
  case INBOX_DATA:
    v = (struct iovec){in->data + in->data_have_bytes,
                       in->pdu.data_bytes - in->data_have_bytes};
    break;
  default:
    assert (in->step == INBOX_TAIL);
    v = (struct iovec){in->tail + in->tail_have_bytes,
                       in->tail_need_bytes - in->tail_have_bytes};
  }
  in->offered_bytes = v.iov_len;
  return v;
}

/* The BHS is there: how long the whole header is, then its digest. */
static enum err
head_received (struct inbox *in, struct fault *f)
{
  size_t ahs_bytes = in->head[4] * 4u; /* TotalAHSLength */
  size_t covered_bytes = PDU_BHS_BYTES + ahs_bytes;
  enum err e;

  in->head_need_bytes
      = covered_bytes + (in->header_digest ? PDU_DIGEST_BYTES : 0);
  if (in->head_have_bytes < in->head_need_bytes)
    return ERR_OK;
  if (in->header_digest
      && !digest_equals (digest_more (DIGEST_START, in->head, covered_bytes),
                         in->head + covered_bytes))
    return fault_set (f, ERR_PEER,
                      "a PDU's header does not match its digest (field "
                      "Header-Digest, RFC 7143 §11.2.3)");
  e = pdu_decode (in->head, &in->pdu, f);
  if (e)
    return e;
  if (in->pdu.data_bytes > in->data_max_bytes)
    return fault_set (f, ERR_PEER,
                      "the target sends a %s with %u bytes of data, and %u "
                      "are the most (field DataSegmentLength, RFC 7143 "
                      "§11.2.1.6, §13.12)",
                      pdu_opcode_name ((uint8_t)in->pdu.opcode),
                      in->pdu.data_bytes, in->data_max_bytes);
  in->greeted = true;
  in->step = INBOX_PLACE;
  return ERR_OK;
}

_Static_assert (STRANGER_LINE_BYTES < PDU_BHS_BYTES,
                "a stranger is told before its header is looked at");

static enum err
tail_received (struct inbox *in, struct fault *f)
{
  uint32_t padding_bytes = pdu_padding (in->pdu.data_bytes);

  if (in->tail_have_bytes < in->tail_need_bytes)
    return ERR_OK;
  if (in->data_digest
      && !digest_equals (digest_more (in->digest, in->tail, padding_bytes),
                         in->tail + padding_bytes))
    return fault_set (f, ERR_PEER,
                      "the data of a %s do not match their digest (field "
                      "Data-Digest, RFC 7143 §11.2.4)",
                      pdu_opcode_name ((uint8_t)in->pdu.opcode));
  in->step = INBOX_WHOLE;
  return ERR_OK;
}

enum err
inbox_received (struct inbox *in, size_t length_bytes, struct fault *f)
{
  size_t strange_bytes;

  assert (length_bytes <= in->offered_bytes);
  if (length_bytes == 0)
    return ERR_OK;
  in->offered_bytes -= length_bytes;
  switch (in->step) {
  case INBOX_HEAD:
    in->head_have_bytes += length_bytes;
    strange_bytes
        = in->greeted ? 0 : stranger_speaks (in->head, in->head_have_bytes);
    if (strange_bytes)
      return stranger_fault (f, "iSCSI", "iSCSI has 3260", in->head,
                             strange_bytes);
    return in->head_have_bytes < in->head_need_bytes ? ERR_OK
                                                     : head_received (in, f);
  case INBOX_DATA:
    if (in->data_digest)
      in->digest = digest_more (in->digest, in->data + in->data_have_bytes,
                                length_bytes);
    in->data_have_bytes += (uint32_t)length_bytes;
    if (in->data_have_bytes == in->pdu.data_bytes)
      in->step = in->tail_need_bytes ? INBOX_TAIL : INBOX_WHOLE;
    return ERR_OK;
  default:
    assert (in->step == INBOX_TAIL);
    in->tail_have_bytes += length_bytes;
    return tail_received (in, f);
  }
}

enum err
inbox_place (struct inbox *in, uint8_t *data, struct fault *f)
{
  assert (in->step == INBOX_PLACE);
  if (in->pdu.data_bytes == 0) {
    in->data = in->body;
    in->step = INBOX_WHOLE;
    return ERR_OK;
  }
  if (!data && in->pdu.data_bytes > sizeof in->body)
    return fault_set (f, ERR_PEER,
                      "the target sends a %s with %u bytes of data (field "
                      "DataSegmentLength, RFC 7143 §%s)",
                      pdu_opcode_name ((uint8_t)in->pdu.opcode),
                      in->pdu.data_bytes,
                      pdu_opcode_section ((uint8_t)in->pdu.opcode));
  in->data = data ? data : in->body;
  in->tail_need_bytes = pdu_padding (in->pdu.data_bytes)
                        + (in->data_digest ? PDU_DIGEST_BYTES : 0);
  in->digest = DIGEST_START;
  in->step = INBOX_DATA;
  return ERR_OK;
}
