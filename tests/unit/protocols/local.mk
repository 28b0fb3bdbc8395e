# tests/unit/protocols
