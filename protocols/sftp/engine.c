/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine as proto.h wants it: received bytes are cut into packets here and
 * handed to startup, list or transfer.
 *
 * Receiving, by what is still to come:
 *
 *   head     the first bytes, enough to know the packet's type and length, and
 *            for DATA where its payload goes; never more than the shortest
 *            packet has, so that none of the next packet is among them
 *   rest     of a packet that is not DATA, in our buffer
 *   payload  of a DATA, straight into the request's memory
 */
#include "config.h"
#include "protocols/sftp/sftp.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "protocols/outbox.h"
#include "protocols/sftp/codec.h"
#include "protocols/sftp/list.h"
#include "protocols/sftp/startup.h"
#include "protocols/sftp/transfer.h"

/* No packet but DATA is longer; VERSION with its extensions is the longest. */
#define INBOX_BYTES (16u * 1024)
/* For a list: a NAME may be as long as any packet. */
#define INBOX_LIST_BYTES (SFTP_DATA_HEADER_BYTES + SFTP_IO_MAX_BYTES + 4u)
/* VERSION without extensions; there is no shorter packet that may come first
 * (§4). Behind it every packet has an id and at least a uint32 (§7).
 */
#define VERSION_LEAST_BYTES 9u
#define REPLY_LEAST_BYTES SFTP_DATA_HEADER_BYTES

/* What NBD clients are told to prefer: 4 KiB is the page size of those that
 * ask, and no client must be made to read more than it wants.
 */
#define BLOCK_PREFERRED_BYTES 4096u

struct inbox {
  size_t have_bytes; /* of the packet, in buffer */
  size_t need_bytes; /* up to here; then it is looked at again */

  uint8_t *payload; /* NULL: none is expected */
  uint32_t payload_bytes, payload_left_bytes;
  uint16_t payload_part;

  size_t offered_bytes; /* by the last rx_iov */
  uint8_t *buffer; /* behind the engine itself */
  size_t buffer_bytes;
};

struct proto {
  enum proto_state state;
  struct fault fault;
  struct startup startup;
  struct list *list; /* NULL: a file is served, not a list of files */
  bool list_probed;  /* and that has been asked about */
  struct transfer transfer;
  struct volume_info info;
  uint8_t seed[IO_TOKEN_BYTES];
  struct outbox outbox;
  struct inbox inbox;
};

/* As nbdkit_parse_bool, whose manual promises these words to users. */
static enum err
parse_bool (const char *key, const char *value, bool *ret, struct fault *f)
{
  static const char *const yes[] = {"1", "true", "t", "yes", "y", "on"};
  static const char *const no[] = {"0", "false", "f", "no", "n", "off"};

  for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
    if (strcasecmp (value, yes[i]) == 0) {
      *ret = true;
      return ERR_OK;
    }
    if (strcasecmp (value, no[i]) == 0) {
      *ret = false;
      return ERR_OK;
    }
  }
  return fault_set (f, ERR_INVAL, "%s=%s: write yes or no", key, value);
}

/* A parameter that is yes or no; not set: no. */
static enum err
take_bool (const struct proto_config *config, const char *key, bool *ret,
           struct fault *f)
{
  const char *value = config->get (config->ctx, key);

  *ret = false;
  return value ? parse_bool (key, value, ret, f) : ERR_OK;
}

static struct proto *
engine_new (bool list)
{
  size_t inbox_bytes = list ? INBOX_LIST_BYTES : INBOX_BYTES;
  struct proto *p = calloc (1, sizeof *p + inbox_bytes);

  if (!p)
    return NULL;
  if (list && !(p->list = calloc (1, sizeof *p->list))) {
    free (p);
    return NULL;
  }
  p->inbox.buffer = (uint8_t *)(p + 1);
  p->inbox.buffer_bytes = inbox_bytes;
  p->inbox.need_bytes = VERSION_LEAST_BYTES;
  p->state = PROTO_STARTING;
  return p;
}

static void
engine_close (struct proto *p)
{
  if (p->list)
    list_fini (p->list);
  free (p->list);
  free (p);
}

static enum err
engine_open (const struct proto_config *config, uint64_t now_ns,
             struct proto **ret, struct fault *f)
{
  bool allow_unsafe_flush, list;
  struct proto *p;
  uint32_t first_id;
  enum err e;

