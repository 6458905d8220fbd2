#!/bin/sh
# Installs Debian's Chromium, which the test of the page looks at it with.
set -eu
if command -v chromium >/dev/null; then exit 0; fi
if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
$as_root apt-get update -qq
$as_root apt-get install -y --no-install-recommends chromium
