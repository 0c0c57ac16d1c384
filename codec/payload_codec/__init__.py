"""The Payload Codec itself: runs inside this server and, unchanged, inside Workers. No Django, no key storage."""
