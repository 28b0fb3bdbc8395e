/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon and workers that log in by SSH; see daemon_stage.h. */
#include "config.h"
#include "tests/unit/cache/daemon_stage.h"
#include "tests/unit/cache/fake_agent.h"

#include <fcntl.h>

#include "common/clock.h"
#include "sandbox/cgroup.h"

static void
logs_in_and_hands_the_worker_over (void)
{
  int sock = open_path ("/ready");

  expect_worker (sock, 1);
  close (sock);
}

static void
a_killed_worker_is_replaced_again_and_again (void)
{
  int sock = open_path ("/ready");

  for (uint64_t epoch = 1; epoch <= 8; epoch++) {
    expect_worker (sock, epoch);
    kill (worker_pid, SIGKILL);
    CU_ASSERT_PTR_NOT_NULL (strstr (expect_gone (sock, epoch).text, "SIGKILL"));
  }
  expect_worker (sock, 9);
  close (sock);
}

/* The daemon's cgroup, played by a folder. */
static void
events (const char *cgroup, const char *lines)
{
  char path[128];
  FILE *f;

  snprintf (path, sizeof path, "%s/worker-%d/memory.events", cgroup,
            worker_pid);
  CU_ASSERT_PTR_NOT_NULL_FATAL (f = fopen (path, "w"));
  fputs (lines, f);
  fclose (f);
}

/* What kills it is what it was asked, or is taken for it. */
static void
a_worker_out_of_memory_fell_over_by_itself (void)
{
  static const struct {
    const char *events;
    bool of_itself;
  } deaths[] = {
      {"low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n", true},
      {"oom_kill 1\noom 1", true},
      {"max 0\noom 0\noom_kill 1\n", false}, /* the machine was short of it */
      {"max 3\noom 2\noom_kill 0\n", false}, /* or somebody killed it */
      {"", false},
  };
  char cgroup[] = "/tmp/bulkhead-cgroup-test-XXXXXX", words[80];
  uint64_t gone_ms = 0;
  struct fault f;
  int sock;

  CU_ASSERT_PTR_NOT_NULL_FATAL (mkdtemp (cgroup));
  d.cgroup = sbx_cgroup_at (open (cgroup, O_RDONLY | O_DIRECTORY));
  sock = open_path ("/ready");
  for (unsigned i = 0; i < sizeof deaths / sizeof *deaths; i++) {
    expect_worker (sock, i + 1);
    /* the second time there is a wait */
    CU_ASSERT (i != 2 || clock_now_ms () - gone_ms >= 150);
    events (cgroup, deaths[i].events);
    kill (worker_pid, SIGKILL);
    f = expect_gone (sock, i + 1);
    gone_ms = clock_now_ms ();
    CU_ASSERT_EQUAL (m.body[9], deaths[i].of_itself);
    snprintf (words, sizeof words, "worker %d was %s", worker_pid,
              deaths[i].of_itself ? "out of memory (limit 768 MiB)"
                                  : "ended by signal 9 (SIGKILL)");
    CU_ASSERT_STRING_EQUAL (f.text, words);
  }
  close (sock);
  sbx_cgroup_close (steal (&d.cgroup));
  snprintf (words, sizeof words, "rm -r %s", cgroup);
  CU_ASSERT_EQUAL (system (words), 0);
}

static void
a_worker_that_reports_its_end_is_replaced (void)
{
  int sock = open_path ("/ready-then-fail");

  for (uint64_t epoch = 1; epoch <= 2; epoch++) {
    expect_worker (sock, epoch);
    CU_ASSERT_STRING_EQUAL (expect_gone (sock, epoch).text,
                            "the script says so");
  }
  close (sock);
}

static void
a_crash_is_named (void)
{
  int sock = open_path ("/crash");

  expect_worker (sock, 1);
  CU_ASSERT_PTR_NOT_NULL (strstr (expect_gone (sock, 1).text, "SIG"));
  expect_worker (sock, 2);
  close (sock);
}

/* A volume with several connections; their channels have come. */
static int
open_paths (const char *path, unsigned paths, int ret_wake[])
{
  struct volume_spec s = spec_for (path);
  char text[4];
  int sock;

  snprintf (text, sizeof text, "%u", paths);
  volume_spec_set (&s, "connections", text, -1);
  sock = open_spec (&s);
  for (unsigned i = 0; i < paths; i++) {
    struct wire w;

    CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
    CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_CHANNEL);
    w = wire_init (m.body, m.length_bytes);
    CU_ASSERT_EQUAL (wire_u8 (&w), i);
    ret_wake[i] = control_take_fd (&m, CHANNEL_WAKE_GATEWAY);
    control_close (&m);
  }
  return sock;
}

