/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "protocols/sftp/transfer.h"

#include <assert.h>
#include <string.h>

_Static_assert (PROTO_REQUESTS < TRANSFER_NONE, "indices are 16 bits");
_Static_assert (TRANSFER_PARTS < TRANSFER_NONE, "indices are 16 bits");

/* Parts of a split request begin at multiples of this, if they can. */
#define PART_ALIGN_BYTES 4096u

QUEUE_OF (request, struct transfer, request)
QUEUE_OF (part, struct transfer, part)

void
transfer_init (struct transfer *t, const struct transfer_setup *setup)
{
  uint32_t first_count;

  memset (t, 0, sizeof *t);
  t->setup = *setup;
  t->to_send = t->done = t->free_requests = queue_empty;
  t->short_parts = t->free_parts = queue_empty;
  for (uint16_t i = 0; i < PROTO_REQUESTS; i++)
    request_push (t, &t->free_requests, i);
  memcpy (&first_count, setup->seed, sizeof first_count);
  for (uint16_t i = 0; i < TRANSFER_PARTS; i++) {
    t->part[i].id = first_count << TRANSFER_PART_BITS | i;
    part_push (t, &t->free_parts, i);
  }
}

/* Equal parts: a request of 256 KiB is two of 128 KiB where 255 KiB are
 * allowed, not 255 and 1.
 */
static uint32_t
balanced (uint32_t length_bytes, uint32_t max_bytes)
{
  uint32_t parts, size;

  if (length_bytes <= max_bytes)
    return length_bytes;
  parts = (length_bytes + max_bytes - 1) / max_bytes;
  size = (length_bytes + parts - 1) / parts;
  size = (size + PART_ALIGN_BYTES - 1) & ~(PART_ALIGN_BYTES - 1);
  return size <= max_bytes ? size : max_bytes;
}

static bool
in_bounds (const struct transfer *t, const struct proto_request *r)
{
  return r->length > 0 && r->length <= SFTP_IO_MAX_BYTES && r->data
         && r->offset <= t->setup.size_bytes
         && r->length <= t->setup.size_bytes - r->offset;
}

static bool
offered (const struct transfer *t, const struct proto_request *r)
{
  uint32_t caps = t->setup.caps;

  switch (r->op) {
  case IO_READ:
    return in_bounds (t, r);
  case IO_WRITE:
    return (caps & VOLUME_CAN_WRITE)
           && (!(r->flags & IO_FUA) || (caps & VOLUME_CAN_FUA))
           && in_bounds (t, r);
  case IO_FLUSH:
    return caps & VOLUME_CAN_FLUSH;
  case IO_TRIM:
  case IO_ZERO:
  case IO_STATUS:
    break;
  }
  return false;
}

enum err
transfer_submit (struct transfer *t, const struct proto_request *r)
{
  struct transfer_request *q;
  uint16_t i;

  if (!offered (t, r))
    return ERR_INVAL;
  i = request_pop (t, &t->free_requests);
  if (i == TRANSFER_NONE)
    return ERR_AGAIN;
  q = &t->request[i];
  *q = (struct transfer_request){.r = *r, .phase = TRANSFER_DATA};
  if (r->op == IO_FLUSH) {
    q->phase = TRANSFER_SYNC;
    q->r.length = 0;
    /* Without fsync there is nothing to ask for. */
    request_push (t, t->setup.fsync ? &t->to_send : &t->done, i);
    return ERR_OK;
  }
  q->part_bytes =
      balanced (r->length, r->op == IO_READ ? t->setup.read_max_bytes
                                            : t->setup.write_max_bytes);
  request_push (t, &t->to_send, i);
  return ERR_OK;
}

/* One token for the session: what it wrote, its fsync proves. An error proves
 * nothing. Without fsync nothing ever will: no token, so that nobody keeps a
 * write until it is proven.
 */
static void
token (const struct transfer *t, const struct transfer_request *q,
       uint8_t ret[IO_TOKEN_BYTES])
{
  if (q->error || !t->setup.fsync)
    memset (ret, 0, IO_TOKEN_BYTES);
  else
    memcpy (ret, t->setup.seed, IO_TOKEN_BYTES);
}

bool
transfer_reap (struct transfer *t, struct proto_completion *ret)
{
  uint16_t i = request_pop (t, &t->done);
  struct transfer_request *q;

  if (i == TRANSFER_NONE)
    return false;
  q = &t->request[i];
  assert (q->open_parts == 0);
  *ret = (struct proto_completion){.id = q->r.id, .error = q->error};
  token (t, q, ret->token);
  request_push (t, &t->free_requests, i);
  return true;
}

