"""From an address in a request to a file on this machine that is a video or a picture, and uploads."""
