"""The controller: its programs, folders, locks, logins and Debian archive."""
