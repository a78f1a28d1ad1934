"""Commands: fit and score (`run`), score again (`evaluate`), tables and figures (`report`)."""