/* Sending. */

static void
send_part (struct transfer *t, struct outbox *o, uint16_t index)
{
  struct transfer_part *p = &t->part[index];
  const struct transfer_request *q = &t->request[p->request];
  const struct sftp_handle *h = t->setup.handle;
  uint32_t begin_bytes = p->offset_bytes + p->done_bytes;
  uint64_t offset = q->r.offset + begin_bytes; /* not an FSTAT's */
  struct wirebuf b = outbox_room (o);

  p->id += TRANSFER_PARTS; /* T3; wraps around */
  p->state = PART_SENT;
  switch (p->kind) {
  case TRANSFER_READ:
    sftp_encode_read (&b, p->id, h, offset, p->length_bytes - p->done_bytes);
    outbox_header (o, &b);
    break;
  case TRANSFER_WRITE:
    sftp_encode_write_header (&b, p->id, h, offset, p->length_bytes);
    outbox_header (o, &b);
    outbox_payload (o, q->r.data + begin_bytes, p->length_bytes);
    break;
  case TRANSFER_FSYNC:
    sftp_encode_fsync (&b, p->id, h);
    outbox_header (o, &b);
    break;
  case TRANSFER_FSTAT:
  case TRANSFER_FSTAT_AGAIN:
    sftp_encode_fstat (&b, p->id, h);
    outbox_header (o, &b);
    break;
  case TRANSFER_STAT:
    sftp_encode_stat (&b, p->id, t->setup.path);
    outbox_header (o, &b);
    break;
  }
  p->sent_at = o->queued_bytes;
}

/* Makes a part of what is next of the request at the head of to_send. */
static void
issue (struct transfer *t, uint16_t part)
{
  uint16_t request = t->to_send.head;
  struct transfer_request *q = &t->request[request];
  struct transfer_part *p = &t->part[part];
  bool all = true;

  p->request = request;
  p->done_bytes = 0;
  p->offset_bytes = q->issued_bytes;
  if (q->phase == TRANSFER_SYNC) {
    p->kind = TRANSFER_FSYNC;
    p->length_bytes = 0;
  } else {
    uint32_t left_bytes = q->r.length - q->issued_bytes;

    p->kind = q->r.op == IO_READ ? TRANSFER_READ : TRANSFER_WRITE;
    p->length_bytes = left_bytes < q->part_bytes ? left_bytes : q->part_bytes;
    q->issued_bytes += p->length_bytes;
    all = q->issued_bytes == q->r.length;
  }
  q->open_parts++;
  if (all)
    request_pop (t, &t->to_send);
}

void
transfer_fstat (struct transfer *t)
{
  t->fstat_wanted = true;
  t->fstat_answered = false;
}

bool
transfer_fstat_answer (struct transfer *t, struct sftp_attrs *ret)
{
  if (!t->fstat_answered)
    return false;
  t->fstat_answered = false;
  *ret = t->attrs;
  return true;
}

/* False: there is no room, or no part, for it now. */
static bool
send_question (struct transfer *t, struct outbox *o, enum transfer_kind kind)
{
  size_t bytes = SFTP_REQUEST_MAX_BYTES;
  uint16_t part;

  if (kind == TRANSFER_STAT)
    bytes += strlen (t->setup.path);
  if (!outbox_fits (o, bytes)
      || (part = part_pop (t, &t->free_parts)) == TRANSFER_NONE)
    return false;
  t->part[part].kind = kind;
  t->part[part].request = 0;
  t->part[part].offset_bytes = t->part[part].length_bytes
    = t->part[part].done_bytes = 0;
  send_part (t, o, part);
  return true;
}

static void
send_questions (struct transfer *t, struct outbox *o)
{
  if (t->fstat_wanted)
    t->fstat_wanted = !send_question (t, o, TRANSFER_FSTAT);
  if (t->name == TRANSFER_NAME_WANTED && send_question (t, o, TRANSFER_STAT))
    t->name = TRANSFER_NAME_ASKED;
  if (t->name == TRANSFER_NAME_OTHER
      && send_question (t, o, TRANSFER_FSTAT_AGAIN))
    t->name = TRANSFER_NAME_DOUBTED;
}

