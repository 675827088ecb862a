"""A witness of logs, and the clinic's side of it. A witness knows checkpoints only: no entry, no key and no text."""
