/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop in a thread of its own, with an engine and a transport made for the
 * test: the engine sends one byte for each request (its operation) and takes
 * one byte as the answer to the oldest (an index into errors[]).
 */
#include "config.h"
#include "worker/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

#define EPOCH 3u
#define SECOND 1000000000ull
#define TWICE 0xf0  /* answer the oldest, then the same again */
#define BROKEN 0xf1 /* the engine fails */
#define ASK 0xf2    /* the engine asks the daemon for what `question` says */
#define LANE_FD 100
#define BYE 0xf3    /* sent by an engine that leaves */

static const enum err errors[] = {ERR_OK, ERR_NOSPC, ERR_IO};

/* ------------------------------------------------------ engine, transport */

struct proto {
  unsigned tx_lane;  /* that the bytes go out on */
  unsigned rx_lane;  /* of rx_iov */
  uint32_t rx_lanes; /* bit set: on which bytes have come */
  uint32_t lost;     /* bit set, of lane_lost */
  struct fault fault;
  enum proto_state state;
  uint8_t to_send[PROTO_REQUESTS];
  size_t unsent;
  uint64_t id[PROTO_REQUESTS]; /* in flight, oldest first */
  size_t in_flight;
  struct proto_completion done[PROTO_REQUESTS + 1];
  size_t dones;
  uint8_t rx;
  bool asks;
  struct proto_given given;
};

static struct proto_want question;

static enum proto_state
fake_state (const struct proto *p)
{
  return p->state;
}

static const struct fault *
fake_fault (const struct proto *p)
{
  return &p->fault;
}

static bool read_only;

static void
fake_info (const struct proto *p, struct volume_info *ret)
{
  (void)p;
  *ret = (struct volume_info){.size = 1 << 20, .block_min = 1,
                              .block_preferred = 4096, .request_max = 65536,
                              .caps = read_only ? 0
                                                : VOLUME_CAN_WRITE
                                                    | VOLUME_CAN_FLUSH};
}

static enum err
fake_submit (struct proto *p, const struct proto_request *r, uint64_t now_ns)
{
  (void)now_ns;
  if (r->op == IO_TRIM)
    return ERR_INVAL;
  p->to_send[p->unsent++] = (uint8_t)r->op;
  p->id[p->in_flight++] = r->id;
  return ERR_OK;
}

static bool
fake_reap (struct proto *p, struct proto_completion *ret)
{
  if (!p->dones)
    return false;
  *ret = p->done[--p->dones];
  return true;
}

static struct iovec
fake_rx_iov (struct proto *p, unsigned lane)
{
  p->rx_lane = lane;
  return (struct iovec){&p->rx, 1};
}

static enum err
fake_rx_done (struct proto *p, unsigned lane, size_t n, uint64_t now_ns)
{
  CU_ASSERT_EQUAL (lane, p->rx_lane);
  p->rx_lanes |= 1u << lane;
  (void)n;
  (void)now_ns;
  if (p->rx == ASK) {
    p->asks = true;
    return ERR_OK;
  }
  if (p->state == PROTO_STARTING) {
    p->state = PROTO_READY;
    return ERR_OK;
  }
  if (p->rx == BROKEN || !p->in_flight) {
    p->state = PROTO_FAILED;
    return fault_set (&p->fault, ERR_PEER, "broken");
  }
  p->done[p->dones++] = (struct proto_completion){
    .id = p->id[0], .error = p->rx == TWICE ? ERR_OK : errors[p->rx % 3]};
  if (p->rx == TWICE)
    p->done[p->dones++] = p->done[0];
  memmove (p->id, p->id + 1, --p->in_flight * sizeof p->id[0]);
  return ERR_OK;
}

static size_t
fake_tx_iov (struct proto *p, unsigned lane, struct iovec *ret, size_t max)
{
  (void)max;
  *ret = (struct iovec){p->to_send, p->unsent};
  return p->unsent && lane == p->tx_lane ? 1 : 0;
}

static void
fake_tx_done (struct proto *p, unsigned lane, size_t n)
{
  CU_ASSERT_EQUAL (lane, p->tx_lane);
  memmove (p->to_send, p->to_send + n, p->unsent -= n);
}

static uint64_t
fake_deadline_ns (const struct proto *p)
{
  (void)p;
  return PROTO_NO_DEADLINE;
}

