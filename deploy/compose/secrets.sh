#!/bin/sh
# Makes the secrets of compose.yaml beside it, unless they are there.
set -eu
cd "$(dirname "$0")"
# Readable by the user of the container, too.
test -e admin-tokens || { openssl rand -hex 32 > admin-tokens; chmod 644 admin-tokens; }
test -e .env || (umask 077; echo "CROSSBOOK_SECRET_KEY=$(openssl rand -hex 32)" > .env)