/* As far as both say something; at least how long the file is. */
static bool
alike (const struct sftp_attrs *a, const struct sftp_attrs *b)
{
  uint32_t both = a->flags & b->flags;

  return !(both & SSH_FILEXFER_ATTR_SIZE)
         || (a->size == b->size
             && (!(both & SSH_FILEXFER_ATTR_ACMODTIME)
                 || a->mtime == b->mtime));
}

/* gone: there is no such file. A server that refuses says nothing. */
static void
took_name (struct transfer *t, const struct sftp_attrs *a, bool gone)
{
  t->name = TRANSFER_NAME_IDLE;
  t->name_gone = gone;
  if (gone || !alike (&t->opened, a))
    t->name = TRANSFER_NAME_OTHER;
}

static void
took_second (struct transfer *t, const struct sftp_attrs *a)
{
  t->name = TRANSFER_NAME_IDLE;
  if (a->flags & SSH_FILEXFER_ATTR_SIZE && alike (&t->opened, a))
    t->name = t->name_gone ? TRANSFER_NAME_GONE : TRANSFER_NAME_TAKEN;
}

bool
transfer_renamed (struct transfer *t, bool *ret_gone)
{
  if (t->name < TRANSFER_NAME_TAKEN || t->name_told)
    return false;
  t->name_told = true;
  *ret_gone = t->name == TRANSFER_NAME_GONE;
  return true;
}

/* A question is answered; flags 0: refused. */
static void
told (struct transfer *t, uint16_t part, const struct sftp_attrs *a,
      bool no_such_file)
{
  enum transfer_kind kind = t->part[part].kind;

  t->part[part].state = PART_FREE;
  part_push (t, &t->free_parts, part);
  if (kind == TRANSFER_STAT) {
    took_name (t, a, no_such_file);
    return;
  }
  if (kind == TRANSFER_FSTAT_AGAIN) {
    took_second (t, a);
    return;
  }
  t->fstat_answered = true;
  t->attrs = *a;
  if (t->name == TRANSFER_NAME_IDLE && a->flags & SSH_FILEXFER_ATTR_SIZE) {
    t->opened = *a;
    t->name = TRANSFER_NAME_WANTED;
  }
}

void
transfer_fill (struct transfer *t, struct outbox *o)
{
  send_questions (t, o);
  while (outbox_fits (o, SFTP_REQUEST_MAX_BYTES)) {
    uint16_t part = part_pop (t, &t->short_parts);

    if (part == TRANSFER_NONE) {
      if (t->to_send.head == TRANSFER_NONE)
        return;
      part = part_pop (t, &t->free_parts);
      if (part == TRANSFER_NONE)
        return;
      issue (t, part);
    }
    send_part (t, o, part);
  }
}

/* Receiving. */

/* The part that id asks for, or NULL with f. An answer to a packet that has
 * not left completely is made up: believing it would give memory back that is
 * still to be sent.
 */
static const struct transfer_part *
find (const struct transfer *t, const struct outbox *o, uint32_t id,
      uint8_t type, struct fault *f)
{
  const struct transfer_part *p = &t->part[id % TRANSFER_PARTS];

  if (p->id == id && p->state == PART_SENT && p->sent_at <= o->sent_bytes)
    return p;
  fault_set (f, ERR_PEER,
             "the server answers a request that is not under way "
             "(%s, field id, " SFTP_DRAFT " §6)",
             sftp_type_name (type) ? sftp_type_name (type)
                                   : "unknown packet type");
  return NULL;
}

static const char *
kind_name (enum transfer_kind kind)
{
  switch (kind) {
  case TRANSFER_READ:
    return "SSH_FXP_READ";
  case TRANSFER_WRITE:
    return "SSH_FXP_WRITE";
  case TRANSFER_FSTAT:
  case TRANSFER_FSTAT_AGAIN:
    return "SSH_FXP_FSTAT";
  case TRANSFER_STAT:
    return "SSH_FXP_STAT";
  case TRANSFER_FSYNC:
    break;
  }
  return "fsync@openssh.com";
}

static enum err
wrong_type (const struct transfer_part *p, uint8_t type, struct fault *f)
{
  const char *name = sftp_type_name (type);

  if (name)
    return fault_set (f, ERR_PEER,
                      "the server answers %s with %s (field type, " SFTP_DRAFT
                      " §7)",
                      kind_name (p->kind), name);
  return fault_set (
      f, ERR_PEER,
      "the server answers %s with packet type %u (field type, " SFTP_DRAFT
      " §3)",
      kind_name (p->kind), type);
}

