"""The read side: views that are folded from the events and can always be dropped."""
