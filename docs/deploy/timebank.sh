#!/bin/sh
# /usr/local/bin/timebank, mode 755: any verb, typed by root, run as the ledger's own user.
exec runuser -u timebank -- env TIMEBANK_KEYS_FILE=/var/lib/timebank-keys/keys.json \
    /opt/timebank/.venv/bin/timebank --config /etc/timebank/timebank.toml "$@"
