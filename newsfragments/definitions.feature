The Definitions Server serves venues, schedules, currencies, tick tables, rates, eligibility and the instrument master as live state topics.
