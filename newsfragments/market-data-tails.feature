A TAIL of more than 65,536 records is INVALID, at Market Data as at a relay: ask for it by sequence or time.
