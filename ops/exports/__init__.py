"""What leaves of one record: released, set on paper, locked for its reader, whole or not at all. It judges no proof."""
