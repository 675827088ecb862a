"""Backups: written while a clinic is served, verified where they lie, restored. They never hold a signer's keys."""