enum err
transfer_wrong_type (const struct transfer *t, const struct outbox *o,
                     uint32_t id, uint8_t type, struct fault *f)
{
  const struct transfer_part *p = find (t, o, id, type, f);

  return p ? wrong_type (p, type, f) : ERR_PEER;
}

/* The part is answered; when it was the last one, so is the request, or its
 * fsync follows.
 */
static void
part_done (struct transfer *t, uint16_t index, enum err error)
{
  struct transfer_part *p = &t->part[index];
  struct transfer_request *q = &t->request[p->request];
  bool fua;

  p->state = PART_FREE;
  part_push (t, &t->free_parts, index);
  if (!q->error)
    q->error = error;
  q->open_parts--;
  if (q->open_parts > 0 || q->issued_bytes < q->r.length)
    return;
  fua = q->r.op == IO_WRITE && (q->r.flags & IO_FUA) && t->setup.fsync;
  if (fua && q->phase == TRANSFER_DATA && !q->error) {
    q->phase = TRANSFER_SYNC;
    request_push (t, &t->to_send, p->request);
    return;
  }
  request_push (t, &t->done, p->request);
}

enum err
transfer_data (const struct transfer *t, const struct outbox *o, uint32_t id,
               uint32_t length_bytes, uint8_t **ret_data, uint16_t *ret_part,
               struct fault *f)
{
  const struct transfer_part *p = find (t, o, id, SSH_FXP_DATA, f);
  uint32_t asked_bytes;

  if (!p)
    return ERR_PEER;
  if (p->kind != TRANSFER_READ)
    return wrong_type (p, SSH_FXP_DATA, f);
  asked_bytes = p->length_bytes - p->done_bytes;
  if (length_bytes == 0 || length_bytes > asked_bytes)
    return fault_set (f, ERR_PEER,
                      "the server sends %u bytes of data where %u were asked "
                      "for (SSH_FXP_DATA, field data, " SFTP_DRAFT " §6.4, §7)",
                      length_bytes, asked_bytes);
  *ret_data = t->request[p->request].r.data + p->offset_bytes + p->done_bytes;
  *ret_part = (uint16_t)(p - t->part);
  return ERR_OK;
}

void
transfer_data_received (struct transfer *t, uint16_t part,
                        uint32_t length_bytes)
{
  struct transfer_part *p = &t->part[part];

  assert (p->state == PART_SENT && p->kind == TRANSFER_READ);
  assert (length_bytes <= p->length_bytes - p->done_bytes);
  p->done_bytes += length_bytes;
  if (p->done_bytes == p->length_bytes) {
    part_done (t, part, ERR_OK);
    return;
  }
  /* §6.4: less than asked is no error, and not the end of the file. */
  p->state = PART_SHORT;
  part_push (t, &t->short_parts, part);
}

/* The handle is open and the range is inside the file: what would be a
 * missing file, or its end, to others is a broken volume here.
 */
static enum err
status_err (uint32_t code)
{
  enum err e = sftp_status_err (code);

  return e == ERR_NOENT || e == ERR_ISDIR ? ERR_IO : e;
}

enum err
transfer_status (struct transfer *t, const struct outbox *o, uint32_t id,
                 uint32_t code, struct fault *f)
{
  const struct transfer_part *p = find (t, o, id, SSH_FXP_STATUS, f);

  if (!p)
    return ERR_PEER;
  if (p->kind == TRANSFER_READ && code == SSH_FX_OK)
    return fault_set (
        f, ERR_PEER,
        "the server answers SSH_FXP_READ with SSH_FX_OK and no "
        "data (SSH_FXP_STATUS, field error/status code, " SFTP_DRAFT " §6.4)");
  if (p->kind >= TRANSFER_FSTAT) {
    told (t, (uint16_t)(p - t->part), &(struct sftp_attrs){0},
          code == SSH_FX_NO_SUCH_FILE);
    return ERR_OK;
  }
  part_done (t, (uint16_t)(p - t->part), status_err (code));
  return ERR_OK;
}

enum err
transfer_attrs (struct transfer *t, const struct outbox *o, uint32_t id,
                const struct sftp_attrs *a, struct fault *f)
{
  const struct transfer_part *p = find (t, o, id, SSH_FXP_ATTRS, f);

  if (!p)
    return ERR_PEER;
  if (p->kind < TRANSFER_FSTAT)
    return wrong_type (p, SSH_FXP_ATTRS, f);
  told (t, (uint16_t)(p - t->part), a, false);
  return ERR_OK;
}
