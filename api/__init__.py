"""HTTP only: parse, call a door, render."""
