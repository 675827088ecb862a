"""Sections of the current view: one concept each, folded apart and shown together by `projections.client_view`."""
