The `spire` command logs in, shows quotes, trades, charts, orders and positions, submits and cancels orders, and replays recorded days; `--json` makes every answer and every error a line of JSON.
