"""Loading a clinic's history from a file of the clinic-year format. It decides nothing itself."""
