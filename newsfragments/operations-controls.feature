An instance has ten servers and up to four market data relays (`setup --relays`); `bin/reset_risk_states.py` opens the business day, and `start.sh` runs it unless with `--no-reset`.