static void
take_worker (int sock, unsigned *ret_path, uint64_t *ret_epoch)
{
  struct wire w;

  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_WORKER);
  CU_ASSERT_EQUAL (m.fds, 3);
  w = wire_init (m.body, m.length_bytes);
  *ret_path = wire_u8 (&w);
  *ret_epoch = wire_u64 (&w);
  control_close (&m);
}

static void
close_all (int *fd, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    close (fd[i]);
}

/* The first connection serves, whatever becomes of the others; those come when
 * they can, and only if they lead to the same object.
 */
static void
a_volume_has_several_connections (void)
{
  static const struct {
    const char *path;
    uint64_t epoch[3]; /* of each path's first worker that serves */
  } cases[] = {{"/ready", {1, 1, 1}},
               {"/other-object", {1, 2, 1}},
               {"/no-object", {1, 2, 1}},
               {"/first-alone", {1, 5, 5}}};

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int wake[3], sock = open_paths (cases[i].path, 3, wake);
    unsigned path, seen = 0;
    uint64_t epoch, count = 0, one = 1;

    for (unsigned n = 0; n < 3; n++) {
      take_worker (sock, &path, &epoch);
      CU_ASSERT_FATAL (path < 3);
      CU_ASSERT (n > 0 || path == 0);
      CU_ASSERT_EQUAL (epoch, cases[i].epoch[path]);
      seen |= 1u << path;
    }
    CU_ASSERT_EQUAL (seen, 7);
    /* All channels wake the gateway by the same eventfd. */
    for (unsigned n = 0; n < 3; n++)
      CU_ASSERT_EQUAL (write (wake[n], &one, sizeof one), sizeof one);
    CU_ASSERT_EQUAL (read (wake[1], &count, sizeof count), sizeof count);
    CU_ASSERT_EQUAL (count, 3);
    close_all (wake, 3);
    close (sock);
  }
}

static void
a_killed_path_is_replaced_alone (void)
{
  int wake[2], sock = open_paths ("/ready", 2, wake);
  unsigned path = 0;
  uint64_t epoch;
  struct wire w;

  take_worker (sock, &path, &epoch);
  take_worker (sock, &path, &epoch);
  CU_ASSERT_EQUAL (path, 1);
  for (uint64_t round = 1; round <= 3; round++) {
    kill (worker_pid, SIGKILL);
    CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
    CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_GONE);
    w = wire_init (m.body, m.length_bytes);
    CU_ASSERT_EQUAL (wire_u8 (&w), 1);
    CU_ASSERT_EQUAL (wire_u64 (&w), round);
    CU_ASSERT_EQUAL (wire_u8 (&w), 0); /* not of itself */
    control_close (&m);
    take_worker (sock, &path, &epoch);
    CU_ASSERT_EQUAL (path, 1);
    CU_ASSERT_EQUAL (epoch, round + 1);
  }
  /* Distrust of a path that there is not. */
  begin (CONTROL_DISTRUST);
  wirebuf_u8 (&b, 2);
  wirebuf_u64 (&b, 1);
  fault_put (&b, &(struct fault){.code = ERR_PEER});
  CU_ASSERT_EQUAL (send_it (sock), ERR_OK);
  CU_ASSERT_EQUAL (receive (sock), ERR_CLOSED);
  close_all (wake, 2);
  close (sock);
}

static void
distrust_ends_that_worker_only (void)
{
  int sock = open_path ("/ready");
  struct fault why = {0};

  expect_worker (sock, 1);
  fault_set (&why, ERR_PEER, "a lie");
  for (uint64_t epoch = 0; epoch <= 1; epoch++) {
    begin (CONTROL_DISTRUST);
    wirebuf_u8 (&b, 0);
    wirebuf_u64 (&b, epoch); /* 0: over, or never was */
    fault_put (&b, &why);
    CU_ASSERT_EQUAL (send_it (sock), ERR_OK);
  }
  CU_ASSERT_PTR_NOT_NULL (strstr (expect_gone (sock, 1).text, "a lie"));
  expect_worker (sock, 2);
  close (sock);
}

static void
the_last_worker_ends_with_its_gateway (void)
{
  int sock = open_path ("/ready");
  bool gone = false;

  expect_worker (sock, 1);
  close (sock);
  for (int i = 0; i < 5000 && !gone; i++) {
    ev_run (d.loop, EVRUN_NOWAIT);
    usleep (1000);
    gone = kill (worker_pid, 0) < 0 && errno == ESRCH;
  }
  CU_ASSERT (gone);
}

