"""Who keeps the root keys, and how a keyring is handed over to another keeper. Nothing here opens a record."""