  (void)now_ns; /* time runs from the first byte on: see startup_sent */
  if ((e = take_bool (config, "allow-unsafe-flush", &allow_unsafe_flush, f))
      || (e = take_bool (config, "list", &list, f)))
    return e;
  p = engine_new (list);
  if (!p)
    return fault_set (f, ERR_NOMEM, "out of memory");
  _Static_assert (sizeof p->seed == sizeof config->seed, "token = seed");
  memcpy (p->seed, config->seed, sizeof p->seed);
  memcpy (&first_id, p->seed + 4, sizeof first_id);
  e = startup_init (&p->startup, config->get (config->ctx, "path"),
                    allow_unsafe_flush, first_id, &p->outbox, f);
  if (e) {
    engine_close (p);
    return e;
  }
  p->startup.list = list;
  *ret = p;
  return ERR_OK;
}

static enum proto_state
engine_state (const struct proto *p)
{
  return p->state;
}

static const struct fault *
engine_fault (const struct proto *p)
{
  return &p->fault;
}

static void
engine_info (const struct proto *p, struct volume_info *ret)
{
  assert (p->state == PROTO_READY);
  *ret = p->info;
}

static enum err
engine_submit (struct proto *p, const struct proto_request *r, uint64_t now_ns)
{
  (void)now_ns;
  assert (p->state == PROTO_READY);
  return p->list ? list_submit (p->list, r)
                 : transfer_submit (&p->transfer, r);
}

static bool
engine_reap (struct proto *p, struct proto_completion *ret)
{
  if (p->state != PROTO_READY)
    return false;
  return p->list ? list_reap (p->list, ret)
                 : transfer_reap (&p->transfer, ret);
}

static void
become_ready (struct proto *p)
{
  const struct startup *s = &p->startup;
  struct transfer_setup setup = {
      .handle = &s->handle,
      .path = s->path,
      .size_bytes = s->size_bytes,
      .read_max_bytes = s->read_max_bytes,
      .write_max_bytes = s->write_max_bytes,
      .fsync = s->version.fsync == SFTP_OFFERED,
  };

  p->info = (struct volume_info){
      .size = s->size_bytes,
      .change = s->change,
      .block_min = 1,
      .block_preferred = BLOCK_PREFERRED_BYTES,
      .request_max = SFTP_IO_MAX_BYTES,
  };
  if (s->writable)
    p->info.caps = VOLUME_CAN_WRITE | VOLUME_CAN_FLUSH | VOLUME_CAN_FUA;
  else
    memcpy (p->info.readonly_why, s->readonly_why, sizeof p->info.readonly_why);
  startup_remarks (s, p->info.remarks, sizeof p->info.remarks);
  setup.caps = p->info.caps;
  memcpy (setup.seed, p->seed, sizeof setup.seed);
  transfer_init (&p->transfer, &setup);
  p->state = PROTO_READY;
}

/* While negotiating: whose turn it is. */

static bool
listing (const struct proto *p)
{
  return p->list && p->startup.step == STARTUP_DONE;
}

static bool
expects (const struct proto *p, uint8_t type)
{
  return listing (p) ? list_expects (p->list, type)
                     : startup_expects (&p->startup, type);
}

static const char *
request_name (const struct proto *p)
{
  return listing (p) ? list_request_name (p->list)
                     : startup_request_name (&p->startup);
}

static enum err
on_starting_packet (struct proto *p, uint8_t type, struct wire *w,
                    uint64_t now_ns, struct fault *f)
{
  enum err e;

  if (p->outbox.sent_bytes != p->outbox.queued_bytes)
    return fault_set (f, ERR_PEER,
                      "the server answers %s before it was sent "
                      "(" SFTP_DRAFT " §6)",
                      request_name (p));
  if (listing (p)) {
    e = list_packet (p->list, type, w, now_ns, &p->outbox, f);
    if (!e && p->list->step == LIST_DONE) {
      list_info (p->list, &p->info);
      p->state = PROTO_READY;
    }
    return e;
  }
  e = startup_packet (&p->startup, type, w, now_ns, &p->outbox, f);
  if (e || p->startup.step != STARTUP_DONE)
    return e;
  if (p->list)
    list_begin (p->list, p->startup.path, p->startup.id + 1, now_ns,
                &p->outbox);
  else
    become_ready (p);
  return ERR_OK;
}

/* Receiving. */

static void
next_packet (struct inbox *in)
{
  in->have_bytes = 0;
  in->need_bytes = REPLY_LEAST_BYTES;
  in->payload = NULL;
}

static struct iovec
engine_rx_iov (struct proto *p, unsigned lane)
{
  (void)lane;
  struct inbox *in = &p->inbox;
  struct iovec v = {in->payload, in->payload_left_bytes};

  assert (p->state != PROTO_FAILED);
  if (!in->payload)
    v = (struct iovec){in->buffer + in->have_bytes,
                       in->need_bytes - in->have_bytes};
  in->offered_bytes = v.iov_len;
  return v;
}