static void
a_worker_that_breaks_a_rule_is_refused (void)
{
  static const struct {
    const char *path;
    enum err code;
    const char *text;
  } rules[] = {
      {"/ready-early", ERR_PEER, "READY (42) in state SEALED"},
      {"/unsealed", ERR_PEER, "HOSTKEY"},
      {"/no-layers", ERR_SANDBOX, "mandatory"},
      {"/auth-early", ERR_PEER, "AUTH"},
      {"/sign-for-root", ERR_PEER, "wrong user name"},
      {"/with-fd", ERR_PEER, "file descriptor"},
      {"/wrong-key", ERR_HOSTKEY, "HOST KEY CHANGED"},
      {"/auth-none", ERR_AUTH, "keyboard-interactive"},
      {"/fail-noent", ERR_NOENT, "the script says so"},
  };

  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    struct fault f = fault_of (rules[i].path);

    CU_ASSERT_EQUAL (f.code, rules[i].code);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, rules[i].text));
  }
}

static void
what_may_mend_itself_is_tried_again_first (void)
{
  CU_ASSERT_EQUAL (fault_of ("/fail-closed").code, ERR_CLOSED);
  CU_ASSERT_PTR_NOT_NULL (strstr (fault_of ("/exit").text, "exit status 3"));
}

static void
ready_once_only (void)
{
  int sock = open_path ("/ready-twice");

  expect_worker (sock, 1);
  CU_ASSERT_PTR_NOT_NULL (
      strstr (expect_gone (sock, 1).text, "in state READY"));
  close (sock);
}

static void
babbling_workers_do_no_harm (void)
{
  char path[32];

  for (int seed = 0; seed < 20; seed++) {
    snprintf (path, sizeof path, "/babble-%d", seed);
    CU_ASSERT_NOT_EQUAL (fault_of (path).code, ERR_OK);
  }
}

static void
nobody_to_dial_is_said_at_once (void)
{
  struct volume_spec s = spec_for ("/ready");
  struct fault f;
  int sock;

  volume_spec_set (&s, "port", "1", -1);
  sock = open_spec (&s);
  CU_ASSERT_EQUAL (receive (sock), ERR_OK);
  control_close (&m);
  CU_ASSERT_EQUAL (receive (sock), ERR_OK);
  f = fault_in ();
  CU_ASSERT_EQUAL (f.code, ERR_DIAL);
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "127.0.0.1:1"));
  close (sock);
}

static void
bad_parameters_are_refused_in_words (void)
{
  static const struct {
    const char *key, *value;
    int fd;
    const char *text;
  } bad[] = {
      {"port", "0", -1, "port=0"},
      {"port", "22x", -1, "port=22x"},
      {"port", "65536", -1, "65536"},
      {"host", "", -1, "no host"},
      {"host", "a b", -1, "host"},
      {"host", "-oProxyCommand=x", -1, "host"},
      {"host", "h;reboot", -1, "host"},
      {"user", "me\x1b", -1, "user"},
      {"host", "h\n", -1, "host"},
      {"user", "", -1, "no user"},
      {"colour", "red", -1, "colour"},
      {"identity", "/key", -1, "identity"},
      {"identity-4", "/key", -1, "identity-4"},
      {"path", "/x", 0, "path"},
      {"port-2", "22", -1, "port-2"},
      {"connections", "0", -1, "connections=0"},
      {"connections", "9", -1, "connections=9"},
  };

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct volume_spec s = spec_for ("/ready");
    struct fault f;
    int sock;

    volume_spec_set (&s, bad[i].key, bad[i].value, bad[i].fd);
    sock = open_spec (&s);
    CU_ASSERT_EQUAL (receive (sock), ERR_OK);
    CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_FAULT);
    f = fault_in ();
    CU_ASSERT_EQUAL (f.code, ERR_INVAL);
    CU_ASSERT_PTR_NOT_NULL (strstr (f.text, bad[i].text));
    close (sock);
  }
}

/* The agent: we hold its end. */

static int agent;

