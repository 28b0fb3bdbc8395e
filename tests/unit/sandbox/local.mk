# tests/unit/sandbox
