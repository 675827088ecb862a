"""The write side: what may happen to a record, and how it is kept."""
