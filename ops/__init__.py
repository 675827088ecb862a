"""Everything around the running service: settings, wiring, commands, demo, benchmark."""