/* What most often goes wrong with SFTP: a shell that greets. */
static enum err
bad_length (const struct proto *p, uint32_t length_bytes, struct fault *f)
{
  bool text = p->startup.step == STARTUP_INIT;

  for (unsigned i = 0; i < 4; i++)
    text = text && p->inbox.buffer[i] >= 0x09 && p->inbox.buffer[i] < 0x7f;
  if (text) {
    fault_set (f, ERR_PEER,
               "the server sends text (\"%.4s…\") where SFTP should begin "
               "(field length, " SFTP_DRAFT " §3)",
               (const char *)p->inbox.buffer);
    fault_hint (f, "does a start-up file of the login shell on the server "
                   "print something? It must not when there is no terminal");
    return ERR_PEER;
  }
  return fault_set (
      f, ERR_PEER,
      "the server sends a packet of %u bytes (field length, " SFTP_DRAFT " §3)",
      length_bytes);
}

static enum err
unexpected_type (const struct proto *p, uint8_t type, struct fault *f)
{
  const char *name = sftp_type_name (type);

  return fault_set (
      f, ERR_PEER,
      "the server answers %s with %s, type %u (field type, " SFTP_DRAFT
      " §3, §7)",
      request_name (p), name ? name : "an unknown packet",
      type);
}

/* Behind the head of a DATA: where its payload goes. */
static enum err
on_data_header (struct proto *p, uint32_t length_bytes, struct fault *f)
{
  struct inbox *in = &p->inbox;
  struct wire w = wire_init (in->buffer + SFTP_HEADER_BYTES,
                             SFTP_DATA_HEADER_BYTES - SFTP_HEADER_BYTES);
  uint32_t id = wire_u32 (&w);
  uint32_t data_bytes = wire_u32 (&w);
  enum err e;

  if ((uint64_t)data_bytes + SFTP_DATA_HEADER_BYTES - 4 != length_bytes)
    return fault_set (f, ERR_PEER,
                      "the server sends %u bytes of data in a packet of %u "
                      "(SSH_FXP_DATA, field data, " SFTP_DRAFT " §7)",
                      data_bytes, length_bytes);
  e = transfer_data (&p->transfer, &p->outbox, id, data_bytes, &in->payload,
                     &in->payload_part, f);
  if (e)
    return e;
  in->payload_bytes = in->payload_left_bytes = data_bytes;
  return ERR_OK;
}

/* A whole packet that is not DATA. */
static enum err
on_packet (struct proto *p, uint64_t now_ns, struct fault *f)
{
  struct inbox *in = &p->inbox;
  uint8_t type = in->buffer[4];
  struct wire w = wire_init (in->buffer + SFTP_HEADER_BYTES,
                             in->have_bytes - SFTP_HEADER_BYTES);
  struct sftp_status status;
  struct sftp_attrs attrs;
  uint32_t id;
  enum err e;

  if (p->state == PROTO_STARTING)
    return on_starting_packet (p, type, &w, now_ns, f);
  if (p->list)
    return list_packet (p->list, type, &w, now_ns, &p->outbox, f);
  id = wire_u32 (&w);
  if (type == SSH_FXP_ATTRS)
    return (e = sftp_decode_attrs (&w, &attrs, f))
             ? e
             : transfer_attrs (&p->transfer, &p->outbox, id, &attrs, f);
  if (type != SSH_FXP_STATUS)
    return transfer_wrong_type (&p->transfer, &p->outbox, id, type, f);
  e = sftp_decode_status (&w, &status, f);
  if (e)
    return e;
  return transfer_status (&p->transfer, &p->outbox, id, status.code, f);
}

/* Looks at a packet as soon as there is something to see, always at the same
 * bytes, so that it does not matter in which pieces they come.
 */
static enum err
look (struct proto *p, uint64_t now_ns, struct fault *f)
{
  struct inbox *in = &p->inbox;
  struct wire w = wire_init (in->buffer, in->have_bytes);
  size_t least_bytes =
      p->startup.step == STARTUP_INIT ? VERSION_LEAST_BYTES : REPLY_LEAST_BYTES;
  uint32_t length_bytes;
  uint8_t type;
  enum err e;

  if (in->have_bytes < 4)
    return ERR_OK;
  length_bytes = wire_u32 (&w);
  if (length_bytes < least_bytes - 4
      || length_bytes > SFTP_DATA_HEADER_BYTES + SFTP_IO_MAX_BYTES)
    return bad_length (p, length_bytes, f);
  if (in->have_bytes < SFTP_HEADER_BYTES)
    return ERR_OK;
  type = wire_u8 (&w);
  if (p->state == PROTO_STARTING && !expects (p, type))
    return unexpected_type (p, type, f);
  if (type == SSH_FXP_DATA && !p->list)
    return in->have_bytes < SFTP_DATA_HEADER_BYTES
               ? ERR_OK
               : on_data_header (p, length_bytes, f);
  if (4 + (size_t)length_bytes > in->buffer_bytes)
    return bad_length (p, length_bytes, f);
  in->need_bytes = 4 + (size_t)length_bytes;
  if (in->have_bytes < in->need_bytes)
    return ERR_OK;
  e = on_packet (p, now_ns, f);
  next_packet (in);
  return e;
}

