"""The peers: what a team would pick instead, doing the same work under the same durable settings.

- They run in an environment of their own (requirements/peers.txt) and are never imported by the product.
- One write is a note of 1 KiB, its history by the peer's own means, and a row that says who did it, in one transaction.
- SQLite in WAL mode with synchronous=FULL, the write lock taken at the start and waited for: the best that each peer's
  documentation offers for several writers.
"""
