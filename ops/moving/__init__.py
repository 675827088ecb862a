"""A whole clinic in one file, out and in, and one record taken in. Nothing is stored before it is verified."""
