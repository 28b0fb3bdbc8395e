# tests/unit/cache
