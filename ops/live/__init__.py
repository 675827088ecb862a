"""A live clinic's log as the verifier reads it, compared with all that stands beside it. It changes nothing."""
