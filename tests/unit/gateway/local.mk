# tests/unit/gateway
