"""The demo clinic: invented people, and what is written, read and asked of them. It never touches another clinic."""
