# tests/unit/ipc
