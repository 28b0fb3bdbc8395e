/* SPDX-License-Identifier: BSD-2-Clause */
#include "config.h"
#include "cli/serve_check.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/files.h"
#include "common/cleanup.h"

/* The folder of a file that is to be made. */
enum err
serve_check_folder (const char *option, const char *path, struct fault *f)
{
  const char *slash = strrchr (path, '/');
  char dir[4096] = ".";

  if (slash)
    snprintf (dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path),
              path);
  if (access (dir, W_OK | X_OK) == 0)
    return ERR_OK;
  return fault_set (f, err_from_errno (errno),
                    "--%s=%.200s: nothing can be made in %.200s: %s", option,
                    path, dir, strerrordesc_np (errno));
}

/* 0, or why it cannot be listened at. */
static int
try_bind (const struct addrinfo *a)
{
  int one = 1, error;
  int sock =
      socket (a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

  if (sock < 0)
    return errno;
  /* As nbdkit does. */
  setsockopt (sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (a->ai_family == AF_INET6)
    setsockopt (sock, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  error = bind (sock, a->ai_addr, a->ai_addrlen) < 0 ? errno : 0;
  close (sock);
  return error;
}

static enum err
port_fault (const char *address, const char *port, int error, struct fault *f)
{
  switch (error) {
  case EADDRINUSE:
    fault_set (f, ERR_AGAIN, "port %s of %s is in use", port, address);
    fault_hint (f, "ss -ltnp 'sport = :%s' shows by whom", port);
    return ERR_AGAIN;
  case EADDRNOTAVAIL:
    fault_set (f, ERR_INVAL, "%s is no address of this machine", address);
    fault_hint (f, "ip address shows those that there are");
    return ERR_INVAL;
  case EACCES:
    fault_set (f, ERR_ACCESS, "port %s of %s: permission denied", port,
               address);
    fault_hint (f, "ports below 1024 are for root");
    return ERR_ACCESS;
  default:
    return fault_set (f, err_from_errno (error), "port %s of %s: %s", port,
                      address, strerrordesc_np (error));
  }
}

enum err
serve_check_port (const char *address, const char *port, struct fault *f)
{
  static const struct addrinfo want = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                       .ai_socktype = SOCK_STREAM};
  struct addrinfo *list = NULL;
  int error = getaddrinfo (address, port, &want, &list);

  if (error)
    return fault_set (f, ERR_INVAL, "--address=%.200s: %s", address,
                      gai_strerror (error));
  for (const struct addrinfo *a = list; a; a = a->ai_next)
    if (!(error = try_bind (a)))
      break;
  freeaddrinfo (list);
  return error ? port_fault (address, port, error, f) : ERR_OK;
}

/* ------------------------------------------------------------------- files */

static enum err
check_readable (const char *option, const char *path, struct fault *f)
{
  if (access (path, R_OK) == 0)
    return ERR_OK;
  fault_set (f, err_from_errno (errno), "--%s: %.200s: %s", option, path,
             strerrordesc_np (errno));
  fault_hint (f, "nbdkit-tls(1) says how to make what TLS needs");
  return f->code;
}

static bool
has_certificate (const char *dir)
{
  char path[4400];

  snprintf (path, sizeof path, "%s/server-cert.pem", dir);
  return access (path, R_OK) == 0;
}

/* Where nbdkit looks by itself, nbdkit-tls(1). */
static bool
default_certificate (void)
{
  static const char *const below[] = {"/.pki/nbdkit", "/.config/pki/nbdkit"};
  char home[4096], dir[4200];

  if (has_certificate ("/etc/pki/nbdkit"))
    return true;
  if (files_home (home, sizeof home))
    return false;
  for (unsigned i = 0; i < 2; i++) {
    snprintf (dir, sizeof dir, "%s%s", home, below[i]);
    if (has_certificate (dir))
      return true;
  }
  return false;
}

static enum err
check_tls (const struct cli *c, struct fault *f)
{
  static const char *const files[] = {"ca-cert.pem", "server-cert.pem",
                                      "server-key.pem"};
  const char *dir = cli_value (c, "tls-certificates");
  const char *psk = cli_value (c, "tls-psk"), *tls = cli_value (c, "tls");
  bool wanted = tls && strcmp (tls, "off") != 0;
  char path[4400];
  enum err e = ERR_OK;

  if ((dir || psk || cli_has (c, "tls-verify-peer")) && !wanted) {
    fault_set (f, ERR_INVAL,
               "--tls-certificates, --tls-psk and "
               "--tls-verify-peer are of no use without --tls");
    fault_hint (f, "--tls=require");
    return ERR_INVAL;
  }
  if (!wanted)
    return ERR_OK;
  if (psk)
    return check_readable ("tls-psk", psk, f);
  for (unsigned i = 0; dir && !e && i < 3; i++) {
    snprintf (path, sizeof path, "%s/%s", dir, files[i]);
    e = check_readable ("tls-certificates", path, f);
  }
  if (dir || default_certificate ())
    return e;
  fault_set (f, ERR_INVAL, "--tls=%s needs certificates or keys", tls);
  fault_hint (f, "--tls-certificates=DIR or --tls-psk=FILE, see nbdkit-tls(1)");
  return ERR_INVAL;
}

enum err
serve_check_files (const struct cli *c, struct fault *f)
{
  const char *pidfile = cli_value (c, "pidfile");
  enum err e = pidfile ? serve_check_folder ("pidfile", pidfile, f) : ERR_OK;

  return e ? e : check_tls (c, f);
}
