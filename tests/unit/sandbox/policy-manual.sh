#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The manual's policy section says what the table says.
#
#   policy-manual.sh            compares
#   policy-manual.sh --update   writes the section anew (in the source tree)

pod=${srcdir:-.}/docs/bulkhead-worker.pod
begin='=for comment begin of the policy'
end='=for comment end of the policy'

section () {
  echo
  ./tests/fake/policy-print
  echo
}

if [ "$1" = --update ]; then
  section >policy-section.tmp || exit 1
  sed -i -e "/^$begin/,/^$end/{/^$begin/{p;r policy-section.tmp
};/^$end/p;d}" "$pod"
  rm policy-section.tmp
  exit 0
fi

in_manual=$(sed -n "/^$begin/,/^$end/p" "$pod" | grep -v '^=for comment')
[ -n "$in_manual" ] || { echo "no policy section in $pod"; exit 1; }
[ "$in_manual" = "$(section)" ] && exit 0
echo "$pod is out of step with sandbox/policy.c; run, in the build directory:"
echo "srcdir=$srcdir $0 --update"
exit 1
