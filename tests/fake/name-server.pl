#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause
# A name server (RFC 1035) on 127.0.0.1:53 with three kinds of names:
#   good.test   A 192.0.2.1 and AAAA 2001:db8::1
#   big.test    the same, but over UDP the answer is truncated
#   others      NXDOMAIN
# Prints "ready" when it listens; ends with its parent's pipe or by a signal.
use strict;
use warnings;
use Socket qw(inet_aton inet_pton AF_INET6);
use IO::Socket::INET;
use IO::Select;

my %data = (1 => inet_aton ('192.0.2.1'),
            28 => inet_pton (AF_INET6, '2001:db8::1'));

sub answer {
  my ($query, $tcp) = @_;
  my ($id) = unpack 'n', $query;
  my @labels = unpack '(C/a)*', (substr $query, 12) =~ s/\0.*//sr;
  my $name = join '.', @labels;
  my $question = substr $query, 12, length ($name) + 2 + 4;
  my $type = unpack 'n', substr $question, -4, 2;
  my $known = $name =~ /^(good|big)\.test$/;
  my $cut = $name eq 'big.test' && !$tcp;
  my $record = $known && !$cut && $data{$type};
  my $flags = 0x8180 | ($cut ? 0x0200 : 0) | ($known ? 0 : 3);

  return pack ('n6', $id, $flags, 1, $record ? 1 : 0, 0, 0) . $question
    . ($record ? pack ('n3 N n/a*', 0xc00c, $type, 1, 60, $record) : '');
}

my %common = (LocalAddr => '127.0.0.1', LocalPort => 53);
my $udp = IO::Socket::INET->new (%common, Proto => 'udp') or die "udp: $@";
my $tcp = IO::Socket::INET->new (%common, Proto => 'tcp', Listen => 8)
  or die "tcp: $@";
my $select = IO::Select->new ($udp, $tcp);
$| = 1;
print "ready\n";
for (;;) {
  for my $s ($select->can_read) {
    if ($s == $udp) {
      my $peer = $udp->recv (my $query, 4096);
      $udp->send (answer ($query, 0), 0, $peer) if defined $peer;
    } elsif ($s == $tcp) {
      $select->add ($tcp->accept);
    } elsif (!sysread $s, my $query, 4096) {
      $select->remove ($s);
      close $s;
    } else {
      # Queries are small: one read has a whole one, or several.
      syswrite $s, pack 'n/a*', answer ($_, 1) for unpack '(n/a*)*', $query;
    }
  }
}
