# SPDX-License-Identifier: BSD-2-Clause
# Sourced behind lib.sh: certificates, and a front that speaks RPC over TLS
# before a server that does not.

front=$BULKHEAD_BUILDDIR/tests/fake/tls-front

# authority NAME: a root, in NAME.pem and NAME.key.
authority () {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$1.key" -out "$1.pem" -subj "/CN=$1" -days 2 \
    >>openssl.log 2>&1 || die "no root certificate"
}

# certificate NAME AUTHORITY KIND SAN [DAYS]: NAME.pem and NAME.key. KIND is
# ed25519, rsa or a curve; SAN may be empty.
certificate () {
  case $3 in
    ed25519) openssl genpkey -algorithm ed25519 -out "$1.key" ;;
    rsa) openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 \
      -out "$1.key" ;;
    *) openssl genpkey -algorithm ec -pkeyopt "ec_paramgen_curve:$3" \
      -pkeyopt ec_param_enc:named_curve -out "$1.key" ;;
  esac >>openssl.log 2>&1 || die "no key"
  chmod 0600 "$1.key"
  echo "basicConstraints=CA:FALSE" >"$1.ext"
  [ -z "$4" ] || echo "subjectAltName=$4" >>"$1.ext"
  openssl req -new -key "$1.key" -subj "/CN=localhost" -out "$1.csr" \
    >>openssl.log 2>&1
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" \
    -CAcreateserial -extfile "$1.ext" -days "${5:-2}" -out "$1.pem" \
    >>openssl.log 2>&1 || die "no certificate"
}

# start_front NAME LISTEN CONNECT CERTIFICATE [OPTION…]: sets $front_pid.
start_front () {
  local name=$1 listen=$2 connect=$3 cert=$4
  shift 4
  : >"$name.front"
  "$front" --listen "$listen" --connect "$connect" --cert "$cert.pem" \
    --key "$cert.key" "$@" >"$name.front" 2>>front.log &
  front_pid=$!
  wait_for 10 grep -q ready "$name.front" || die "the front does not start"
}

# Its connections end with it.
stop_front () {
  kill -TERM "${1:-$front_pid}"
  wait "${1:-$front_pid}" 2>/dev/null || :
}