static enum err
engine_rx_done (struct proto *p, unsigned lane, size_t length_bytes,
                uint64_t now_ns)
{
  (void)lane;
  struct inbox *in = &p->inbox;
  enum err e;

  assert (p->state != PROTO_FAILED && length_bytes <= in->offered_bytes);
  if (length_bytes == 0)
    return ERR_OK;
  if (in->payload) {
    in->payload += length_bytes;
    in->payload_left_bytes -= (uint32_t)length_bytes;
    if (in->payload_left_bytes > 0)
      return ERR_OK;
    transfer_data_received (&p->transfer, in->payload_part, in->payload_bytes);
    next_packet (in);
    return ERR_OK;
  }
  in->have_bytes += length_bytes;
  e = look (p, now_ns, &p->fault);
  if (e)
    p->state = PROTO_FAILED;
  return e;
}

/* Sending. */

static size_t
engine_tx_iov (struct proto *p, unsigned lane, struct iovec *ret, size_t max)
{
  (void)lane;
  assert (p->state != PROTO_FAILED);
  if (p->state == PROTO_READY && !p->list)
    transfer_fill (&p->transfer, &p->outbox);
  return outbox_iov (&p->outbox, ret, max);
}

static void
engine_tx_done (struct proto *p, unsigned lane, size_t length_bytes)
{
  (void)lane;
  outbox_sent (&p->outbox, length_bytes);
  if (p->state == PROTO_STARTING && length_bytes > 0)
    startup_sent (&p->startup);
}

/* Probing. */

static void
engine_probe (struct proto *p, uint64_t now_ns)
{
  (void)now_ns;
  assert (p->state == PROTO_READY);
  if (p->list)
    p->list_probed = true;
  else
    transfer_fstat (&p->transfer);
}

/* As in on_fstat of startup.c. A list stays as it is. */
static bool
engine_probed (struct proto *p, uint64_t *ret_change, uint64_t *ret_size)
{
  struct sftp_attrs a = {0};

  if (p->state != PROTO_READY
      || (p->list ? !p->list_probed
                  : !transfer_fstat_answer (&p->transfer, &a)))
    return false;
  p->list_probed = false;
  *ret_change
    = a.flags & SSH_FILEXFER_ATTR_ACMODTIME ? (uint64_t)a.mtime + 1 : 0;
  *ret_size = (a.flags & SSH_FILEXFER_ATTR_SIZE) && a.size <= INT64_MAX
                ? a.size
                : p->info.size;
  return true;
}

static bool
engine_say (struct proto *p, char *dst)
{
  bool gone;

  if (p->state != PROTO_READY || p->list
      || !transfer_renamed (&p->transfer, &gone))
    return false;
  snprintf (dst, PROTO_SAY_BYTES,
            "%.80s %s on the server: this session keeps the old file, and "
            "what is written to it is lost to the next session",
            p->startup.path, gone ? "is gone" : "is another file now");
  return true;
}

/* Time. */

/* Deadlines of requests come with the outage policies. */
static uint64_t
engine_deadline_ns (const struct proto *p)
{
  if (p->state != PROTO_STARTING)
    return PROTO_NO_DEADLINE;
  return listing (p) ? p->list->deadline_ns : p->startup.deadline_ns;
}

static enum err
engine_tick (struct proto *p, uint64_t now_ns)
{
  enum err e;

  if (p->state != PROTO_STARTING)
    return ERR_OK;
  e = listing (p) ? list_tick (p->list, now_ns, &p->fault)
                  : startup_tick (&p->startup, now_ns, &p->fault);
  if (e)
    p->state = PROTO_FAILED;
  return e;
}

const struct proto_ops sftp_ops = {
    .name = "sftp",
    .transport = PROTO_OVER_SSH_SUBSYSTEM,
    .ssh_subsystem = "sftp",
    .open = engine_open,
    .close = engine_close,
    .state = engine_state,
    .fault = engine_fault,
    .info = engine_info,
    .submit = engine_submit,
    .reap = engine_reap,
    .rx_iov = engine_rx_iov,
    .rx_done = engine_rx_done,
    .tx_iov = engine_tx_iov,
    .tx_done = engine_tx_done,
    .probe = engine_probe,
    .probed = engine_probed,
    .say = engine_say,
    .deadline_ns = engine_deadline_ns,
    .tick = engine_tick,
};
