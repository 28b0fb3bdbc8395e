/* SPDX-License-Identifier: BSD-2-Clause */
/* Throw-away keys made by ssh-keygen, for tests only: they open nothing. */
#ifndef BH_TESTS_KEYS_VECTORS_H
#define BH_TESTS_KEYS_VECTORS_H

struct key_vector {
  const char *name;
  const char *algorithm; /* NULL: refused */
  const char *fingerprint;
  const char *text;
  const char *public_pem;
};

static const struct key_vector key_vectors[] = {
  {"ed25519, openssh", "ssh-ed25519",
   "SHA256:0VndSTnHjFlkgQ78NWss1IR6Mppui7ezJJyMKDfOiok",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
     "QyNTUxOQAAACCSyC+vr70XCPfw/ecKTufBV7LLfjbovCFI8LrRDtgDJwAAAIj5RMnz+UTJ\n"
     "8wAAAAtzc2gtZWQyNTUxOQAAACCSyC+vr70XCPfw/ecKTufBV7LLfjbovCFI8LrRDtgDJw\n"
     "AAAEAmf5KUHRTEWEhkk2iuTkXG08weapr242rVPrSXvk2QS5LIL6+vvRcI9/D95wpO58FX\n"
     "sst+Nui8IUjwutEO2AMnAAAABHRlc3QB\n"
     "-----END OPENSSH PRIVATE KEY-----\n",
     "-----BEGIN PUBLIC KEY-----\n"
     "MCowBQYDK2VwAyEAksgvr6+9Fwj38P3nCk7nwVeyy3426LwhSPC60Q7YAyc=\n"
     "-----END PUBLIC KEY-----\n"},
  {"ecdsa 256, openssh", "ecdsa-sha2-nistp256",
   "SHA256:UwFnzXJo1hEyLjcBzhFihs4G1tLsXzQt8B30WLniM6k",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS\n"
     "1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQT6xQ81hJ+Mp1h6uNcyeCPcmfCpoodA\n"
     "AZEYe6GrzKJFY8ymbcOdZoLr9L2LLFuWk2e4Y+YpP80WvS3BVEu5FBULAAAAoA7MrckOzK\n"
     "3JAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPrFDzWEn4ynWHq4\n"
     "1zJ4I9yZ8Kmih0ABkRh7oavMokVjzKZtw51mguv0vYssW5aTZ7hj5ik/zRa9LcFUS7kUFQ\n"
     "sAAAAgOEBwuZN8UUy9RDoS3YmMBmkpa/dR/FKabaM/j7gwOLEAAAAEdGVzdAECAwQ=\n"
     "-----END OPENSSH PRIVATE KEY-----\n",
     "-----BEGIN PUBLIC KEY-----\n"
     "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE+sUPNYSfjKdYerjXMngj3JnwqaKH\n"
     "QAGRGHuhq8yiRWPMpm3DnWaC6/S9iyxblpNnuGPmKT/NFr0twVRLuRQVCw==\n"
     "-----END PUBLIC KEY-----\n"},
  {"ecdsa 384, openssh", "ecdsa-sha2-nistp384",
   "SHA256:4uBPz3orleK1l7ywh9itS3Yo4OxKKRW7kSgMDYMWi4w",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAiAAAABNlY2RzYS\n"
     "1zaGEyLW5pc3RwMzg0AAAACG5pc3RwMzg0AAAAYQQ/8tVpNDZK2oRaeAT0nscyg+SUQYqf\n"
     "0LaB5G1GThp1XuooRkXCl0Lg+0AWV8f+WCoUzRjxXSVenH9naQkkNO54ptThNEOlCU1sFK\n"
     "QQ5LBrIjG0VywUGsBlDl7CHnLGteUAAADQMXVOrzF1Tq8AAAATZWNkc2Etc2hhMi1uaXN0\n"
     "cDM4NAAAAAhuaXN0cDM4NAAAAGEEP/LVaTQ2StqEWngE9J7HMoPklEGKn9C2geRtRk4adV\n"
     "7qKEZFwpdC4PtAFlfH/lgqFM0Y8V0lXpx/Z2kJJDTueKbU4TRDpQlNbBSkEOSwayIxtFcs\n"
     "FBrAZQ5ewh5yxrXlAAAAMBn7SvHSJXrngjJx+dxR99ZYmmF8ZLwp6GgHidwOtnW6SMUjzW\n"
     "GBZhNAB/jGLlzWpwAAAAR0ZXN0AQIDBA==\n"
     "-----END OPENSSH PRIVATE KEY-----\n",
     "-----BEGIN PUBLIC KEY-----\n"
     "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEP/LVaTQ2StqEWngE9J7HMoPklEGKn9C2\n"
     "geRtRk4adV7qKEZFwpdC4PtAFlfH/lgqFM0Y8V0lXpx/Z2kJJDTueKbU4TRDpQlN\n"
     "bBSkEOSwayIxtFcsFBrAZQ5ewh5yxrXl\n"
     "-----END PUBLIC KEY-----\n"},
  {"ecdsa 521, openssh", "ecdsa-sha2-nistp521",
   "SHA256:TGGCI8S4Imh5iu0QQ7JuGGtXocnZrQfAD1ysHBcE/xI",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAArAAAABNlY2RzYS\n"
     "1zaGEyLW5pc3RwNTIxAAAACG5pc3RwNTIxAAAAhQQASHQWGbElXpODjxitEGsU3leogZl9\n"
     "ZB+OTuaF8AO4Cu056sR3x7yvUyfyOvnVdpwgDeLRXv3DlTFA5zkDn03g0fgBA/MqoCjzVk\n"
     "QmWE+uAm46u7hNqVRF4o2HIndMzL6fQgowGK50hBlwWRu4FvATc/2tCGRgw4DLDS9t0xyh\n"
     "9gK6uscAAAEI4FwIjeBcCI0AAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAAhuaXN0cDUyMQ\n"
     "AAAIUEAEh0FhmxJV6Tg48YrRBrFN5XqIGZfWQfjk7mhfADuArtOerEd8e8r1Mn8jr51Xac\n"
     "IA3i0V79w5UxQOc5A59N4NH4AQPzKqAo81ZEJlhPrgJuOru4TalUReKNhyJ3TMy+n0IKMB\n"
     "iudIQZcFkbuBbwE3P9rQhkYMOAyw0vbdMcofYCurrHAAAAQgCG2emT46hVOTvymgd6PhZQ\n"
     "Ves0a4T3F9eryi3Ex2ZeE+CvbYO68agrgFO3SkcgOsdELOWSYV9HRcFPG7CpXwgm2wAAAA\n"
     "R0ZXN0AQIDBAUG\n"
     "-----END OPENSSH PRIVATE KEY-----\n",
     "-----BEGIN PUBLIC KEY-----\n"
     "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQASHQWGbElXpODjxitEGsU3leogZl9\n"
     "ZB+OTuaF8AO4Cu056sR3x7yvUyfyOvnVdpwgDeLRXv3DlTFA5zkDn03g0fgBA/Mq\n"
     "oCjzVkQmWE+uAm46u7hNqVRF4o2HIndMzL6fQgowGK50hBlwWRu4FvATc/2tCGRg\n"
     "w4DLDS9t0xyh9gK6usc=\n"
     "-----END PUBLIC KEY-----\n"},
  {"rsa 2048, openssh", "rsa-sha2-256",
   "SHA256:2mlH8DlHcreU91AxusHTc4u1Wn/dxqIqCPJyVW64Uhc",
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABFwAAAAdzc2gtcn\n"
     "NhAAAAAwEAAQAAAQEAuBTO/zXgkTtWRIAuDpKT15LY1YQ1dZ290FjyvCASfoOXQBWYGns2\n"
     "80bjV2g79WDnTxC3wE4YEqQj99EPeRIiKKezWhTSM+fiPoC417OwrAjzvPrbEQcUnJmVPH\n"
     "mavz6MoSpvBonwvtCcprT1FZlah8dMepgjEd7icSGdQNRiDGYHwb+0nI9w47fiRltndgtK\n"
     "spV6T0ocygQcgQcz+zYoKxMwNzl6ZbsaxqBXIeTjBvvxI8NwFhll3ypQClvSRMg+Jefw7U\n"
     "ahYyzq9GmoH5xCRc1xNXvJNaHXtgwHotzcly72dV1fIktRHqvEaZq5S8bQpTcuRGDZlYe1\n"
     "EzdgIM2e2wAAA8Apw5XnKcOV5wAAAAdzc2gtcnNhAAABAQC4FM7/NeCRO1ZEgC4OkpPXkt\n"
     "jVhDV1nb3QWPK8IBJ+g5dAFZgaezbzRuNXaDv1YOdPELfAThgSpCP30Q95EiIop7NaFNIz\n"
     "5+I+gLjXs7CsCPO8+tsRBxScmZU8eZq/PoyhKm8GifC+0JymtPUVmVqHx0x6mCMR3uJxIZ\n"
     "1A1GIMZgfBv7Scj3Djt+JGW2d2C0qylXpPShzKBByBBzP7NigrEzA3OXpluxrGoFch5OMG\n"
     "+/Ejw3AWGWXfKlAKW9JEyD4l5/DtRqFjLOr0aagfnEJFzXE1e8k1ode2DAei3NyXLvZ1XV\n"
     "8iS1Eeq8RpmrlLxtClNy5EYNmVh7UTN2AgzZ7bAAAAAwEAAQAAAQAPnTw9q51D1Gup3dGK\n"
     "TOabd4pK+i7qrhmmrZTRXksTTigrOGmxfVgY5J9uD5peYvzb2QgtGLK0ChY+9A3C8EXTev\n"
     "4cmv2Fh5rKQHLtYQGQZiX+lqy0UgxuiBx/h7UXmb+mAApw3Ix+MwXGojzTuzFRqRcUowj+\n"
     "gBBnFjnXgOxcLro/A+eMQp7dWn6xeBRNBqalfBqGwq6jw+YEgPIyhX7vioF2VjryrD1I4u\n"
     "6qrKSYTeCma+P8yfxyrw1pahzR/8hYhGjI27pJkjy6XnBzBbmrs7T/Nh8qJKZTMvqHKwpJ\n"
     "hufF2uPIwDLJcexnxp3QSqPSUuGtFtPHmxECmLUH721ZAAAAgQDJFtpqSg49zCfwKKbV7H\n"
     "eUdhEr8lweNgCpjuoXmmfI1o5pUgVYux4lz3tv7RDPmhFDa+zadKvEmoUd4ENazOI4Tp9q\n"
     "RlqIM8/22gLUJckQQxuoHsX83e+7W/OzwnqKtak+BmEzz8H0/0zybPZrKjsjozTdOIde3f\n"
     "XUDDbiduzX6AAAAIEA93BhK+QdcLFWvBNjn8Htl9QHns8kF9Fxijpn52l73G5VYwFtwq+l\n"
     "pqRZOjMaYoK/EVTOSJr2O+qkm+LzYKDEziwSXSFBJxIirlGI+ejFDi8ZZxnBWfPUKYBE9B\n"
     "ZdsBHqaehAXbcfuqxdOn8wqBe75n+JARlClh2Xa8HOdBGKvB0AAACBAL5zQZZ7dycciNfp\n"
     "zXgq+h2z1HQq2gQfF8MeMNXfhdJ7a422YrULdF4dkg8ud0ZPWVYOBfG1KdSXSoXxXZCgzu\n"
     "B3PmBkJtu/ZrHDYdz7MitRuU2fnTh9W0RkC50NOv8uCZbgtlPSO/UNd6tor7dE4GdopyFt\n"
     "OZP+F/RSkvv2vaVXAAAABHRlc3QBAgMEBQY=\n"
     "-----END OPENSSH PRIVATE KEY-----\n",
     "-----BEGIN PUBLIC KEY-----\n"
     "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuBTO/zXgkTtWRIAuDpKT\n"
     "15LY1YQ1dZ290FjyvCASfoOXQBWYGns280bjV2g79WDnTxC3wE4YEqQj99EPeRIi\n"
     "KKezWhTSM+fiPoC417OwrAjzvPrbEQcUnJmVPHmavz6MoSpvBonwvtCcprT1FZla\n"
     "h8dMepgjEd7icSGdQNRiDGYHwb+0nI9w47fiRltndgtKspV6T0ocygQcgQcz+zYo\n"
     "KxMwNzl6ZbsaxqBXIeTjBvvxI8NwFhll3ypQClvSRMg+Jefw7UahYyzq9GmoH5xC\n"
     "Rc1xNXvJNaHXtgwHotzcly72dV1fIktRHqvEaZq5S8bQpTcuRGDZlYe1EzdgIM2e\n"
     "2wIDAQAB\n"
     "-----END PUBLIC KEY-----\n"},
  {"ecdsa 256, traditional PEM", "ecdsa-sha2-nistp256",
   "SHA256:UwFnzXJo1hEyLjcBzhFihs4G1tLsXzQt8B30WLniM6k",
     "-----BEGIN EC PRIVATE KEY-----\n"
     "MHcCAQEEIDhAcLmTfFFMvUQ6Et2JjAZpKWv3UfxSmm2jP4+4MDixoAoGCCqGSM49\n"
     "AwEHoUQDQgAE+sUPNYSfjKdYerjXMngj3JnwqaKHQAGRGHuhq8yiRWPMpm3DnWaC\n"
     "6/S9iyxblpNnuGPmKT/NFr0twVRLuRQVCw==\n"
     "-----END EC PRIVATE KEY-----\n",
     "-----BEGIN PUBLIC KEY-----\n"
     "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE+sUPNYSfjKdYerjXMngj3JnwqaKH\n"
     "QAGRGHuhq8yiRWPMpm3DnWaC6/S9iyxblpNnuGPmKT/NFr0twVRLuRQVCw==\n"
     "-----END PUBLIC KEY-----\n"},
  {"ecdsa 256, PKCS#8", "ecdsa-sha2-nistp256",
   "SHA256:UwFnzXJo1hEyLjcBzhFihs4G1tLsXzQt8B30WLniM6k",
     "-----BEGIN PRIVATE KEY-----\n"
     "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOEBwuZN8UUy9RDoS\n"
     "3YmMBmkpa/dR/FKabaM/j7gwOLGhRANCAAT6xQ81hJ+Mp1h6uNcyeCPcmfCpoodA\n"
     "AZEYe6GrzKJFY8ymbcOdZoLr9L2LLFuWk2e4Y+YpP80WvS3BVEu5FBUL\n"
     "-----END PRIVATE KEY-----\n",
     "-----BEGIN PUBLIC KEY-----\n"
     "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE+sUPNYSfjKdYerjXMngj3JnwqaKH\n"
     "QAGRGHuhq8yiRWPMpm3DnWaC6/S9iyxblpNnuGPmKT/NFr0twVRLuRQVCw==\n"
     "-----END PUBLIC KEY-----\n"},
  {"rsa 2048, traditional PEM", "rsa-sha2-256",
   "SHA256:2mlH8DlHcreU91AxusHTc4u1Wn/dxqIqCPJyVW64Uhc",
     "-----BEGIN RSA PRIVATE KEY-----\n"
     "MIIEpAIBAAKCAQEAuBTO/zXgkTtWRIAuDpKT15LY1YQ1dZ290FjyvCASfoOXQBWY\n"
     "Gns280bjV2g79WDnTxC3wE4YEqQj99EPeRIiKKezWhTSM+fiPoC417OwrAjzvPrb\n"
     "EQcUnJmVPHmavz6MoSpvBonwvtCcprT1FZlah8dMepgjEd7icSGdQNRiDGYHwb+0\n"
     "nI9w47fiRltndgtKspV6T0ocygQcgQcz+zYoKxMwNzl6ZbsaxqBXIeTjBvvxI8Nw\n"
     "Fhll3ypQClvSRMg+Jefw7UahYyzq9GmoH5xCRc1xNXvJNaHXtgwHotzcly72dV1f\n"
     "IktRHqvEaZq5S8bQpTcuRGDZlYe1EzdgIM2e2wIDAQABAoIBAA+dPD2rnUPUa6nd\n"
     "0YpM5pt3ikr6LuquGaatlNFeSxNOKCs4abF9WBjkn24Pml5i/NvZCC0YsrQKFj70\n"
     "DcLwRdN6/hya/YWHmspAcu1hAZBmJf6WrLRSDG6IHH+HtReZv6YACnDcjH4zBcai\n"
     "PNO7MVGpFxSjCP6AEGcWOdeA7Fwuuj8D54xCnt1afrF4FE0GpqV8GobCrqPD5gSA\n"
     "8jKFfu+KgXZWOvKsPUji7qqspJhN4KZr4/zJ/HKvDWlqHNH/yFiEaMjbukmSPLpe\n"
     "cHMFuauztP82HyokplMy+ocrCkmG58Xa48jAMslx7GfGndBKo9JS4a0W08ebEQKY\n"
     "tQfvbVkCgYEA93BhK+QdcLFWvBNjn8Htl9QHns8kF9Fxijpn52l73G5VYwFtwq+l\n"
     "pqRZOjMaYoK/EVTOSJr2O+qkm+LzYKDEziwSXSFBJxIirlGI+ejFDi8ZZxnBWfPU\n"
     "KYBE9BZdsBHqaehAXbcfuqxdOn8wqBe75n+JARlClh2Xa8HOdBGKvB0CgYEAvnNB\n"
     "lnt3JxyI1+nNeCr6HbPUdCraBB8Xwx4w1d+F0ntrjbZitQt0Xh2SDy53Rk9ZVg4F\n"
     "8bUp1JdKhfFdkKDO4Hc+YGQm279mscNh3PsyK1G5TZ+dOH1bRGQLnQ06/y4JluC2\n"
     "U9I79Q13q2ivt0TgZ2inIW05k/4X9FKS+/a9pVcCgYEA1M89c49M1rhe/YC7hRI4\n"
     "MwWzzB0hUK7ctOLIrFmnoozuOSloajHBCZJ9/zUmcyU6CUDj7cQBFMUY782APlHn\n"
     "Ed8LqDdKnrzVQRF0+mL839cYRPj8t02i4lKkez2lNCIkdxO+EBvIWTeXMxFjGp7X\n"
     "B0YW4fAEubEXoyDbXC4eIO0CgYApolqpQg53T2afBO61IXgSPDjquF923TE9p4D3\n"
     "kGjZ7b9CeKe1em6TEJXYmcjbZwdZp7Em+PrPDc/t3ikdL/pp2ceaHOrdyUby/4qK\n"
     "W6PJEpGW5ZjiO41TMyfSyoymMnNIN5HEW0ZeOPZ7U2RuhTElihxXU2Bt+PNVpyOY\n"
     "z4T/+wKBgQDJFtpqSg49zCfwKKbV7HeUdhEr8lweNgCpjuoXmmfI1o5pUgVYux4l\n"
     "z3tv7RDPmhFDa+zadKvEmoUd4ENazOI4Tp9qRlqIM8/22gLUJckQQxuoHsX83e+7\n"
     "W/OzwnqKtak+BmEzz8H0/0zybPZrKjsjozTdOIde3fXUDDbiduzX6A==\n"
     "-----END RSA PRIVATE KEY-----\n",
     "-----BEGIN PUBLIC KEY-----\n"
     "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuBTO/zXgkTtWRIAuDpKT\n"
     "15LY1YQ1dZ290FjyvCASfoOXQBWYGns280bjV2g79WDnTxC3wE4YEqQj99EPeRIi\n"
     "KKezWhTSM+fiPoC417OwrAjzvPrbEQcUnJmVPHmavz6MoSpvBonwvtCcprT1FZla\n"
     "h8dMepgjEd7icSGdQNRiDGYHwb+0nI9w47fiRltndgtKspV6T0ocygQcgQcz+zYo\n"
     "KxMwNzl6ZbsaxqBXIeTjBvvxI8NwFhll3ypQClvSRMg+Jefw7UahYyzq9GmoH5xC\n"
     "Rc1xNXvJNaHXtgwHotzcly72dV1fIktRHqvEaZq5S8bQpTcuRGDZlYe1EzdgIM2e\n"
     "2wIDAQAB\n"
     "-----END PUBLIC KEY-----\n"},
  {"rsa 2048, PKCS#8", "rsa-sha2-256",
   "SHA256:2mlH8DlHcreU91AxusHTc4u1Wn/dxqIqCPJyVW64Uhc",
     "-----BEGIN PRIVATE KEY-----\n"
     "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC4FM7/NeCRO1ZE\n"
     "gC4OkpPXktjVhDV1nb3QWPK8IBJ+g5dAFZgaezbzRuNXaDv1YOdPELfAThgSpCP3\n"
     "0Q95EiIop7NaFNIz5+I+gLjXs7CsCPO8+tsRBxScmZU8eZq/PoyhKm8GifC+0Jym\n"
     "tPUVmVqHx0x6mCMR3uJxIZ1A1GIMZgfBv7Scj3Djt+JGW2d2C0qylXpPShzKBByB\n"
     "BzP7NigrEzA3OXpluxrGoFch5OMG+/Ejw3AWGWXfKlAKW9JEyD4l5/DtRqFjLOr0\n"
     "aagfnEJFzXE1e8k1ode2DAei3NyXLvZ1XV8iS1Eeq8RpmrlLxtClNy5EYNmVh7UT\n"
     "N2AgzZ7bAgMBAAECggEAD508PaudQ9Rrqd3Rikzmm3eKSvou6q4Zpq2U0V5LE04o\n"
     "KzhpsX1YGOSfbg+aXmL829kILRiytAoWPvQNwvBF03r+HJr9hYeaykBy7WEBkGYl\n"
     "/pastFIMbogcf4e1F5m/pgAKcNyMfjMFxqI807sxUakXFKMI/oAQZxY514DsXC66\n"
     "PwPnjEKe3Vp+sXgUTQampXwahsKuo8PmBIDyMoV+74qBdlY68qw9SOLuqqykmE3g\n"
     "pmvj/Mn8cq8NaWoc0f/IWIRoyNu6SZI8ul5wcwW5q7O0/zYfKiSmUzL6hysKSYbn\n"
     "xdrjyMAyyXHsZ8ad0Eqj0lLhrRbTx5sRApi1B+9tWQKBgQD3cGEr5B1wsVa8E2Of\n"
     "we2X1AeezyQX0XGKOmfnaXvcblVjAW3Cr6WmpFk6Mxpigr8RVM5ImvY76qSb4vNg\n"
     "oMTOLBJdIUEnEiKuUYj56MUOLxlnGcFZ89QpgET0Fl2wEepp6EBdtx+6rF06fzCo\n"
     "F7vmf4kBGUKWHZdrwc50EYq8HQKBgQC+c0GWe3cnHIjX6c14Kvods9R0KtoEHxfD\n"
     "HjDV34XSe2uNtmK1C3ReHZIPLndGT1lWDgXxtSnUl0qF8V2QoM7gdz5gZCbbv2ax\n"
     "w2Hc+zIrUblNn504fVtEZAudDTr/LgmW4LZT0jv1DXeraK+3ROBnaKchbTmT/hf0\n"
     "UpL79r2lVwKBgQDUzz1zj0zWuF79gLuFEjgzBbPMHSFQrty04sisWaeijO45KWhq\n"
     "McEJkn3/NSZzJToJQOPtxAEUxRjvzYA+UecR3wuoN0qevNVBEXT6Yvzf1xhE+Py3\n"
     "TaLiUqR7PaU0IiR3E74QG8hZN5czEWMantcHRhbh8AS5sRejINtcLh4g7QKBgCmi\n"
     "WqlCDndPZp8E7rUheBI8OOq4X3bdMT2ngPeQaNntv0J4p7V6bpMQldiZyNtnB1mn\n"
     "sSb4+s8Nz+3eKR0v+mnZx5oc6t3JRvL/iopbo8kSkZblmOI7jVMzJ9LKjKYyc0g3\n"
     "kcRbRl449ntTZG6FMSWKHFdTYG3481WnI5jPhP/7AoGBAMkW2mpKDj3MJ/AoptXs\n"
     "d5R2ESvyXB42AKmO6heaZ8jWjmlSBVi7HiXPe2/tEM+aEUNr7Np0q8SahR3gQ1rM\n"
     "4jhOn2pGWogzz/baAtQlyRBDG6gexfzd77tb87PCeoq1qT4GYTPPwfT/TPJs9msq\n"
     "OyOjNN04h17d9dQMNuJ27Nfo\n"
     "-----END PRIVATE KEY-----\n",
     "-----BEGIN PUBLIC KEY-----\n"
     "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuBTO/zXgkTtWRIAuDpKT\n"
     "15LY1YQ1dZ290FjyvCASfoOXQBWYGns280bjV2g79WDnTxC3wE4YEqQj99EPeRIi\n"
     "KKezWhTSM+fiPoC417OwrAjzvPrbEQcUnJmVPHmavz6MoSpvBonwvtCcprT1FZla\n"
     "h8dMepgjEd7icSGdQNRiDGYHwb+0nI9w47fiRltndgtKspV6T0ocygQcgQcz+zYo\n"
     "KxMwNzl6ZbsaxqBXIeTjBvvxI8NwFhll3ypQClvSRMg+Jefw7UahYyzq9GmoH5xC\n"
     "Rc1xNXvJNaHXtgwHotzcly72dV1fIktRHqvEaZq5S8bQpTcuRGDZlYe1EzdgIM2e\n"
     "2wIDAQAB\n"
     "-----END PUBLIC KEY-----\n"},
  {"encrypted openssh", NULL, NULL,
     "-----BEGIN OPENSSH PRIVATE KEY-----\n"
     "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABC+AtNmbp\n"
     "PQOSlW5yYEQVg8AAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIG5GpyVfcqTs3srR\n"
     "AHpxabK4O3sTtdNTq7Ks+l6h7JMsAAAAkKgmjys6/ylIUqp8eGQ1HoFflom7NXLLID22tG\n"
     "ouGyr79e8BSAwsRThga/gltWdieqXYHXC4R8DS1kHeB1T/M6nCZWUyrYZ5p+194xqIxnAO\n"
     "jJ/JIzGWiEMG5P3wP8BLhH2POx/YknG8+YsuvMy2oejP77gri9Q0OzMeSV/FlyWtQ98OQA\n"
     "ZdvFiT3m7vgCnfeQ==\n"
     "-----END OPENSSH PRIVATE KEY-----\n",
   NULL},
  {"encrypted PEM", NULL, NULL,
     "-----BEGIN RSA PRIVATE KEY-----\n"
     "Proc-Type: 4,ENCRYPTED\n"
     "DEK-Info: AES-128-CBC,79141119C7A9B63EF81303EC87A1FB34\n"
     "\n"
     "s6uUNhsWOlVf7n5bI/elPu47OeoIIuZaJkflFePbxyVcXqtfPIbEid8zbZk/mIiD\n"
     "4bZzNLx+P5JP3tNwgJ4AqGw2Rz/EpOonScw+l+0fYPL+4Bt9ETwIHJnd8mdfYcq+\n"
     "kga0zXtDDUF/pHUdx967VFUgtG410f2EfT02W0bt9zIAqBYgxgT7EYGTsWeW8SPI\n"
     "PcXCAYJH/LBlHnq1Wi5BluNtZSJ6kqIQ3lLf/RVdmJs7QbxhRnobRCo7kz6mDa8z\n"
     "8WlTXUIlgfIGmMdGJ3dGqOk3VQDZY2BV/H6Dn4FYWAJzNBuOLj7fuRuHWb0xhFQO\n"
     "n139Y4WYmIoovX6wXWQ8IR4NGfSnzl++8W47MqqxFlj5PBWbFodeK9lEvGqQXhER\n"
     "j6e4/UvB9uhsS/ZJWfMMJUFaNB8fHEpZsAJuKviocnCil6Y6Ayp0zJ1qGYoaj5Sb\n"
     "E2L/hFwYo/vjalhTlcmdublinZZNWqhayrDFbffqRPVxklKL6dUJt+NYKv/EGybJ\n"
     "/V4YGqHZyZCVDnO9NPRQqG+yCYrm7R5n0cdYJIq3uPELU1R8t23OoTthdG9XSqQL\n"
     "ze5uVPRUdVF4dFLYG3Ab7ZOAZHTfjNQSMNOTQZ0pMoH5bbeKKv6T+QO9uIUuEwgB\n"
     "2dSuKFJ8MEoYN6OauO5xNdhwazNfD/eMBFRmtwlH0YMg/ziRUc/N/Hk6Feza9eRR\n"
     "7EbE9TG1/oVbw8yCT18tMG1+Gv5oPD27og4diBrjOHMpZzSpM7Z66/wazvW4QZTb\n"
     "jyU7hTj3NFjI02OWpieiaMfqbBQTDcE65SV0+UgCG+JU2RcAoy47fdUQl0vsqzeZ\n"
     "XHb871223/ReDcjjmKgZKJswQxz9qxObHfBtH128IVOhao8+5naPkHIuEwyNZNe5\n"
     "fghSFHL4YvYERk1ZF3JpjAUC7ZPCLkUX9bFCZD5tiRtOQvxwsR2fWbs2FYS6QBR0\n"
     "e6kKv7gXfQ1/q8N5Wf+b52cWTLk8Ys5kCNebNMKQQ8ma9ylJlBadLnS/S36oaLC0\n"
     "05N985mmUQF+n7pDpjve+uVF30M1A1167C3lWM2eSthOzst5hDIG1BFcwTz/rWzl\n"
     "ry/ibk2HhmJyxV62PxqoyxolEheJ4ufqHS8AfLn8C298L3bQox+lzERhmn5Sm5m/\n"
     "iV8zew0gOAtr7g+3jQVsa0lPODx5Lvbm1Gbb34mvnAQJt9uTE/UgHTRrkz5/bJcf\n"
     "+JAWxU17C6eqkT+bHNgWLZHFrgVRzf9AOw6JzjNFJiPigsTDY6mE5KOfJTli0Yn2\n"
     "ogz718xaGmwmV2PgRGG8VmccYQie3cHrsTFkgoT/EHecyjVJZwgzup4WRb1r6mZ0\n"
     "FBNY++cqT07f+IZX+SJ9n94E/tybmBG/jfe/5m8wsbkciB9f3kHHpY9KxX7i10nV\n"
     "Gd9p22AnU7U6niE8cJFFKN34QTwOPxCll0jae/d80qXgvhFT0RLrPY2hIXBw9gxG\n"
     "TICj2G+tZZFIaCSbsc5vKzwIxzwKRJcanhaP8lI4oZKo8padLprVboi9Ij6AOJch\n"
     "DbSBSGkFzysEIU2hzaZ9RLrHvgVAKGMzhkxwBHfKEE7J9inUpt5NsPe/QaC2SL5f\n"
     "-----END RSA PRIVATE KEY-----\n",
   NULL},
  {"encrypted PKCS#8", NULL, NULL,
     "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
     "MIIFLTBXBgkqhkiG9w0BBQ0wSjApBgkqhkiG9w0BBQwwHAQItzXuqnAGJtICAggA\n"
     "MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAECBBB5ITcJMMxG4OXaer8u3MtxBIIE\n"
     "0MLBZkw04VGKffrBbWlQ/LxScSMK0h4yZ0rM1bTzlVADaF7rC1qK7EYY3CU2SJzO\n"
     "0PIdWPmJDBTo4vyGuCOql2QvevoX3cwc8eTB4IDttTJYA2AAekk0V87TivJfSq9F\n"
     "h+1ots1HGaHbKI2eRbegs1X5axIMCmFSzcavr4RGIogoggbUh3L9b+4f+9fjoR7K\n"
     "DShXZjzPPoRXgxxJniJDDnRoRh4iJOUgelp1zY92DavLL2k/r9ep573hnoTsIetp\n"
     "M6cOPoGotLEvHsdnfJwg1m6TRR9znAX+UeVlYy48q8d9tYmq6KzmtzOGWE51wOHO\n"
     "0lou+h11w0rbY6o8/wGRztnv5t7Y/aE2Nq+m4MuMTq4+3NQ1Uqc+wz2HwLeDq1Ar\n"
     "2Ah/dy774aBoZ9mN16lIotK+IybhdFWNrN8NcLhbHjbHCkIowHYWhwbTdsaVZ+l9\n"
     "YcAX5LgJV9k2mS8ED4N3SebXq62JkAC08d4PZN/qXRjYonjoreb7geRHI+pS6GNb\n"
     "b/Ym2mpBvDer6zWAF2+GL3YjHnKWToo1IJXM02AJ0pcsj75FcKFBqGPlmxFU1d7p\n"
     "1a/6INCiNZROpH5OU4frWphRisnAtpru4lWQ7SbF1WgPeKCeJORFqPBp81KcyIMw\n"
     "nSc/AMtAsAcT3u08roqS/OgYulmUtH96VglAPqTzDkRJv9yRolA5H71dLn2jOMwq\n"
     "Y04Is4IGekwaCZIwi+4tNQocTvBpbXTygjKf7exRxaYBJmiKu5Bk3wd19ViMHIzE\n"
     "F48A+AVTnmcrdfqZFToqq0DoLfSZJ5GwzUc2YzqD+9O1IdgHEi5243w/8XaH1pGA\n"
     "IOFn7YWoQi0MFn9e8T/VUD3NIvo1KGEgPhmDMJGc3Ttm4ltTL9DYnsYUQi3xnnJd\n"
     "vKD2IqGv4adXjJSTzzPf1EkcrnARAL2rDASls8TuJ4HtYPq6cGFT3vu2xjizc4QV\n"
     "8lqrdNcqqjWwLkHQGUODJ8Bmc6uJctCha2jj3QNDuLooMMLuaJPZrcHqGJVhZ8ob\n"
     "A6/e9WRnijgyDdXdNgekPt+pfqWLD+GWX71T0wyp3h7IV2H8EoAQ9Slhudl55Bky\n"
     "OcoZPUmkir3ge20t2MxVrccPBIe4mQYB42JBxWFWKO/ETpDhWjil5HsOTx86sNH9\n"
     "ysxI0g0xFin5hbtLhsZQcAV7/qgKI9eA+IKjnUPxwthkJ/oDEWYaIM52VWIsi+FO\n"
     "Dds8hoXfnaNUAZ8KJMq+uFWvUSBTDqW6/oN4w9tlE0NwXeL5GpKAzMFx+imyg6wA\n"
     "rhxK58w1w7RYeYzeZhSgwsBlz615fAR3aJNkgWDFKgXeZMMh1x1rQCrRSWx2UX60\n"
     "dQm6tTPQIFN2fl89mbJ+zHwcNjBNwi44T9a6H49nU1deNm4vPY/TZ4LEJkUuyavI\n"
     "YfzGQIy9gdmJepU9+awagpc7dpdWmBgvXAvcTOLEnbzUHg2zHl4KVSCSoV9M6Jos\n"
     "mpFB1SXrvA7/H8MTf6ud7CuT2nhp6SFMlXzv5tagN256bqzsvyD9lPrF/4y2SCt6\n"
     "txRNKMM1TX9s9si7i4to20OnLfJhONVbeFFYQ7UisLud4V7VGyjFmrzfwmT2KUX2\n"
     "pyy10SCsXNF7I/Txl5mV1qDfKT5DEY2CBWeOgCNGIPPN\n"
     "-----END ENCRYPTED PRIVATE KEY-----\n",
   NULL},
};

#define KEY_VECTORS (sizeof key_vectors / sizeof key_vectors[0])

#endif
