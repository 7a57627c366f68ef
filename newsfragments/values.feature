Values of the platform have one strict form: amounts as scaled integers with named rounding, nanosecond times, tickers, orders, reports and postings, and the table of legal order statuses.