static bool
fake_want (struct proto *p, struct proto_want *ret)
{
  if (!p->asks)
    return false;
  p->asks = false;
  *ret = question;
  return true;
}

static enum err
fake_give (struct proto *p, const struct proto_given *g, uint64_t now_ns)
{
  (void)now_ns;
  p->given = *g;
  if (!g->error) {
    p->state = PROTO_READY;
    return ERR_OK;
  }
  p->state = PROTO_FAILED;
  return fault_set (&p->fault, g->error, "not given");
}

static void
fake_leave (struct proto *p, uint64_t now_ns)
{
  (void)now_ns;
  p->to_send[p->unsent++] = BYE;
}

/* It can do without the last one. */
static bool
fake_lane_lost (struct proto *p, unsigned lane, uint64_t now_ns)
{
  (void)now_ns;
  p->lost |= 1u << lane;
  return lane == 2;
}

static const struct proto_ops fake_proto = {
  .name = "fake", .state = fake_state, .fault = fake_fault, .info = fake_info,
  .submit = fake_submit, .reap = fake_reap, .rx_iov = fake_rx_iov,
  .rx_done = fake_rx_done, .tx_iov = fake_tx_iov, .tx_done = fake_tx_done,
  .deadline_ns = fake_deadline_ns,
};

/* The same, but it asks, and says goodbye. */
static struct proto_ops asking_proto;
static struct proto_ops lanes_proto;

struct transport {
  int fd;
  bool closed;
};

static enum err
wire_read (struct transport *t, struct iovec dst, size_t *ret, struct fault *f)
{
  ssize_t n = read (t->fd, dst.iov_base, dst.iov_len);

  if (n < 0)
    return ERR_AGAIN;
  if (n == 0)
    return fault_set (f, ERR_CLOSED, "closed");
  *ret = (size_t)n;
  return ERR_OK;
}

static enum err
wire_write (struct transport *t, const struct iovec *iov, size_t n,
            size_t *ret, struct fault *f)
{
  ssize_t r = send (t->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);

  (void)n;
  if (r < 0)
    return fault_set (f, ERR_CLOSED, "closed");
  *ret = (size_t)r;
  return ERR_OK;
}

static enum err
wire_flush (struct transport *t, struct fault *f)
{
  (void)t;
  (void)f;
  return ERR_OK;
}

static short
wire_events (const struct transport *t)
{
  (void)t;
  return POLLIN;
}

static void
wire_ready (struct transport *t, short revents)
{
  (void)t;
  (void)revents;
}

static bool
wire_pending (const struct transport *t)
{
  (void)t;
  return false;
}

static void
wire_close (struct transport *t)
{
  t->closed = true;
}

static const struct transport_ops fake_transport = {
    .close = wire_close,
    .read = wire_read,
    .write = wire_write,
    .flush = wire_flush,
    .events = wire_events,
    .ready = wire_ready,
    .pending = wire_pending,
};

/* --------------------------------------------------------------- the stage */

static struct loop loop;
static struct proto proto;
static struct transport transport;
static struct broker broker;
static struct channel gateway_view, worker_view;
static int objects[CHANNEL_FDS], server, daemon_sock, gateway_sock;
static struct ring ring;
static struct control message;
static pthread_t thread;
static struct fault fault;
static enum err result;
static bool joined;

static void *
run (void *arg)
{
  (void)arg;
  result = loop_run (&loop, &fault);
  return NULL;
}

static void
pair (int type, int *ours, int *theirs)
{
  int s[2];

  CU_ASSERT_FATAL (socketpair (AF_UNIX, type, 0, s) == 0);
  *ours = s[0];
  *theirs = s[1];
}

static void
prepare (const struct proto_ops *ops, uint64_t login_ns)
{
  int theirs[3];

  pair (SOCK_SEQPACKET, &daemon_sock, &theirs[0]);
  pair (SOCK_SEQPACKET, &gateway_sock, &theirs[1]);
  pair (SOCK_STREAM | SOCK_NONBLOCK, &server, &theirs[2]);
  CU_ASSERT_FATAL (!channel_create (objects)
                   && !channel_map (&gateway_view, CHANNEL_SIDE_GATEWAY,
                                    objects)
                   && !channel_map (&worker_view, CHANNEL_SIDE_WORKER,
                                    objects));
  proto = (struct proto){0};
  transport = (struct transport){.fd = theirs[2]};
  broker.fd = theirs[0];
  fault = (struct fault){0};
  joined = false;
  loop = (struct loop){
      .ops = ops,
      .proto = &proto,
      .transport_ops = &fake_transport,
      .transport = {&transport},
      .lanes = 1,
      .broker = &broker,
      .channel = &worker_view,
      .epoch = EPOCH,
      .daemon_fd = theirs[0],
      .gateway_fd = theirs[1],
      .net_fd = theirs[2],
      .wake_worker_fd = objects[CHANNEL_WAKE_WORKER],
      .wake_gateway_fd = objects[CHANNEL_WAKE_GATEWAY],
      .deadline_ns = clock_now_ns () + login_ns,
  };
}

