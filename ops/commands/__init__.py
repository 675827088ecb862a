"""The commands of `wellkept`, one file each; every file holds its command as `command`."""
