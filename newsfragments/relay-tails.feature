A TAIL of more than 1,000,000 records through a relay is INVALID: ask for it by sequence or time.