static void
begin_with (const struct proto_ops *ops, uint64_t login_ns)
{
  prepare (ops, login_ns);
  CU_ASSERT_FATAL (pthread_create (&thread, NULL, run, NULL) == 0);
}

static void
begin (uint64_t login_ns)
{
  begin_with (&fake_proto, login_ns);
}

static void
begin_asking (void)
{
  asking_proto = fake_proto;
  asking_proto.want = fake_want;
  asking_proto.give = fake_give;
  asking_proto.leave = fake_leave;
  begin_with (&asking_proto, 5 * SECOND);
}

static void
shut (int *fd)
{
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

/* What loop_run returned. */
static enum err
join (void)
{
  void *p;

  if (!joined)
    CU_ASSERT_FATAL (pthread_join (thread, &p) == 0);
  joined = true;
  return result;
}

static enum err
end (void)
{
  shut (&daemon_sock);
  shut (&gateway_sock);
  (void)join ();
  shut (&server);
  close (loop.daemon_fd);
  close (loop.gateway_fd);
  close (loop.net_fd);
  channel_unmap (&gateway_view);
  channel_unmap (&worker_view);
  channel_close_fds (objects);
  return result;
}

static void
say (const char *bytes, size_t n)
{
  CU_ASSERT (write (server, bytes, n) == (ssize_t)n);
}

static void
go (uint64_t epoch)
{
  struct wirebuf b;

  say ("", 1); /* the engine's greeting */
  CU_ASSERT_FATAL (!control_recv (daemon_sock, &message, 5 * SECOND)
                   && message.type == CONTROL_READY);
  ring_object_reset (channel_ring (&gateway_view, CHANNEL_REQUESTS), EPOCH);
  ring_init (&ring, channel_ring (&gateway_view, CHANNEL_REQUESTS),
             channel_ring (&gateway_view, CHANNEL_COMPLETIONS));
  control_begin (&message, CONTROL_GO);
  b = control_body (&message);
  wirebuf_u64 (&b, epoch);
  CU_ASSERT_FATAL (!control_send (gateway_sock, &message, &b, SECOND));
}

static void
ask (uint64_t id, uint16_t op, uint32_t length)
{
  union ring_entry e
    = {.request = {.id = id, .op = op, .length = length}};
  uint64_t one = 1;

  CU_ASSERT_FATAL (ring_push (&ring, &e) == ERR_OK);
  if (ring_wake_needed (&ring))
    CU_ASSERT (write (objects[CHANNEL_WAKE_WORKER], &one, sizeof one) > 0);
}

/* The next completion, within 5 s; false if none comes. */
static bool
hear (struct ring_completion *ret)
{
  struct pollfd p = {.fd = objects[CHANNEL_WAKE_GATEWAY], .events = POLLIN};
  union ring_entry e;
  uint64_t count;

  while (ring_pop (&ring, &e)) {
    if (!ring_sleep (&ring))
      continue;
    if (poll (&p, 1, 5000) != 1 || read (p.fd, &count, sizeof count) < 0)
      return false;
    ring_awake (&ring);
  }
  *ret = e.completion;
  return true;
}

/* Waits until the engine has sent n bytes. */
static void
server_hears (size_t n)
{
  struct pollfd p = {.fd = server, .events = POLLIN};
  uint8_t bytes[16];

  while (n) {
    ssize_t r;

    CU_ASSERT_FATAL (poll (&p, 1, 5000) == 1);
    r = read (server, bytes, n);
    CU_ASSERT_FATAL (r > 0);
    n -= (size_t)r;
  }
}

/* --------------------------------------------------------------- the tests */

static void
answers_each_request_once (void)
{
  struct ring_completion c;

  begin (5 * SECOND);
  go (EPOCH);
  ask (1000, IO_READ, 4096);
  ask (1001, IO_WRITE, 512);
  server_hears (2);
  say ("\0", 1);
  CU_ASSERT (hear (&c) && c.id == 1000 && c.error == 0 && c.length == 4096);
  say ("\1", 1);
  CU_ASSERT (hear (&c) && c.id == 1001 && c.error == ENOSPC && c.length == 0);
  ask (1002, IO_TRIM, 512); /* not offered by this engine */
  CU_ASSERT (hear (&c) && c.id == 1002 && c.error == EINVAL);
  CU_ASSERT (end () == ERR_OK);
}

/* The session before was allowed to; what it wrote may be sent again. */
static void
a_session_that_may_only_read_says_so (void)
{
  struct ring_completion c;

  read_only = true;
  begin (5 * SECOND);
  go (EPOCH);
  read_only = false;
  ask (1, IO_WRITE, 512);
  CU_ASSERT (hear (&c) && c.id == 1 && c.error == EROFS);
  ask (2, IO_FLUSH, 0);
  CU_ASSERT (hear (&c) && c.id == 2 && c.error == EROFS);
  ask (3, IO_READ, 512);
  server_hears (1);
  say ("\0", 1);
  CU_ASSERT (hear (&c) && c.id == 3 && c.error == 0);
  CU_ASSERT (end () == ERR_OK);
}

static void
goes_on_with_one_control_socket (void)
{
  struct ring_completion c;

  begin (5 * SECOND);
  go (EPOCH);
  shut (&daemon_sock);
  ask (1, IO_FLUSH, 0);
  server_hears (1);
  say ("\0", 1);
  CU_ASSERT (hear (&c) && c.id == 1);
  CU_ASSERT (end () == ERR_OK);
}

static void
refuses_another_epoch (void)
{
  begin (5 * SECOND);
  go (EPOCH + 1);
  CU_ASSERT (join () == ERR_PEER);
  (void)end ();
}

static void
finds_an_engine_that_answers_twice (void)
{
  begin (5 * SECOND);
  go (EPOCH);
  ask (7, IO_FLUSH, 0);
  server_hears (1);
  say ("\xf0", 1);
  CU_ASSERT (join () == ERR_PEER);
  (void)end ();
}

static void
delivers_what_came_before_the_end (void)
{
  struct ring_completion c;

  begin (5 * SECOND);
  go (EPOCH);
  ask (1, IO_FLUSH, 0);
  ask (2, IO_FLUSH, 0);
  server_hears (2);
  say ("\0", 1);
  shut (&server);
  CU_ASSERT (hear (&c) && c.id == 1);
  CU_ASSERT (join () == ERR_CLOSED);
  CU_ASSERT (!ring_has_input (&ring));
  (void)end ();
}

static void
hands_on_the_engines_fault (void)
{
  begin (5 * SECOND);
  go (EPOCH);
  ask (1, IO_FLUSH, 0);
  server_hears (1);
  say ("\xf1", 1);
  CU_ASSERT (join () == ERR_PEER);
  (void)end ();
  CU_ASSERT_STRING_EQUAL (fault.text, "broken");
}

static void
waits_for_the_server_until_its_deadline (void)
{
  begin (SECOND / 20);
  /* nobody hangs up before that */
  CU_ASSERT (join () == ERR_TIMEOUT);
  CU_ASSERT_PTR_NOT_NULL (strstr (fault.text, "says nothing"));
  (void)end ();
}

static void
who_hangs_up_without_a_word_is_at_the_wrong_port_maybe (void)
{
  begin (5 * SECOND);
  shut (&server);
  CU_ASSERT (join () == ERR_CLOSED);
  CU_ASSERT_PTR_NOT_NULL (strstr (fault.hint, "is it the right port?"));
  (void)end ();
  begin (5 * SECOND);
  say ("\1", 1);
  shut (&server);
  CU_ASSERT (join () == ERR_CLOSED);
  CU_ASSERT_STRING_EQUAL (fault.hint, "");
  (void)end ();
}

static void
fill (uint8_t *p, size_t n, uint8_t first)
{
  for (size_t i = 0; i < n; i++)
    p[i] = (uint8_t)(first + i * 7);
}

/* The engine asks; what the daemon gets is what was asked. */
static void
expect_question (enum proto_want_type type)
{
  struct proto_want got;
  struct wire w;

  question = (struct proto_want){.type = type,
                                 .algorithm = 7,
                                 .id = 255,
                                 .mutual = true,
                                 .port = 65534,
                                 .name = "iqn.x",
                                 .host = "::1",
                                 .why = "because",
                                 .data_bytes = PROTO_WANT_BYTES};
  fill (question.data, sizeof question.data, 3);
  say ("\xf2", 1);
  CU_ASSERT_FATAL (!control_recv (daemon_sock, &message, 5 * SECOND)
                   && message.type == CONTROL_WANT);
  w = wire_init (message.body, message.length_bytes);
  CU_ASSERT_FATAL (!want_take (&w, &got) && !wire_end (&w));
  CU_ASSERT (got.type == type && got.algorithm == 7 && got.id == 255
             && got.mutual && got.port == 65534);
  CU_ASSERT_STRING_EQUAL (got.name, "iqn.x");
  CU_ASSERT_STRING_EQUAL (got.host, "::1");
  CU_ASSERT_STRING_EQUAL (got.why, "because");
  CU_ASSERT (got.data_bytes == PROTO_WANT_BYTES
             && memcmp (got.data, question.data, PROTO_WANT_BYTES) == 0);
}

static void
give (const struct proto_given *g)
{
  struct wirebuf b;

  control_begin (&message, CONTROL_GIVEN);
  b = control_body (&message);
  given_put (&b, g);
  CU_ASSERT_FATAL (!control_send (daemon_sock, &message, &b, SECOND));
}

static void
asks_the_daemon_and_is_given (void)
{
  struct proto_given g = {.type = PROTO_WANT_CHAP,
                          .id = 9,
                          .name = "me",
                          .data_bytes = 20,
                          .challenge_bytes = PROTO_WANT_BYTES};

  fill (g.data, 20, 1);
  fill (g.challenge, sizeof g.challenge, 2);
  begin_asking ();
  expect_question (PROTO_WANT_CHAP);
  give (&g);
  CU_ASSERT_FATAL (!control_recv (daemon_sock, &message, 5 * SECOND)
                   && message.type == CONTROL_READY);
  CU_ASSERT (proto.given.type == PROTO_WANT_CHAP && proto.given.id == 9
             && proto.given.error == ERR_OK && proto.given.data_bytes == 20
             && memcmp (proto.given.data, g.data, 20) == 0
             && proto.given.challenge_bytes == PROTO_WANT_BYTES
             && memcmp (proto.given.challenge, g.challenge, PROTO_WANT_BYTES)
                  == 0);
  CU_ASSERT_STRING_EQUAL (proto.given.name, "me");
  (void)end ();

  g.error = ERR_AUTH;
  begin_asking ();
  expect_question (PROTO_WANT_CHAP);
  give (&g);
  CU_ASSERT (join () == ERR_AUTH);
  (void)end ();
  CU_ASSERT_STRING_EQUAL (fault.text, "not given");
}

static void
only_answers_to_its_question (void)
{
  struct proto_given g = {.type = PROTO_WANT_CHAP};

  begin_asking ();
  give (&g);
  CU_ASSERT (join () == ERR_PEER);
  (void)end ();
  begin_asking ();
  expect_question (PROTO_WANT_CHAP_CHECK);
  give (&g);
  CU_ASSERT (join () == ERR_PEER);
  (void)end ();
  begin_asking ();
  expect_question (PROTO_WANT_CHAP);
  shut (&daemon_sock);
  CU_ASSERT (join () == ERR_SHUTDOWN);
  (void)end ();
}

/* As NFS does after a portmapper that hangs up. */
static void
moves_on_although_the_server_has_gone (void)
{
  begin_asking ();
  expect_question (PROTO_WANT_MOVE);
  CU_ASSERT (join () == ERR_OK);
  (void)end ();
  begin_asking ();
  say ("\xf2", 1);
  shut (&server);
  CU_ASSERT (!control_recv (daemon_sock, &message, 5 * SECOND)
             && message.type == CONTROL_WANT);
  CU_ASSERT (join () == ERR_OK);
  (void)end ();
}

/* The server's answer ends it; its silence does so later. */
static void
says_goodbye (void)
{
  for (int silent = 0; silent < 2; silent++) {
    uint64_t begun_ns;

    begin_asking ();
    go (EPOCH);
    ask (1, IO_FLUSH, 0);
    server_hears (1);
    begun_ns = clock_now_ns ();
    shut (&gateway_sock);
    shut (&daemon_sock);
    server_hears (1);
    if (!silent)
      say ("\xf1", 1);
    CU_ASSERT (join () == ERR_OK);
    CU_ASSERT (!silent || clock_now_ns () - begun_ns >= SECOND / 2);
    (void)end ();
  }
}

/* Lanes 1 and 2, beside the one that begin_with makes. */
static struct transport more[2];
static int more_server[2];

/* Their fds have to follow that of lane 0. */
static void
begin_lanes (void)
{
  int theirs[3];

  lanes_proto = fake_proto;
  lanes_proto.lane_lost = fake_lane_lost;
  prepare (&lanes_proto, 5 * SECOND);
  theirs[0] = loop.net_fd;
  for (int i = 0; i < 2; i++)
    pair (SOCK_STREAM | SOCK_NONBLOCK, &more_server[i], &theirs[1 + i]);
  for (int i = 0; i < 3; i++) {
    CU_ASSERT_FATAL (dup2 (theirs[i], LANE_FD + i) == LANE_FD + i);
    close (theirs[i]);
  }
  transport.fd = LANE_FD;
  for (int i = 0; i < 2; i++) {
    more[i] = (struct transport){.fd = LANE_FD + 1 + i};
    loop.transport[1 + i] = &more[i];
  }
  loop.net_fd = LANE_FD;
  loop.lanes = 3;
  CU_ASSERT_FATAL (pthread_create (&thread, NULL, run, NULL) == 0);
}

static void
end_lanes (void)
{
  for (int i = 0; i < 2; i++) {
    shut (&more_server[i]);
    close (LANE_FD + 1 + i);
  }
}

/* Requests go out on one lane, answers come on all of them; the loop sleeps for
 * any, and one that the engine does not need may end.
 */
static void
serves_all_lanes (void)
{
  struct ring_completion c;
  uint8_t byte;

  begin_lanes ();
  proto.tx_lane = 1;
  go (EPOCH);
  for (uint64_t id = 1; id <= 3; id++) {
    int from = id == 1 ? server : more_server[id - 2];
    struct pollfd p = {.fd = more_server[0], .events = POLLIN};

    ask (id, IO_FLUSH, 0);
    CU_ASSERT (poll (&p, 1, 5000) == 1
               && read (more_server[0], &byte, 1) == 1);
    CU_ASSERT (write (from, "", 1) == 1);
    CU_ASSERT_FATAL (hear (&c));
    CU_ASSERT (c.id == id && c.error == 0);
  }
  CU_ASSERT_EQUAL (proto.rx_lanes, 7);
  shut (&more_server[1]);
  ask (4, IO_FLUSH, 0);
  CU_ASSERT (write (server, "", 1) == 1);
  CU_ASSERT_FATAL (hear (&c));
  CU_ASSERT_EQUAL (c.id, 4);
  CU_ASSERT_EQUAL (end (), ERR_OK);
  CU_ASSERT (proto.lost == 4 && more[1].closed && !more[0].closed);
  end_lanes ();
}

static void
ends_with_a_lane_that_is_needed (void)
{
  begin_lanes ();
  go (EPOCH);
  shut (&more_server[0]);
  CU_ASSERT_EQUAL (join (), ERR_CLOSED);
  CU_ASSERT_EQUAL (proto.lost, 2);
  (void)end ();
  end_lanes ();
}

UNIT_MAIN ("loop", UNIT_TEST (answers_each_request_once),
           UNIT_TEST (serves_all_lanes),
           UNIT_TEST (ends_with_a_lane_that_is_needed),
           UNIT_TEST (a_session_that_may_only_read_says_so),
           UNIT_TEST (goes_on_with_one_control_socket),
           UNIT_TEST (refuses_another_epoch),
           UNIT_TEST (finds_an_engine_that_answers_twice),
           UNIT_TEST (delivers_what_came_before_the_end),
           UNIT_TEST (hands_on_the_engines_fault),
           UNIT_TEST (waits_for_the_server_until_its_deadline),
           UNIT_TEST (who_hangs_up_without_a_word_is_at_the_wrong_port_maybe),
           UNIT_TEST (asks_the_daemon_and_is_given),
           UNIT_TEST (only_answers_to_its_question),
           UNIT_TEST (moves_on_although_the_server_has_gone),
           UNIT_TEST (says_goodbye))
