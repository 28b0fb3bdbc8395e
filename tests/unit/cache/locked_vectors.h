/* SPDX-License-Identifier: BSD-2-Clause */
/* Throw-away keys made by ssh-keygen -Z CIPHER -a ROUNDS, all with one
 * passphrase, for tests only: they open nothing.
 */
#ifndef BH_TESTS_LOCKED_VECTORS_H
#define BH_TESTS_LOCKED_VECTORS_H

#define LOCKED_PASSPHRASE "correct horse"

static const struct {
  const char *name; /* cipher, or format */
  const char *fingerprint;
  const char *text;
} locked_vectors[] = {
  {"aes256-ctr",
   "SHA256:6MZy8wJZdRww8vv8oGtMwebH8qicENnoXKxOhMoD00c",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABBgr5BvKG\n"
   "xe0cXSIlycV/CQAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIDtv1n8CF1YDazPC\n"
   "rRKXcjI8xaZrxzXMt0npJUC5KhH4AAAAkJX6Vi7L7mAvYEpPYFUug36licMqjA3TPo1Ej0\n"
   "eTRGxqA1NZXj0Nn6oxfnp72BiuBOohODs6ujVnnDhQ4B88vTvD87cCFgnzSn7XlkMuci5s\n"
   "sOR3mYqbI5+Bd5YGp824BjlTNjspr2XEiie8/yqU2NUEiL25wh7p624wpGoLQLPik9c6dj\n"
   "HFAJ6Kz5J3CntTgw==\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
  {"aes192-ctr",
   "SHA256:6MZy8wJZdRww8vv8oGtMwebH8qicENnoXKxOhMoD00c",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAACmFlczE5Mi1jdHIAAAAGYmNyeXB0AAAAGAAAABBbbOCCMf\n"
   "As9lh8FO+0W6eXAAAAAwAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIDtv1n8CF1YDazPC\n"
   "rRKXcjI8xaZrxzXMt0npJUC5KhH4AAAAkENO4gK6Z+iJp0zIW4S6NZdNlaeE+eRfyWQfCG\n"
   "6vswY+kpTFCRuWbPcBENCikNgQCpGUo5g/ehcI4GkGrg+PzbQUulbMiNpeV/AARYtmd2wO\n"
   "nnm/MI0OhoRJwy9pTJVkmabY8KNeb8Ly4sqIlMBVBxXMhwdLLy5Cto9W9nIiLoCKK24wNo\n"
   "PYENcIKomMM0MmKA==\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
  {"aes128-ctr",
   "SHA256:6MZy8wJZdRww8vv8oGtMwebH8qicENnoXKxOhMoD00c",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAACmFlczEyOC1jdHIAAAAGYmNyeXB0AAAAGAAAABCbBOlYrz\n"
   "rnoSyl9VKvOa5lAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIDtv1n8CF1YDazPC\n"
   "rRKXcjI8xaZrxzXMt0npJUC5KhH4AAAAkJHLQV9iN8y/tXFliUjzqHtuOM/LS5yKZpT8aa\n"
   "YUEhc+9Zs3eHv3nvlqHMc/gVaj08QpkAccRHLTQQ5epR3+OKjxbgqf7HmMUSZbx6Ui+IOT\n"
   "C/hY5R2/oEeeUipTqwNNDgawgAtP5uEUE6MRhVbZhpokApObs+0drg/xLenyEwfGH6eEJA\n"
   "cxH5Xh9H+Mgcf3tQ==\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
  {"aes256-cbc",
   "SHA256:6MZy8wJZdRww8vv8oGtMwebH8qicENnoXKxOhMoD00c",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jYmMAAAAGYmNyeXB0AAAAGAAAABAT2scLuQ\n"
   "/N7+U4wd1k4CpNAAAAAgAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIDtv1n8CF1YDazPC\n"
   "rRKXcjI8xaZrxzXMt0npJUC5KhH4AAAAkBdBJGxEm5FZGd/IYyJ5M467JxcHitrIZW+uWu\n"
   "tusK946Q/BVdFpsyU/RZY8Wu93hNjzmL9UT/yNSJzDMAmxHv+B8y3qZTAHGJgKnBPR0jd3\n"
   "dIOch2RH46tDhd04vRwxsgcnvnoydsMSLk0ayXdRM0s2Gnb7SLhl272cUNvZqWzk/uMQTU\n"
   "UEnnhyj8L4gIpJiQ==\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
  {"aes192-cbc",
   "SHA256:6MZy8wJZdRww8vv8oGtMwebH8qicENnoXKxOhMoD00c",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAACmFlczE5Mi1jYmMAAAAGYmNyeXB0AAAAGAAAABD+CpEJMQ\n"
   "Zh9hpu0YPdO/GQAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIDtv1n8CF1YDazPC\n"
   "rRKXcjI8xaZrxzXMt0npJUC5KhH4AAAAkJJ6k0IWYaqSIAgGQ3ImsRD+Mn1LqELU4BP3PD\n"
   "2MNn9RVTB2hcgzgDjxnDvh6IOq/xSRoCG3aXKdNaS8atn57kfX6LdOKVFaOD5UDH6/pD6v\n"
   "UWyS+s6BNFKj69Q1vcHaEw3Gf7CWHd8EshY5/ys1MVDmcHi/wpVgIFkL0luel80f8tm9Yl\n"
   "txloUE/Ogoi1F7JQ==\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
  {"aes128-cbc",
   "SHA256:6MZy8wJZdRww8vv8oGtMwebH8qicENnoXKxOhMoD00c",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAACmFlczEyOC1jYmMAAAAGYmNyeXB0AAAAGAAAABDmjCW2Td\n"
   "Bx2Rioi1sMFy1+AAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIDtv1n8CF1YDazPC\n"
   "rRKXcjI8xaZrxzXMt0npJUC5KhH4AAAAkJ1KGTFZhp4ghOgaAazQoZI3z8RSmUoARlqxGD\n"
   "APqVSbk5+NkSDvd6r4kvYz+zPYp236YQfp5WzwIHt3suD8cpim6olGB+KtIlRnyIfBKOMw\n"
   "qKYCXpKy+gVAOR3sYO7+4J4+wpl+zFqIx6aTmoghlNiKyOpnaSU7PzHrDa6fAtyTwOcTNn\n"
   "RtbW4GkbXhW+lT2g==\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
  {"3des-cbc",
   "SHA256:6MZy8wJZdRww8vv8oGtMwebH8qicENnoXKxOhMoD00c",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAACDNkZXMtY2JjAAAABmJjcnlwdAAAABgAAAAQGGXfmjah0A\n"
   "6qM0rYMVSc/wAAAAEAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAACA7b9Z/AhdWA2szwq0S\n"
   "l3IyPMWma8c1zLdJ6SVAuSoR+AAAAIjzXgD5P9BbLTzK+XrTilfd/z+tLXpZRWgnxhbOBo\n"
   "AD2Px/uGq4h9u9YxHWR+Ssge7PZmswu/r2T+HKRPoh+gd0wrM1JcCkMxDcLB9muQ8N3ehq\n"
   "Wib3jyydeVnYXVbkdww9jyQh3O71MEB9n1kbcwuvIj5WPqGCua42B+x2W+1Uv8MznHcxEt\n"
   "lQ\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
  {"aes256-gcm@openssh.com",
   "SHA256:6MZy8wJZdRww8vv8oGtMwebH8qicENnoXKxOhMoD00c",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAAFmFlczI1Ni1nY21Ab3BlbnNzaC5jb20AAAAGYmNyeXB0AA\n"
   "AAGAAAABDjm57I21sSolskdXXQYc26AAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAA\n"
   "IDtv1n8CF1YDazPCrRKXcjI8xaZrxzXMt0npJUC5KhH4AAAAkFgScGfzybmT0KVg5iiSOx\n"
   "jzpm3SNTsfKR/XaU5cmnNeWMA/Y2ByvEtRryqLwFNFfjfRh7IJvT/mEko8I1B7edkiXazr\n"
   "+Vq+3rMK56SFtFwlfW9pDHu05dQ88fCU3R86STCc6SHWkT+sXxvvYugKxuvT0W55yd66Mj\n"
   "iTUqG/WVk2LnZitVZ+pxHOwPWLqTeRj+rHMcwdJOG80r0BuguqXFs=\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
  {"aes128-gcm@openssh.com",
   "SHA256:6MZy8wJZdRww8vv8oGtMwebH8qicENnoXKxOhMoD00c",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAAFmFlczEyOC1nY21Ab3BlbnNzaC5jb20AAAAGYmNyeXB0AA\n"
   "AAGAAAABDaLAL5brMtArxN32qjGItVAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAA\n"
   "IDtv1n8CF1YDazPCrRKXcjI8xaZrxzXMt0npJUC5KhH4AAAAkHI7/K1PkWmz5tnt6pUfXV\n"
   "ImhFxSdAZJJf+KyUgPQs+VFRkp+hGdAUown+wYKQqoSj6uMTQt2FE+0z9Eo8bFJY726wqY\n"
   "9SPwzs7eu21K973NzU+Qei6v3gDJD3GFXy07h/+hPmEaTe09I42sxlNuk3sZRek1X601HC\n"
   "iYF8H2ih5vkvPGvs80hHVFD9P5dQgIPLffx9Wa/A7vdGa/WiXoe+A=\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
  {"chacha20-poly1305@openssh.com",
   "SHA256:6MZy8wJZdRww8vv8oGtMwebH8qicENnoXKxOhMoD00c",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAAHWNoYWNoYTIwLXBvbHkxMzA1QG9wZW5zc2guY29tAAAABm\n"
   "JjcnlwdAAAABgAAAAQvC84a9UDGYlvp30X2sRqmQAAAAEAAAABAAAAMwAAAAtzc2gtZWQy\n"
   "NTUxOQAAACA7b9Z/AhdWA2szwq0Sl3IyPMWma8c1zLdJ6SVAuSoR+AAAAIgH6uhrNHCDa6\n"
   "asACIh2esbcwuCYhPFuzeuAK3I4C/OPP2GDHvFZCqA0Vmk4H+qY6NzHTQbkW4yBQhipeDF\n"
   "O1pSdVyilei9iRv7rqaBzh3EOo2qjvkv1AJQ5H8ggIl+w17wX251GKCv/sQ3f+8BPNfMWe\n"
   "KgD1DZxk48/QS2vC7586g3DPec+f782r0e1+yOi7tDLWam7YtRwA==\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
  {"PEM",
   "SHA256:ckiSbFcNIJON5fhmQGdRvGoxVehp5/6POX0+BXZ+oqo",
   "-----BEGIN EC PRIVATE KEY-----\n"
   "Proc-Type: 4,ENCRYPTED\n"
   "DEK-Info: AES-128-CBC,9A0594D828DFA1432B0A1021F64BABBE\n"
   "\n"
   "NIsdrR6uqZdHPJ02hLotjNa3NxyTBagPqlLjDQ9hRGADmuOHfgqhDxBuk72Lcd/y\n"
   "xx1oaEMCjpV8ijF33CL+YGpj4sFDxwXjOGDNr1+Ms60fTiA7NnTeskYUaZx+hC7m\n"
   "mjKni20kzhZ9hPKJMh6RL6aylaXhiUq4EWbXvRj3BfU=\n"
   "-----END EC PRIVATE KEY-----\n"},
  {"PKCS#8",
   "SHA256:Ru0EWwqP6YnlSTzbRDbD4007eH0T5ibnvlg/ya4jn98",
   "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
   "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi62VP2FY2CaQICCAAw\n"
   "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEECbBtI/k9W01qLYJN/hv4m4EgZDs\n"
   "tF6jW53K4ze+QdAEsCjndeTqNU0o1dcggnG3kngqzfqXZa7vF+Tjh5EpIZujBXEY\n"
   "FuYhqu4ppo699jKdaLrO0ykKPApMs1BfRRy1Rb1yhJ33NryJPRZrT/VLWuGhvMpg\n"
   "GpRzgWUutnr/carS7NDyPa9CghoY3fyaCEPc5w6S7kUf2iSer1kJH1dWUyFu4nM=\n"
   "-----END ENCRYPTED PRIVATE KEY-----\n"},
  {"ECDSA",
   "SHA256:DroSPCGjFVjNLQttnGKh65obMYiwp/bsOtjbaqamCjU",
   "-----BEGIN OPENSSH PRIVATE KEY-----\n"
   "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABAIVlBiE9\n"
   "dkggAUwfqLebrRAAAAAQAAAAEAAABoAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlz\n"
   "dHAyNTYAAABBBOsztsI3uRK0HmcMJPprYr8zZv3YF+7D4uAsLeBW6GyslJJXOepDG+9aaz\n"
   "2Ya1kWGSLNxehtwQWtDhHWpl3yUZ0AAACg8B7aNxUDmSId8tlAvfELb8XZhSuGIc0EcZ+x\n"
   "lG5Y9Ox6UZQfWYph2d4DU+xpOxlbioks7gaIzyUIiPQjK7ffsHh3Gj6UpiF3mE3m7vgAc6\n"
   "XDL1jOJIn3NQo3op/Cb5A9XRhFoCAaxyTQsC5hvOWNXF7Q/c/rGs/7VReqZ0h6Cea0IBGT\n"
   "Wp+t1kRJs7kA1zyQ7tATaDhpzob8gA/vbwgFPQ==\n"
   "-----END OPENSSH PRIVATE KEY-----\n"},
};

#define LOCKED_VECTORS (sizeof locked_vectors / sizeof locked_vectors[0])

#endif
