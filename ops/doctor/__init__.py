"""The doctor: what is healthy about a clinic on this machine and what is not. It writes nothing and repairs nothing."""
