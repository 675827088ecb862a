"""The export of one client's record: a bundle that people can read, machines can read back, and anyone can check."""