/* A volume without a key but in an agent. */
static int
open_with_agent (const char *path)
{
  struct volume_spec s = spec_with (path, "agent");
  int sock = connect_client (), pair[2];

  CU_ASSERT_EQUAL_FATAL (
      socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  agent = pair[1];
  send_hello (sock, CONTROL_VERSION);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  send_open_with (sock, &s, pair[0]);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL_FATAL (m.type, CONTROL_CHANNEL);
  control_close (&m);
  return sock;
}

static void
an_agent_signs_for_every_worker (void)
{
  int sock = open_with_agent ("/ready");

  for (uint64_t epoch = 1; epoch <= 3; epoch++) {
    agent_has_a_key (d.loop, agent);
    agent_signs (d.loop, agent);
    expect_worker (sock, epoch);
    kill (worker_pid, SIGKILL);
    expect_gone (sock, epoch);
  }
  close (agent);
  close (sock);
}

static struct fault
agent_fault_of (const char *path, bool with_key)
{
  int sock = open_with_agent (path);
  struct fault f = {0};

  if (with_key) {
    agent_has_a_key (d.loop, agent);
    CU_ASSERT_EQUAL (agent_hears (d.loop, agent), 13);
    agent_says (agent, (const uint8_t *)"\5", 1);
  } else
    close (steal_fd (&agent));
  if (receive (sock) == ERR_OK && m.type == CONTROL_FAULT)
    f = fault_in ();
  else
    CU_FAIL ("no FAULT");
  control_close (&m);
  cleanup_close (&agent);
  close (sock);
  return f;
}

static void
an_agent_that_does_not_help_is_named (void)
{
  CU_ASSERT_PTR_NOT_NULL (strstr (agent_fault_of ("/refused", true).text,
                                  "mine (of the agent), ssh-agent (it refused "
                                  "to sign)"));
  CU_ASSERT_PTR_NOT_NULL (strstr (agent_fault_of ("/ready", false).text,
                                  "ssh-agent (the agent has gone)"));
}

static void
while_the_agent_is_asked_a_worker_waits (void)
{
  struct fault f;
  int sock = open_with_agent ("/impatient");

  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  f = fault_in ();
  CU_ASSERT_PTR_NOT_NULL (strstr (f.text, "AUTH (36) in state ASKING"));
  control_close (&m);
  close (sock);
  close (agent);

  sock = open_with_agent ("/impatient-to-sign");
  agent_has_a_key (d.loop, agent);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_PTR_NOT_NULL (strstr (fault_in ().text, "in state ASKING"));
  control_close (&m);
  /* A late answer for a worker that is dead does no harm. */
  agent_signs (d.loop, agent);
  for (int i = 0; i < 100; i++)
    ev_run (d.loop, EVRUN_NOWAIT);
  close (sock);
  close (agent);
}

static void
death_while_the_agent_is_asked (void)
{
  int sock = open_with_agent ("/dies-asking");

  /* tried three times, each with a question of its own */
  for (int i = 0; i < 3; i++)
    agent_has_a_key (d.loop, agent);
  CU_ASSERT_EQUAL_FATAL (receive (sock), ERR_OK);
  CU_ASSERT_PTR_NOT_NULL (strstr (fault_in ().text, "exit status 3"));
  control_close (&m);
  close (sock);
  close (agent);

  sock = open_with_agent ("/ready");
  CU_ASSERT_EQUAL (agent_hears (d.loop, agent), 11);
  close (sock); /* the gateway goes */
  for (int i = 0; i < 100; i++)
    ev_run (d.loop, EVRUN_NOWAIT);
  CU_ASSERT_EQUAL (agent_hears (d.loop, agent), 0); /* our end is closed */
  close (agent);
  logs_in_and_hands_the_worker_over ();
}

static void
another_version_is_answered_and_ended (void)
{
  int sock = connect_client ();

  send_hello (sock, CONTROL_VERSION + 1);
  CU_ASSERT_EQUAL (receive (sock), ERR_OK);
  CU_ASSERT_EQUAL (m.type, CONTROL_HELLO);
  CU_ASSERT_EQUAL (receive (sock), ERR_CLOSED);
  close (sock);
}

/* Every message, alone and after HELLO, and again while a volume is served. */
static void
only_legal_messages_are_taken (void)
{
  for (int after = 0; after < 3; after++)
    for (uint16_t type = 0; type < 70; type++) {
      static const uint16_t legal[3] = {CONTROL_HELLO, CONTROL_OPEN,
                                        CONTROL_ATTACH};
      int sock;

      if (type == legal[after]
          || (after == 2 && type == CONTROL_LEASE_WANT)) /* answered */
        continue;
      if (after == 2) {
        if (type > CONTROL_CONFIG)
          break;
        sock = open_path ("/exit");
      } else {
        sock = connect_client ();
      }
      if (after == 1) {
        send_hello (sock, CONTROL_VERSION);
        CU_ASSERT_EQUAL (receive (sock), ERR_OK);
      }
      begin ((enum control_type)type);
      CU_ASSERT_EQUAL (send_it (sock), ERR_OK);
      CU_ASSERT_EQUAL (receive (sock), ERR_CLOSED);
      close (sock);
    }
}

static void
random_clients_do_no_harm (void)
{
  uint32_t random = 1;

  for (int turn = 0; turn < 300; turn++) {
    int sock = connect_client ();

    if (turn % 3)
      send_hello (sock, CONTROL_VERSION);
    for (int i = 0; i < 4; i++) {
      size_t n;

      random = random * 1664525u + 1013904223u;
      begin (
          (enum control_type) (turn % 2 ? CONTROL_OPEN : (random >> 16) % 10));
      n = random >> 22;
      if (n % 4 == 0)
        wirebuf_cstring (&b, "sftp");
      while (n--) {
        random = random * 1664525u + 1013904223u;
        wirebuf_u8 (&b, (uint8_t)(random >> 24) >> (random >> 20 & 7));
      }
      if (random & 1)
        control_add_fd (&m, listener);
      if (send_it (sock))
        break;
    }
    while (receive (sock) == ERR_OK && m.type != CONTROL_FAULT)
      control_close (&m);
    close (sock);
  }
  logs_in_and_hands_the_worker_over ();
}

static void
clients_are_limited (void)
{
  int sock[SERVER_CLIENTS + 1];
  unsigned refused = 0;

  for (unsigned i = 0; i <= SERVER_CLIENTS; i++) {
    sock[i] = connect_client ();
    ev_run (d.loop, EVRUN_NOWAIT);
    control_begin (&m, CONTROL_HELLO);
    b = control_body (&m);
    wirebuf_u32 (&b, CONTROL_VERSION);
    wirebuf_cstring (&b, "many");
    if (control_send (sock[i], &m, &b, 0) || receive (sock[i]))
      refused++;
  }
  CU_ASSERT_EQUAL (refused, 1);
  for (unsigned i = 0; i <= SERVER_CLIENTS; i++)
    close (sock[i]);
  for (int i = 0; i < 200; i++)
    ev_run (d.loop, EVRUN_NOWAIT);
  logs_in_and_hands_the_worker_over ();
}

static void
a_client_that_just_connected_keeps_an_idle_daemon (void)
{
  int sock = connect_client ();

  for (int i = 0; i < 200; i++)
    ev_run (d.loop, EVRUN_NOWAIT);
  close (sock);
  for (int i = 0; i < 200; i++)
    ev_run (d.loop, EVRUN_NOWAIT);
  sock = connect_client ();
  /* Not accepted yet, the socket's name is gone: it is served all the same. */
  CU_ASSERT (!server_retire (server));
  send_hello (sock, CONTROL_VERSION);
  CU_ASSERT_EQUAL (receive (sock), ERR_OK);
  close (sock);
  logs_in_and_hands_the_worker_over ();
}

UNIT_MAIN ("daemon", UNIT_TEST (start),
           UNIT_TEST (logs_in_and_hands_the_worker_over),
           UNIT_TEST (a_killed_worker_is_replaced_again_and_again),
           UNIT_TEST (a_worker_out_of_memory_fell_over_by_itself),
           UNIT_TEST (a_worker_that_reports_its_end_is_replaced),
           UNIT_TEST (a_crash_is_named),
           UNIT_TEST (distrust_ends_that_worker_only),
           UNIT_TEST (a_volume_has_several_connections),
           UNIT_TEST (a_killed_path_is_replaced_alone),
           UNIT_TEST (the_last_worker_ends_with_its_gateway),
           UNIT_TEST (a_worker_that_breaks_a_rule_is_refused),
           UNIT_TEST (what_may_mend_itself_is_tried_again_first),
           UNIT_TEST (ready_once_only), UNIT_TEST (babbling_workers_do_no_harm),
           UNIT_TEST (nobody_to_dial_is_said_at_once),
           UNIT_TEST (bad_parameters_are_refused_in_words),
           UNIT_TEST (an_agent_signs_for_every_worker),
           UNIT_TEST (an_agent_that_does_not_help_is_named),
           UNIT_TEST (while_the_agent_is_asked_a_worker_waits),
           UNIT_TEST (death_while_the_agent_is_asked),
           UNIT_TEST (another_version_is_answered_and_ended),
           UNIT_TEST (only_legal_messages_are_taken),
           UNIT_TEST (random_clients_do_no_harm),
           UNIT_TEST (clients_are_limited),
           UNIT_TEST (a_client_that_just_connected_keeps_an_idle_daemon),
           UNIT_TEST (stop))
