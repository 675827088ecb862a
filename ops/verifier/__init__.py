"""The verifier of what a clinic gives: the parts of the one file in every bundle. Nothing here opens a clinic."""
